#include "text/token_store.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

struct token_store {
    vkb_context *ctx;
    char *path;
    file_map map;
    token_store_end end;
    token_store_parts at;
    uint8_t *checked; // bits: the block's sum was right
};

// ---- The layout ----

static uint64_t aligned(uint64_t bytes)
{
    return (bytes + 7) / 8 * 8;
}

bool token_store_lay_out(const token_store_end *end, token_store_parts *p)
{
    const uint64_t most = (uint64_t)1 << 56; // sums of it do not wrap
    if ((end->id_bytes != 2 && end->id_bytes != 4) || end->ids > most / 8 ||
        end->texts > most / 16 || end->documents > end->texts || end->vocab_size > UINT32_MAX ||
        end->key_bytes > most)
        return false;
    p->ids = sizeof(end->magic);
    p->starts = aligned(p->ids + end->ids * end->id_bytes);
    p->documents = p->starts + 8 * (end->texts + 1);
    p->counts = p->documents + 8 * (end->documents + 1);
    p->key = p->counts + 8 * end->vocab_size;
    p->sums = aligned(p->key + end->key_bytes);
    const uint64_t blocks = (p->sums + TOKEN_STORE_BLOCK - 1) / TOKEN_STORE_BLOCK;
    p->end = p->sums + aligned(4 * blocks);
    p->bytes = p->end + sizeof(*end);
    return true;
}

// ---- Checking ----

static vkb_status damaged(const token_store *s, const char *what)
{
    return vkb_fail(s->ctx, VKB_BAD_FILE,
                    "%s: the token cache is damaged (%s); run again with --overwrite_cache, or "
                    "delete the file",
                    s->path, what);
}

// Checks the blocks that bytes begin .. begin+count-1 lie in, unless they were.
static vkb_status check(token_store *s, uint64_t begin, uint64_t count)
{
    const uint32_t *sums = (const uint32_t *)(s->map.data + s->at.sums);
    if (!count)
        return VKB_OK;
    for (uint64_t b = begin / TOKEN_STORE_BLOCK; b <= (begin + count - 1) / TOKEN_STORE_BLOCK;
         b++) {
        if (s->checked[b / 8] >> b % 8 & 1)
            continue;
        const uint64_t from = b * TOKEN_STORE_BLOCK, rest = s->at.sums - from;
        const uint64_t bytes = rest < TOKEN_STORE_BLOCK ? rest : TOKEN_STORE_BLOCK;
        if (crc32(crc32(0, NULL, 0), s->map.data + from, (uInt)bytes) != sums[b])
            return damaged(s, "a checksum is wrong");
        s->checked[b / 8] |= (uint8_t)(1 << b % 8);
    }
    return VKB_OK;
}

// A number of a table that starts at byte `table`.
static vkb_status number(token_store *s, uint64_t table, uint64_t index, uint64_t *out)
{
    const uint64_t at = table + 8 * index;
    vkb_status status = check(s, at, 8);
    if (status == VKB_OK)
        memcpy(out, s->map.data + at, 8);
    return status;
}

// ---- Opening ----

static vkb_status check_end(token_store *s, uint32_t vocab_size)
{
    const size_t end_bytes = sizeof(s->end);
    if (s->map.bytes < end_bytes + sizeof(s->end.magic))
        return damaged(s, "it is too short");
    memcpy(&s->end, s->map.data + s->map.bytes - end_bytes, end_bytes);
    if (memcmp(s->end.magic, TOKEN_STORE_MAGIC, sizeof(s->end.magic)) != 0)
        return damaged(s, "it is of another version, or cut off");
    if (s->end.endian != TOKEN_STORE_ENDIAN)
        return damaged(s, "it is of a machine with another byte order");
    if (!token_store_lay_out(&s->end, &s->at) || s->at.bytes != s->map.bytes)
        return damaged(s, "its length is wrong");
    const uint64_t sums = (s->at.sums + TOKEN_STORE_BLOCK - 1) / TOKEN_STORE_BLOCK * 4;
    uLong sum = crc32(crc32(0, NULL, 0), s->map.data + s->at.sums, (uInt)sums);
    if (crc32(sum, (const Bytef *)&s->end, offsetof(token_store_end, sum)) != s->end.sum)
        return damaged(s, "the checksum of its end is wrong");
    for (uint64_t at = s->at.sums + sums; at < s->at.end; at++)
        if (s->map.data[at])
            return damaged(s, "bytes that mean nothing are set");
    if (s->end.zero)
        return damaged(s, "bytes that mean nothing are set");
    if (s->end.vocab_size != vocab_size)
        return damaged(s, "it is for a vocabulary of another size");
    return VKB_OK;
}

