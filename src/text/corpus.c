// The source as a whole: file after file, text after text, into batches.
#include "text/corpus.h"

#include "base/array.h"
#include "text/corpus_files.h"
#include "text/corpus_input.h"
#include "text/corpus_seen.h"
#include "text/unicode.h"

#include <stdlib.h>
#include <string.h>

struct corpus {
    vkb_context *ctx;
    vkb_text_source source; // its strings are the caller's
    corpus_files files;
    size_t next_file; // to be opened
    corpus_input input;
    corpus_reader reader;
    corpus_seen seen;
    bool pending_begin;             // the text that began a document was a duplicate
    uint64_t done_bytes, all_bytes; // of the files before this one; of all
    uint64_t texts, texts_before;   // that hold text; of the files before this one
    uint64_t invalid, duplicates;   // bytes that are not UTF-8; texts left out
    const char *invalid_name;
};

bool corpus_is_blank(const char *text, size_t bytes)
{
    for (size_t at = 0; at < bytes;) {
        const uint32_t code = unicode_read(text, bytes, &at, NULL);
        if (!unicode_is_white_space(code) && !unicode_is_dropped(code))
            return false;
    }
    return true;
}

// ---- Opening ----

vkb_status corpus_open(vkb_context *ctx, const vkb_text_source *source, corpus **out)
{
    vkb_status status = VKB_OK;
    if (!source || source->path_count == 0)
        return vkb_fail(ctx, VKB_BAD_ARGUMENT, "no text file is given");
    corpus *c = calloc(1, sizeof(*c));
    if (!c)
        return vkb_fail_memory(ctx, sizeof(*c), "a text source");
    c->ctx = ctx;
    c->source = *source;
    for (size_t i = 0; i < source->path_count; i++)
        BASE_TRY(corpus_files_add(ctx, source->paths[i], &c->files));
    for (size_t i = 0; i < c->files.count; i++)
        c->all_bytes += c->files.at[i].bytes;
    *out = c;
    c = NULL;
cleanup:
    corpus_close(&c);
    return status;
}

vkb_status vkb_text_source_check(vkb_context *ctx, const vkb_text_source *source)
{
    corpus *c = NULL;
    vkb_status status = corpus_open(ctx, source, &c);
    corpus_close(&c);
    return status;
}

void corpus_close(corpus **c_)
{
    corpus *c = c_ ? *c_ : NULL;
    if (!c)
        return;
    *c_ = NULL;
    corpus_input_free(&c->input);
    corpus_seen_free(&c->seen);
    corpus_files_free(&c->files);
    free(c);
}

size_t corpus_file_count(const corpus *c)
{
    return c->files.count;
}

corpus_file corpus_file_at(const corpus *c, size_t index)
{
    return c->files.at[index];
}

// ---- A file ----

static vkb_status check_beginning(corpus_input *in)
{
    vkb_status status = VKB_OK;
    while (in->used < 3 && !in->ended && status == VKB_OK)
        status = corpus_input_fill(in);
    if (status != VKB_OK || in->used < 2)
        return status;
    const uint8_t *data = (const uint8_t *)in->data;
    if ((data[0] == 0xFF && data[1] == 0xFE) || (data[0] == 0xFE && data[1] == 0xFF))
        return vkb_fail(in->ctx, VKB_BAD_FILE,
                        "%s: is UTF-16, expected UTF-8: iconv -f utf-16 -t utf-8 converts it",
                        in->name);
    if (in->used >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0)
        in->at = 3; // a byte order mark
    return VKB_OK;
}

static vkb_status open_next(corpus *c)
{
    const corpus_file *file = &c->files.at[c->next_file++];
    corpus_input *in = &c->input;
    *in = (corpus_input){
        .ctx = c->ctx,
        .name = file->is_stream && strcmp(file->path, "-") == 0 ? "standard input" : file->path,
        .wanted_column = c->source.text_column,
        .line = 1,
    };
    c->texts_before = c->texts;
    c->reader = corpus_reader_of(file->path);
    vkb_status status = corpus_stream_open(c->ctx, file->path, &in->stream);
    return status == VKB_OK ? check_beginning(in) : status;
}

static void close_current(corpus *c)
{
    if (c->texts == c->texts_before && c->files.count > 1)
        vkb_log(c->ctx, VKB_LOG_WARNING, "%s: holds no text", c->input.name);
    c->done_bytes += corpus_stream_consumed(c->input.stream);
    corpus_input_free(&c->input);
}

// The next text of whatever file has one; *found false: the end.
static vkb_status next_text(corpus *c, corpus_found *text, bool *found)
{
    vkb_status status = VKB_OK;
    *found = false;
    while (status == VKB_OK && !*found) {
        if (!c->input.stream) {
            if (c->next_file == c->files.count)
                break;
            BASE_TRY(open_next(c));
        }
        *text = (corpus_found){0};
        BASE_TRY(c->reader(&c->input, text, found));
        if (!*found)
            close_current(c);
    }
cleanup:
    return status;
}

// ---- Batches ----

