#include "text/token_store.h"

#include "base/array.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { IDS_BUFFERED = 1 << 15 };

struct token_writer {
    vkb_context *ctx;
    file_writer *file;
    FILE *starts; // of the texts: written behind the ids, kept out of memory till then
    char *path;
    token_store_end end;
    uint64_t written; // bytes
    struct {
        uint64_t *at;
        size_t count, capacity;
    } documents;
    struct {
        uint32_t *at;
        size_t count, capacity;
    } sums;
    uint64_t *counts;
    uint32_t buffer[IDS_BUFFERED]; // as stored, 2 or 4 bytes an id
    size_t buffered;
};

// Writes bytes and keeps the sums of the blocks.
static vkb_status put(token_writer *w, const void *data_, uint64_t bytes)
{
    const uint8_t *data = data_;
    vkb_status status = VKB_OK;
    while (bytes && status == VKB_OK) {
        const uint64_t in_block = w->written % TOKEN_STORE_BLOCK;
        const uint64_t room = TOKEN_STORE_BLOCK - in_block, now = bytes < room ? bytes : room;
        if (in_block == 0) {
            if (!array_reserve(&w->sums, w->sums.count + 1))
                return vkb_fail_memory(w->ctx, w->sums.count * sizeof(uint32_t), w->path);
            w->sums.at[w->sums.count++] = (uint32_t)crc32(0, NULL, 0);
        }
        uint32_t *sum = &w->sums.at[w->sums.count - 1];
        *sum = (uint32_t)crc32(*sum, data, (uInt)now);
        status = file_write(w->file, data, now);
        w->written += now;
        data += now;
        bytes -= now;
    }
    return status;
}

static vkb_status flush(token_writer *w)
{
    const size_t count = w->buffered;
    w->buffered = 0;
    return put(w, w->buffer, count * w->end.id_bytes);
}

static vkb_status starts_put(token_writer *w)
{
    if (fwrite(&w->end.ids, sizeof(uint64_t), 1, w->starts) == 1)
        return VKB_OK;
    return vkb_fail(w->ctx, VKB_IO,
                    "%s: a temporary file for its table cannot be written: no room?", w->path);
}

vkb_status token_writer_create(vkb_context *ctx, const char *path, uint32_t vocab_size,
                               token_writer **out)
{
    vkb_status status = VKB_OK;
    token_writer *w = calloc(1, sizeof(*w));
    if (!w)
        return vkb_fail_memory(ctx, sizeof(*w), path);
    w->ctx = ctx;
    w->path = strdup(path);
    w->counts = calloc(vocab_size + 1ull, sizeof(*w->counts));
    w->end = (token_store_end){
        .vocab_size = vocab_size,
        .id_bytes = vocab_size <= 0x10000 ? 2 : 4,
        .endian = TOKEN_STORE_ENDIAN,
        .magic = TOKEN_STORE_MAGIC,
    };
    if (!w->path || !w->counts)
        BASE_TRY(vkb_fail_memory(ctx, vocab_size * sizeof(*w->counts), path));
    w->starts = tmpfile();
    if (!w->starts)
        BASE_TRY(vkb_fail(ctx, VKB_IO, "%s: a temporary file for its table cannot be made", path));
    BASE_TRY(file_create(ctx, path, &w->file));
    BASE_TRY(put(w, w->end.magic, sizeof(w->end.magic)));
    *out = w;
    w = NULL;
cleanup:
    token_writer_abandon(&w);
    return status;
}

vkb_status token_writer_add(token_writer *w, const uint32_t *ids, size_t count,
                            bool begins_document)
{
    vkb_status status = VKB_OK;
    if (begins_document) {
        if (!array_reserve(&w->documents, w->documents.count + 2))
            return vkb_fail_memory(w->ctx, w->documents.count * sizeof(uint64_t), w->path);
        w->documents.at[w->documents.count++] = w->end.texts;
    }
    BASE_TRY(starts_put(w));
    uint16_t *narrow = (uint16_t *)w->buffer;
    for (size_t i = 0; i < count; i++) {
        if (w->buffered == IDS_BUFFERED)
            BASE_TRY(flush(w));
        if (w->end.id_bytes == 2)
            narrow[w->buffered++] = (uint16_t)ids[i];
        else
            w->buffer[w->buffered++] = ids[i];
        w->counts[ids[i]]++;
    }
    w->end.ids += count;
    w->end.texts++;
cleanup:
    return status;
}

// Zeros up to a multiple of 8: the tables' numbers are read in place.
static vkb_status align(token_writer *w)
{
    return put(w, "\0\0\0\0\0\0\0", (8 - w->written % 8) % 8);
}

static vkb_status starts_copy(token_writer *w)
{
    vkb_status status = starts_put(w); // the end of the last text
    uint64_t some[1024];
    size_t got;
    if (status == VKB_OK && fseek(w->starts, 0, SEEK_SET) != 0)
        status = vkb_fail(w->ctx, VKB_IO, "%s: its table cannot be read back", w->path);
    while (status == VKB_OK && (got = fread(some, sizeof(*some), BASE_COUNT(some), w->starts)) > 0)
        status = put(w, some, got * sizeof(*some));
    if (status == VKB_OK && ferror(w->starts))
        status = vkb_fail(w->ctx, VKB_IO, "%s: its table cannot be read back", w->path);
    return status;
}

vkb_status token_writer_finish(token_writer **writer, const char *key)
{
    token_writer *w = *writer;
    vkb_status status = VKB_OK;
    w->end.documents = w->documents.count;
    w->end.key_bytes = strlen(key);
    BASE_TRY(flush(w));
    BASE_TRY(align(w));
    BASE_TRY(starts_copy(w));
    if (!array_reserve(&w->documents, w->documents.count + 1))
        BASE_TRY(vkb_fail_memory(w->ctx, w->documents.count * sizeof(uint64_t), w->path));
    w->documents.at[w->documents.count++] = w->end.texts;
    BASE_TRY(put(w, w->documents.at, w->documents.count * sizeof(uint64_t)));
    BASE_TRY(put(w, w->counts, w->end.vocab_size * sizeof(uint64_t)));
    BASE_TRY(put(w, key, w->end.key_bytes));
    BASE_TRY(align(w));
    const size_t sums = w->sums.count * sizeof(uint32_t);
    uLong sum = crc32(crc32(0, NULL, 0), (const Bytef *)w->sums.at, (uInt)sums);
    w->end.sum = (uint32_t)crc32(sum, (const Bytef *)&w->end, offsetof(token_store_end, sum));
    BASE_TRY(file_write(w->file, w->sums.at, sums));
    BASE_TRY(file_write(w->file, "\0\0\0\0", sums % 8));
    BASE_TRY(file_write(w->file, &w->end, sizeof(w->end)));
    BASE_TRY(file_commit(&w->file));
cleanup:
    token_writer_abandon(writer);
    return status;
}

void token_writer_abandon(token_writer **writer)
{
    token_writer *w = writer ? *writer : NULL;
    if (!w)
        return;
    *writer = NULL;
    file_abandon(&w->file);
    if (w->starts)
        fclose(w->starts);
    free(w->documents.at);
    free(w->sums.at);
    free(w->counts);
    free(w->path);
    free(w);
}