vkb_status token_store_open(vkb_context *ctx, const char *path, const char *key,
                            uint32_t vocab_size, token_store **out)
{
    vkb_status status = VKB_OK;
    token_store *s = calloc(1, sizeof(*s));
    if (!s)
        return vkb_fail_memory(ctx, sizeof(*s), path);
    s->ctx = ctx;
    s->path = strdup(path);
    if (!s->path)
        BASE_TRY(vkb_fail_memory(ctx, strlen(path), path));
    BASE_TRY(file_map_open(ctx, path, &s->map));
    BASE_TRY(check_end(s, vocab_size));
    s->checked = calloc(s->at.sums / TOKEN_STORE_BLOCK / 8 + 1, 1);
    if (!s->checked)
        BASE_TRY(vkb_fail_memory(ctx, s->at.sums / TOKEN_STORE_BLOCK / 8 + 1, path));
    BASE_TRY(check(s, s->at.key, s->end.key_bytes));
    if (key && (strlen(key) != s->end.key_bytes ||
                memcmp(key, s->map.data + s->at.key, s->end.key_bytes) != 0))
        BASE_TRY(vkb_fail(ctx, VKB_BAD_FILE, "%s: the text has changed since these ids were kept",
                          path));
    *out = s;
    s = NULL;
cleanup:
    token_store_close(&s);
    return status;
}

void token_store_close(token_store **store)
{
    token_store *s = store ? *store : NULL;
    if (!s)
        return;
    *store = NULL;
    file_map_close(&s->map);
    free(s->checked);
    free(s->path);
    free(s);
}

// ---- Reading ----

uint64_t token_store_ids(const token_store *s)
{
    return s->end.ids;
}

uint64_t token_store_texts(const token_store *s)
{
    return s->end.texts;
}

uint64_t token_store_documents(const token_store *s)
{
    return s->end.documents;
}

uint32_t token_store_vocab_size(const token_store *s)
{
    return (uint32_t)s->end.vocab_size;
}

static vkb_status range(token_store *s, uint64_t table, uint64_t index, uint64_t most,
                        uint64_t *begin, uint64_t *end)
{
    vkb_status status = number(s, table, index, begin);
    if (status == VKB_OK)
        status = number(s, table, index + 1, end);
    if (status == VKB_OK && (*begin > *end || *end > most))
        status = damaged(s, "a table is not in order");
    return status;
}

vkb_status token_store_text(token_store *s, uint64_t text, uint64_t *begin, uint64_t *count)
{
    uint64_t end = 0;
    vkb_status status = range(s, s->at.starts, text, s->end.ids, begin, &end);
    *count = status == VKB_OK ? end - *begin : 0;
    return status;
}

vkb_status token_store_document(token_store *s, uint64_t document, uint64_t *begin, uint64_t *end)
{
    return range(s, s->at.documents, document, s->end.texts, begin, end);
}

vkb_status token_store_read(token_store *s, uint64_t begin, size_t count, uint32_t *ids)
{
    const uint64_t at = s->at.ids + begin * s->end.id_bytes;
    vkb_status status = check(s, at, (uint64_t)count * s->end.id_bytes);
    if (status != VKB_OK)
        return status;
    const uint8_t *from = s->map.data + at;
    uint32_t largest = 0;
    for (size_t i = 0; i < count; i++) {
        uint16_t narrow;
        if (s->end.id_bytes == 2) {
            memcpy(&narrow, from + 2 * i, 2);
            ids[i] = narrow;
        } else {
            memcpy(&ids[i], from + 4 * i, 4);
        }
        largest = ids[i] > largest ? ids[i] : largest;
    }
    if (count && largest >= s->end.vocab_size)
        return damaged(s, "an id is beyond the vocabulary");
    return VKB_OK;
}

vkb_status token_store_count_of(token_store *s, uint32_t id, uint64_t *count)
{
    return number(s, s->at.counts, id, count);
}