static vkb_status add(corpus *c, const corpus_found *text, const char *at, size_t bytes,
                      corpus_batch *batch)
{
    while (batch->used + bytes >= batch->room) { // also for blank texts, which point there
        const size_t room = batch->room ? batch->room * 2 : (size_t)1 << 20;
        char *larger = realloc(batch->bytes, room);
        if (!larger)
            return vkb_fail_memory(c->ctx, room, c->input.name);
        batch->bytes = larger;
        batch->room = room;
    }
    if (!array_reserve(batch, batch->count + 1))
        return vkb_fail_memory(c->ctx, batch->count * sizeof(*batch->at), c->input.name);
    if (bytes)
        memcpy(batch->bytes + batch->used, at, bytes);
    batch->used += bytes;
    batch->at[batch->count++] = (corpus_text){
        .bytes = bytes,
        .file = (uint32_t)(c->next_file - 1),
        .line = text->line,
        .begins_document = (text->begins_document || c->pending_begin) && bytes,
    };
    if (bytes)
        c->pending_begin = false;
    return VKB_OK;
}

// Cuts a text that is too long between characters: only rows reach this, lines come cut.
static vkb_status add_pieces(corpus *c, const corpus_found *text, corpus_batch *batch)
{
    size_t from = 0;
    corpus_found piece = *text;
    if (text->bytes > CORPUS_LONGEST_TEXT)
        vkb_log(c->ctx, VKB_LOG_WARNING,
                "%s: the text of line %llu is longer than %zu MiB and is taken as several",
                c->input.name, (unsigned long long)text->line, CORPUS_LONGEST_TEXT >> 20);
    do {
        size_t bytes = text->bytes - from;
        if (bytes > CORPUS_LONGEST_TEXT) {
            bytes = CORPUS_LONGEST_TEXT;
            while (bytes > 1 && ((unsigned char)text->at[from + bytes] & 0xC0) == 0x80)
                bytes--;
        }
        vkb_status status = add(c, &piece, text->at + from, bytes, batch);
        if (status != VKB_OK)
            return status;
        piece.begins_document = false;
        from += bytes;
    } while (from < text->bytes);
    return VKB_OK;
}

static vkb_status take_text(corpus *c, corpus_found *text, corpus_batch *batch)
{
    if (text->owned && corpus_is_blank(text->at, text->bytes))
        return VKB_OK; // a row without a text; a blank line counts, it ends a document
    if (text->bytes) {
        bool before = false;
        if (c->source.drop_duplicates && !corpus_seen_add(&c->seen, text->at, text->bytes, &before))
            return vkb_fail_memory(c->ctx, c->seen.count * 32, "the texts seen so far");
        if (before) {
            c->duplicates++;
            c->pending_begin = c->pending_begin || text->begins_document;
            return VKB_OK;
        }
        const size_t invalid = unicode_count_invalid(text->at, text->bytes);
        if (invalid && !c->invalid)
            c->invalid_name = c->files.at[c->next_file - 1].path;
        c->invalid += invalid;
        c->texts++;
    }
    return add_pieces(c, text, batch);
}

static void report(const corpus *c)
{
    if (!c->source.progress)
        return;
    const uint64_t now = c->input.stream ? corpus_stream_consumed(c->input.stream) : 0;
    c->source.progress(c->source.user, "reading text", c->done_bytes + now, c->all_bytes);
}

static vkb_status fail_without_text(const corpus *c)
{
    const char *name =
        strcmp(c->files.at[0].path, "-") == 0 ? "standard input" : c->files.at[0].path;
    if (c->files.count == 1 && c->done_bytes == 0)
        return vkb_fail(c->ctx, VKB_BAD_FILE, "%s: is empty, expected text", name);
    if (c->files.count == 1)
        return vkb_fail(c->ctx, VKB_BAD_FILE,
                        "%s: holds no text, only %llu bytes of white space and control characters",
                        name, (unsigned long long)c->done_bytes);
    return vkb_fail(c->ctx, VKB_BAD_FILE, "%s and %zu more files: there is no text in them", name,
                    c->files.count - 1);
}

vkb_status corpus_read(corpus *c, size_t bytes, corpus_batch *batch)
{
    vkb_status status = VKB_OK;
    bool found = true;
    batch->count = batch->used = 0;
    while (batch->count == 0 || batch->used + batch->count < bytes) {
        corpus_found text;
        BASE_TRY(next_text(c, &text, &found));
        if (!found)
            break;
        status = take_text(c, &text, batch);
        free(text.owned);
        BASE_TRY(status);
    }
    if (!found && batch->count == 0 && c->texts == 0)
        BASE_TRY(fail_without_text(c));
    for (size_t i = 0, at = 0; i < batch->count; at += batch->at[i++].bytes)
        batch->at[i].at = batch->bytes + at;
    report(c);
cleanup:
    return status;
}

void corpus_batch_free(corpus_batch *batch)
{
    free(batch->at);
    free(batch->bytes);
    *batch = (corpus_batch){0};
}

void corpus_log_doubts(const corpus *c)
{
    if (c->invalid)
        vkb_log(c->ctx, VKB_LOG_WARNING, "%s: %llu bytes are not UTF-8 and were read as U+FFFD",
                c->invalid_name, (unsigned long long)c->invalid);
    if (c->duplicates)
        vkb_log(c->ctx, VKB_LOG_INFO, "%llu duplicate texts were left out",
                (unsigned long long)c->duplicates);
}
