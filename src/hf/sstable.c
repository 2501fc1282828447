// The reader: walks the blocks that the index names, in order, and checks all of them.
#include "hf/sstable.h"

#include "base/crc32c.h"
#include "hf/proto.h"

#include <string.h>

enum {
    FOOTER = 48,       // two handles, padding, magic
    MAGIC = 8,         // bytes
    BLOCK_TRAILER = 5, // compression, checksum
};

typedef struct table {
    vkb_context *ctx;
    const char *path;
    const uint8_t *data;
    size_t bytes; // without the footer
} table;

typedef struct handle {
    uint64_t offset, size;
} handle;

// A block's entries, and where the next one starts.
typedef struct block {
    const uint8_t *start, *at, *end;
    const uint8_t *restarts; // u32 each, behind the entries
    uint32_t restart_count, restart;
} block;

typedef struct key {
    char at[HF_SSTABLE_KEY_LIMIT];
    size_t bytes;
} key;

static uint32_t read_u32(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static vkb_status fail_damaged(const table *t, const uint8_t *at, const char *what)
{
    return vkb_fail(t->ctx, VKB_BAD_FILE, "%s: is damaged: %s at byte %zu", t->path, what,
                    (size_t)(at - t->data));
}

static bool read_handle(const uint8_t **at, const uint8_t *end, handle *out)
{
    return hf_varint(at, end, &out->offset) && hf_varint(at, end, &out->size);
}

// ---- Blocks ----

static vkb_status check_block(const table *t, handle where, const uint8_t *at)
{
    const uint8_t compression = at[where.size];
    if (compression != 0)
        return vkb_fail(t->ctx, VKB_BAD_FILE,
                        "%s: the block at byte %llu is compressed with %s, expected none, as "
                        "TensorFlow writes it",
                        t->path, (unsigned long long)where.offset,
                        compression == 1 ? "snappy" : "an unknown method");
    if (crc32c_masked(crc32c(0, at, (size_t)where.size + 1)) != read_u32(at + where.size + 1))
        return fail_damaged(t, at, "wrong checksum of the block");
    return VKB_OK;
}

static vkb_status open_block(const table *t, handle where, block *out)
{
    if (where.size > t->bytes || t->bytes - where.size < BLOCK_TRAILER ||
        where.offset > t->bytes - where.size - BLOCK_TRAILER)
        return vkb_fail(t->ctx, VKB_BAD_FILE,
                        "%s: is damaged: a block of %llu bytes at byte %llu would end outside the "
                        "file",
                        t->path, (unsigned long long)where.size, (unsigned long long)where.offset);
    const uint8_t *at = t->data + where.offset;
    vkb_status status = check_block(t, where, at);
    if (status != VKB_OK)
        return status;
    const uint64_t count = where.size < 4 ? 0 : read_u32(at + where.size - 4);
    if (count == 0 || count > where.size / 4 - 1)
        return fail_damaged(t, at, "wrong number of restarts in the block");
    const uint8_t *restarts = at + where.size - 4 - 4 * count;
    *out = (block){at, at, restarts, restarts, (uint32_t)count, 0};
    if (read_u32(restarts) != 0)
        return fail_damaged(t, restarts, "first restart that is not the first entry");
    out->restart = at == restarts; // of no entries: none to come
    return VKB_OK;
}

// Restarts are for searching; those that do not say what is there would mislead other readers.
static bool check_restart(block *b, const uint8_t *entry, uint64_t shared)
{
    if (b->restart == b->restart_count ||
        read_u32(b->restarts + 4 * b->restart) != (uint64_t)(entry - b->start))
        return true;
    b->restart++;
    return shared == 0;
}

// Turns the key before into this entry's; false: it is too long or not above the one before.
static bool next_key(key *k, bool first, const uint8_t *tail, uint64_t shared, uint64_t unshared)
{
    const size_t old = k->bytes - (size_t)shared;
    if (unshared > sizeof(k->at) - shared)
        return false;
    const size_t common = old < unshared ? old : (size_t)unshared;
    const int order = common ? memcmp(k->at + shared, tail, common) : 0;
    if (!first && (order > 0 || (order == 0 && unshared <= old)))
        return false;
    memcpy(k->at + shared, tail, (size_t)unshared);
    k->bytes = (size_t)(shared + unshared);
    return true;
}

// k holds the key before, which a block's first entry does not share, unless it is the table's first.
static vkb_status next_entry(const table *t, block *b, key *k, bool first, hf_sstable_entry *out)
{
    const uint8_t *entry = b->at;
    uint64_t shared, unshared, bytes;
    if (!hf_varint(&b->at, b->end, &shared) || !hf_varint(&b->at, b->end, &unshared) ||
        !hf_varint(&b->at, b->end, &bytes) || unshared > (uint64_t)(b->end - b->at) ||
        bytes > (uint64_t)(b->end - b->at) - unshared)
        return fail_damaged(t, entry, "entry that is longer than its block");
    if (shared > k->bytes || (entry == b->start && shared))
        return fail_damaged(t, entry, "key that shares more than the key before it has");
    if (!check_restart(b, entry, shared))
        return fail_damaged(t, entry, "restart at an entry that shares its key's start");
    if (!next_key(k, first, b->at, shared, unshared))
        return fail_damaged(t, entry, "key that is too long or not above the one before it");
    b->at += unshared;
    *out = (hf_sstable_entry){k->at, k->bytes, b->at, (size_t)bytes};
    b->at += bytes;
    if (b->at == b->end && b->restart != b->restart_count)
        return fail_damaged(t, b->restarts, "restart where no entry starts");
    return VKB_OK;
}

// ---- The table ----

static vkb_status find_index(const table *t, handle *index)
{
    static const uint8_t magic[MAGIC] = {0x57, 0xFB, 0x80, 0x8B, 0x24, 0x75, 0x47, 0xDB};
    const uint8_t *at = t->data + t->bytes, *end = at + FOOTER - MAGIC;
    handle metaindex; // TensorFlow's is empty
    if (memcmp(end, magic, MAGIC) != 0)
        return vkb_fail(t->ctx, VKB_BAD_FILE,
                        "%s: does not end as the index of a TensorFlow checkpoint does: it is "
                        "truncated, or another file",
                        t->path);
    if (!read_handle(&at, end, &metaindex) || !read_handle(&at, end, index))
        return fail_damaged(t, t->data + t->bytes, "wrong footer");
    return VKB_OK;
}

static vkb_status walk_block(const table *t, block *b, key *k, bool *first, hf_sstable_visit visit,
                             void *user)
{
    vkb_status status = VKB_OK;
    hf_sstable_entry entry = {0};
    while (b->at < b->end && status == VKB_OK) {
        status = next_entry(t, b, k, *first, &entry);
        *first = false;
        if (status == VKB_OK)
            status = visit(user, &entry);
    }
    return status;
}

// Blocks lie one behind the other, so that no byte of the file is read twice.
static vkb_status walk_blocks(const table *t, block *index, hf_sstable_visit visit, void *user)
{
    key index_key = {.bytes = 0}, entry_key = {.bytes = 0};
    uint64_t behind = 0;
    bool first_index = true, first = true;
    while (index->at < index->end) {
        hf_sstable_entry entry = {0};
        handle where;
        block b;
        vkb_status status = next_entry(t, index, &index_key, first_index, &entry);
        if (status != VKB_OK)
            return status;
        first_index = false;
        const uint8_t *at = entry.value, *end = at + entry.value_bytes;
        if (!read_handle(&at, end, &where) || at != end)
            return fail_damaged(t, entry.value, "wrong handle of a block");
        if (where.offset < behind)
            return fail_damaged(t, entry.value, "handle of a block that starts inside another");
        status = open_block(t, where, &b);
        if (status == VKB_OK)
            status = walk_block(t, &b, &entry_key, &first, visit, user);
        if (status != VKB_OK)
            return status;
        behind = where.offset + where.size + BLOCK_TRAILER;
    }
    return VKB_OK;
}

vkb_status hf_sstable_walk(vkb_context *ctx, const char *path, const uint8_t *data, size_t bytes,
                           hf_sstable_visit visit, void *user)
{
    if (bytes < FOOTER)
        return vkb_fail(ctx, VKB_BAD_FILE,
                        "%s: has %zu bytes, too few for the index of a TensorFlow checkpoint", path,
                        bytes);
    const table t = {ctx, path, data, bytes - FOOTER};
    handle where;
    block index;
    vkb_status status = find_index(&t, &where);
    if (status == VKB_OK)
        status = open_block(&t, where, &index);
    return status == VKB_OK ? walk_blocks(&t, &index, visit, user) : status;
}
