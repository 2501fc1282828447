// Lines for people: progress, notes, warnings; never results.
#include "cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { BAR_WIDTH = 20 };

void output_init(output *out)
{
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
    memset(out, 0, sizeof(*out));
    out->live = isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
    out->colour = out->live && !(no_color && *no_color); // no-color.org: set and not empty
}

void output_log(void *user, vkb_log_level level, const char *sentence)
{
    static const struct {
        const char *prefix, *colour;
    } looks[] = {
        [VKB_LOG_ERROR] = {"vkbert: ", "\033[1;31m"},
        [VKB_LOG_WARNING] = {"warning: ", "\033[33m"},
        [VKB_LOG_INFO] = {"", ""},
        [VKB_LOG_DEBUG] = {"", "\033[2m"},
    };
    output *out = user;
    if ((level == VKB_LOG_INFO && out->quiet) || (level == VKB_LOG_DEBUG && !out->verbose))
        return;
    bool colour = out->colour && *looks[level].colour;
    fprintf(stderr, "%s%s%s%s%s\n", out->line_shown ? "\r\033[K" : "",
            colour ? looks[level].colour : "", looks[level].prefix, sentence,
            colour ? "\033[0m" : "");
    out->line_shown = false;
}

static void output_say(output *out, vkb_log_level level, const char *format, va_list args)
{
    char sentence[2048];
    vsnprintf(sentence, sizeof(sentence), format, args);
    output_log(out, level, sentence);
}

void output_note(output *out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    output_say(out, VKB_LOG_INFO, format, args);
    va_end(args);
}

void output_warn(output *out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    output_say(out, VKB_LOG_WARNING, format, args);
    va_end(args);
}

void output_live(output *out, const char *line)
{
    if (!out->live || out->quiet)
        return;
    struct winsize size; // a line that wraps could not be redrawn
    int columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
    fprintf(stderr, "\r\033[K%.*s", columns - 1, line);
    fflush(stderr);
    out->line_shown = true;
}

void output_end_line(output *out)
{
    if (out->line_shown)
        fputc('\n', stderr);
    out->line_shown = false;
}

void output_clear_line(output *out)
{
    if (out->line_shown)
        fputs("\r\033[K", stderr);
    out->line_shown = false;
}

void output_bar(char *bar, int width, double share)
{
    for (int i = 0; i < width; i++)
        bar[i] = i < share * width ? '=' : ' ';
    bar[width] = 0;
}

double output_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void output_share(output *out, const char *what, uint64_t done, uint64_t total,
                  short_text (*show)(uint64_t))
{
    char line[160], bar[BAR_WIDTH + 1];
    output_bar(bar, BAR_WIDTH, total ? (double)done / (double)total : 0);
    if (total)
        snprintf(line, sizeof(line), "[%s] %s  %s of %s", bar, what, show(done).text,
                 show(total).text);
    else
        snprintf(line, sizeof(line), "%s  %s", what, show(done).text);
    output_live(out, line);
    if (total && done >= total)
        output_clear_line(out);
}

vkb_status output_json(cli_state *cli, cJSON *tree)
{
    char *text = tree ? cJSON_Print(tree) : NULL;
    cJSON_Delete(tree);
    if (!text)
        return cli_fail_memory(cli);
    printf("%s\n", text);
    free(text);
    return VKB_OK;
}

vkb_status output_flush(cli_state *cli)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return VKB_OK;
    return cli_fail(cli, VKB_IO, "standard output could not be written: %s",
                    errno ? strerror(errno) : "input/output error");
}

short_text show_bytes(uint64_t bytes)
{
    static const char *units[] = {"KiB", "MiB", "GiB", "TiB"};
    short_text shown;
    double value = (double)bytes / 1024;
    size_t unit = 0;
    while (value >= 1023.95 && unit + 1 < CLI_COUNT(units)) {
        value /= 1024;
        unit++;
    }
    if (bytes < 1024)
        snprintf(shown.text, sizeof(shown.text), "%" PRIu64 " bytes", bytes);
    else
        snprintf(shown.text, sizeof(shown.text), "%.1f %s", value, units[unit]);
    return shown;
}

short_text show_seconds(double seconds)
{
    short_text shown;
    double limit = 1e9; // beyond it, and for NaN, no estimate is one
    long long s = seconds >= 0 && seconds < limit ? llround(seconds) : -1;
    if (s < 0)
        snprintf(shown.text, sizeof(shown.text), "?");
    else if (seconds < 10)
        snprintf(shown.text, sizeof(shown.text), "%.1f s", seconds);
    else if (s < 120)
        snprintf(shown.text, sizeof(shown.text), "%lld s", s);
    else if (s < 7200)
        snprintf(shown.text, sizeof(shown.text), "%lld min %lld s", s / 60, s % 60);
    else
        snprintf(shown.text, sizeof(shown.text), "%lld h %lld min", s / 3600, s / 60 % 60);
    return shown;
}

short_text show_count(uint64_t count)
{
    char digits[24];
    short_text shown;
    int length = snprintf(digits, sizeof(digits), "%" PRIu64, count), at = 0;
    for (int i = 0; i < length; i++) {
        if (i && (length - i) % 3 == 0)
            shown.text[at++] = ',';
        shown.text[at++] = digits[i];
    }
    shown.text[at] = 0;
    return shown;
}
