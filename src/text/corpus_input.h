// A file of a corpus while it is read: a window on its bytes, and what its readers share.
#ifndef VKB_TEXT_CORPUS_INPUT_H
#define VKB_TEXT_CORPUS_INPUT_H

#include "text/corpus.h"
#include "text/corpus_stream.h"

#include <cjson/cJSON.h>

// A row of CSV or JSON is held as a whole.
#define CORPUS_LONGEST_ROW ((size_t)1 << 30)
// A longer text comes in pieces.
#define CORPUS_LONGEST_TEXT ((size_t)1 << 26)

typedef struct corpus_input {
    vkb_context *ctx;
    const char *name;          // for sentences
    const char *wanted_column; // NULL: "text", else the first
    corpus_stream *stream;
    char *data; // at .. used-1 are read and not yet taken
    size_t at, used, room;
    uint64_t line; // of data[at], from 1
    bool ended;
    // The readers' own state.
    char *column;                      // the text's, once known
    size_t column_index, column_count; // CSV
    bool started, in_list;             // the header, the opening bracket was read
    bool behind_blank;                 // plain: the next text begins a document
    bool inside_text;                  // plain: the next bytes go on with a line that was too long
    cJSON *rows, *next_row;            // of {"data": [...]}
} corpus_input;

// A text found; line is where it starts. Points into the window, or is owned by the reader's call.
typedef struct corpus_found {
    const char *at;
    size_t bytes;
    uint64_t line;
    bool begins_document;
    char *owned; // freed by whoever takes the text
} corpus_found;

// Reads more into the window, behind what is there; sets ended at the end.
vkb_status corpus_input_fill(corpus_input *in);
// VKB_BAD_FILE: "NAME: line N: ..."
vkb_status corpus_input_fail(const corpus_input *in, uint64_t line, const char *format, ...)
    BASE_PRINTF(3, 4);
// The next line, without its end; *found false: no more. Lines beyond `longest` are cut between
// characters when `cut`, else VKB_BAD_FILE.
vkb_status corpus_input_line(corpus_input *in, size_t longest, bool cut, corpus_found *line,
                             bool *found);

// ---- One function a format: the next text ----

typedef vkb_status (*corpus_reader)(corpus_input *in, corpus_found *text, bool *found);
vkb_status corpus_read_lines(corpus_input *in, corpus_found *text, bool *found);
vkb_status corpus_read_jsonl(corpus_input *in, corpus_found *text, bool *found);
vkb_status corpus_read_json(corpus_input *in, corpus_found *text, bool *found);
vkb_status corpus_read_csv(corpus_input *in, corpus_found *text, bool *found);
vkb_status corpus_read_tsv(corpus_input *in, corpus_found *text, bool *found);

// The reader for a file of this name: by its ending, that of a packing left out.
corpus_reader corpus_reader_of(const char *path);

void corpus_input_free(corpus_input *in);

#endif
