// What a person sees: results on stdout; progress and log lines on stderr, one live line on a
// terminal. Colours only on a terminal and without NO_COLOR.
#ifndef VKB_CLI_OUTPUT_H
#define VKB_CLI_OUTPUT_H

#include <cjson/cJSON.h>

#include "vkbert.h"

#if defined(__GNUC__)
#define OUTPUT_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define OUTPUT_PRINTF(text, first)
#endif

typedef struct cli_state cli_state;

typedef struct output {
    bool quiet, verbose;
    bool live;   // stderr is a terminal that can redraw a line
    bool colour; // and may colour it
    bool line_shown;
} output;

void output_init(output *out);

// vkb_log_fn; user is the output.
void output_log(void *user, vkb_log_level level, const char *sentence);

// A line of VKB_LOG_INFO.
void output_note(output *out, const char *format, ...) OUTPUT_PRINTF(2, 3);
void output_warn(output *out, const char *format, ...) OUTPUT_PRINTF(2, 3);

// Replaces the live line; nothing off a terminal. output_end_line keeps what it shows.
void output_live(output *out, const char *line);
void output_end_line(output *out);
void output_clear_line(output *out);

// A bar of `width` characters and a NUL, filled up to share.
void output_bar(char *bar, int width, double share);

// Prints the tree as the one JSON document of stdout and deletes it. tree may be NULL: memory was
// exhausted while it was built.
vkb_status output_json(cli_state *cli, cJSON *tree);

// VKB_IO when stdout could not take all that was printed (a full disk).
vkb_status output_flush(cli_state *cli);

// "412 bytes", "3.2 MiB"; "95 s", "12 min 3 s", "3 h 20 min"; 1,234,567. They return buffer.
typedef struct short_text {
    char text[48];
} short_text;
short_text show_bytes(uint64_t bytes);
short_text show_seconds(double seconds);
short_text show_count(uint64_t count);

// Seconds, for how often something is shown again.
double output_clock(void);

// The live line of something of which `done` of `total` is done (0: not known), as show says it; it is
// cleared at the end.
void output_share(output *out, const char *what, uint64_t done, uint64_t total,
                  short_text (*show)(uint64_t));

#endif
