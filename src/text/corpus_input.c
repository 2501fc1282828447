#include "text/corpus_input.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

vkb_status corpus_input_fill(corpus_input *in)
{
    if (in->at) {
        memmove(in->data, in->data + in->at, in->used - in->at);
        in->used -= in->at;
        in->at = 0;
    }
    if (in->used == in->room) {
        size_t room = in->room ? in->room * 2 : (size_t)1 << 18;
        char *larger = realloc(in->data, room);
        if (!larger)
            return vkb_fail_memory(in->ctx, room, in->name);
        in->data = larger;
        in->room = room;
    }
    size_t got = 0;
    vkb_status status =
        corpus_stream_read(in->stream, in->data + in->used, in->room - in->used, &got);
    in->used += got;
    in->ended = status == VKB_OK && got == 0;
    return status;
}

vkb_status corpus_input_fail(const corpus_input *in, uint64_t line, const char *format, ...)
{
    char what[512];
    va_list list;
    va_start(list, format);
    vsnprintf(what, sizeof(what), format, list);
    va_end(list);
    return vkb_fail(in->ctx, VKB_BAD_FILE, "%s: line %llu: %s", in->name, (unsigned long long)line,
                    what);
}

void corpus_input_free(corpus_input *in)
{
    corpus_stream_close(&in->stream);
    cJSON_Delete(in->rows);
    free(in->data);
    free(in->column);
    *in = (corpus_input){0};
}

// ---- Lines ----

static vkb_status take_line(corpus_input *in, size_t bytes, size_t end_bytes, corpus_found *line)
{
    *line = (corpus_found){.at = in->data + in->at, .bytes = bytes, .line = in->line};
    in->at += bytes + end_bytes;
    in->line += end_bytes != 0;
    if (end_bytes && line->bytes && line->at[line->bytes - 1] == '\r')
        line->bytes--;
    return VKB_OK;
}

vkb_status corpus_input_line(corpus_input *in, size_t longest, bool cut, corpus_found *line,
                             bool *found)
{
    size_t searched = 0;
    for (*found = true;;) {
        const char *start = in->data + in->at;
        const size_t there = in->used - in->at;
        const char *end =
            there > searched ? memchr(start + searched, '\n', there - searched) : NULL;
        const size_t bytes = end ? (size_t)(end - start) : there;
        if (bytes > longest && !cut)
            return corpus_input_fail(in, in->line, "is longer than %zu MiB", longest >> 20);
        if (bytes > longest) {
            size_t kept = longest;
            while (kept > 1 && ((unsigned char)start[kept] & 0xC0) == 0x80)
                kept--;
            return take_line(in, kept, 0, line);
        }
        if (end)
            return take_line(in, bytes, 1, line);
        if (in->ended) {
            *found = bytes > 0;
            return take_line(in, bytes, 0, line);
        }
        searched = there;
        vkb_status status = corpus_input_fill(in);
        if (status != VKB_OK)
            return status;
    }
}

// Every line is a text; a blank one ends a document.
vkb_status corpus_read_lines(corpus_input *in, corpus_found *text, bool *found)
{
    const uint64_t before = in->line;
    const bool goes_on = in->inside_text;
    vkb_status status = corpus_input_line(in, CORPUS_LONGEST_TEXT, true, text, found);
    if (status != VKB_OK || !*found)
        return status;
    in->inside_text = in->line == before && !(in->ended && in->at == in->used);
    if (in->inside_text && !goes_on)
        vkb_log(in->ctx, VKB_LOG_WARNING,
                "%s: line %llu is longer than %zu MiB and is taken as several texts", in->name,
                (unsigned long long)before, CORPUS_LONGEST_TEXT >> 20);
    if (!goes_on && corpus_is_blank(text->at, text->bytes)) {
        text->bytes = 0;
        in->behind_blank = true;
        return VKB_OK;
    }
    text->begins_document = in->behind_blank || !in->started;
    in->started = true;
    in->behind_blank = false;
    return VKB_OK;
}

// ---- Formats ----

static bool ends_with(const char *path, size_t bytes, const char *end)
{
    const size_t n = strlen(end);
    return bytes >= n && strncasecmp(path + bytes - n, end, n) == 0;
}

corpus_reader corpus_reader_of(const char *path)
{
    static const struct {
        const char *end;
        corpus_reader reader;
    } formats[] = {
        {".jsonl", corpus_read_jsonl}, {".ndjson", corpus_read_jsonl}, {".json", corpus_read_json},
        {".csv", corpus_read_csv},     {".tsv", corpus_read_tsv},
    };
    static const char *const packings[] = {".gz", ".zst", ".zstd"};
    size_t bytes = strlen(path);
    for (size_t i = 0; i < BASE_COUNT(packings); i++)
        if (ends_with(path, bytes, packings[i])) {
            bytes -= strlen(packings[i]);
            break;
        }
    for (size_t i = 0; i < BASE_COUNT(formats); i++)
        if (ends_with(path, bytes, formats[i].end))
            return formats[i].reader;
    return corpus_read_lines;
}
