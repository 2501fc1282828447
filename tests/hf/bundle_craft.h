// Makes TensorFlow checkpoints byte by byte, right ones and wrong ones.
//
//     table t = {0};                                         the index:
//     block_header(&t.block, 1);                             its first entry, of one shard
//     block_add(&t.block, "bert/x", entry_message(...));     sorted by name
//     table_flush(&t);                                       a block ends here; as many as one likes
//     table_end(&t);                                         t.file is the whole index
#ifndef VKB_TESTS_BUNDLE_CRAFT_H
#define VKB_TESTS_BUNDLE_CRAFT_H

#include "base/crc32c.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef struct craft_bytes {
    uint8_t at[1 << 15];
    size_t count;
} craft_bytes;

static inline void put(craft_bytes *b, const void *data, size_t count)
{
    memcpy(b->at + b->count, data, count);
    b->count += count;
}

static inline void put_varint(craft_bytes *b, uint64_t value)
{
    for (; value > 127; value >>= 7)
        b->at[b->count++] = (uint8_t)(value | 128);
    b->at[b->count++] = (uint8_t)value;
}

static inline void put_u32(craft_bytes *b, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        b->at[b->count++] = (uint8_t)(value >> 8 * i);
}

// ---- Messages ----

static inline void put_number(craft_bytes *b, uint32_t field, uint64_t value)
{
    if (value) {
        put_varint(b, field << 3);
        put_varint(b, value);
    }
}

static inline void put_message(craft_bytes *b, uint32_t field, const craft_bytes *message)
{
    put_varint(b, field << 3 | 2);
    put_varint(b, message->count);
    put(b, message->at, message->count);
}

typedef struct entry_spec {
    uint64_t dtype; // 0: DT_FLOAT
    uint32_t rank;
    uint64_t shape[10];
    uint64_t shard, offset, size;
    uint32_t sum; // unmasked
    int slices;
    bool unknown_rank;
} entry_spec;

static inline const craft_bytes *entry_message(entry_spec e)
{
    static craft_bytes m;
    craft_bytes shape = {.count = 0}, dim;
    m.count = 0;
    put_number(&m, 1, e.dtype ? e.dtype : 1);
    for (uint32_t i = 0; i < e.rank; i++) {
        dim.count = 0;
        put_number(&dim, 1, e.shape[i]);
        put_message(&shape, 2, &dim);
    }
    put_number(&shape, 3, e.unknown_rank);
    put_message(&m, 2, &shape);
    put_number(&m, 3, e.shard);
    put_number(&m, 4, e.offset);
    put_number(&m, 5, e.size);
    put_varint(&m, 6 << 3 | 5);
    put_u32(&m, crc32c_masked(e.sum));
    dim.count = 0;
    for (int i = 0; i < e.slices; i++)
        put_message(&m, 7, &dim);
    return &m;
}

// ---- Blocks and tables ----

enum { RESTART_EVERY = 3 };

typedef struct block_maker {
    craft_bytes b;
    uint32_t restarts[64], restart_count, since;
    char last[2048];
    size_t last_bytes;
    uint8_t compression;
    bool wrong_sum;
} block_maker;

typedef struct table {
    craft_bytes file;
    block_maker block, index;
} table;

static inline void block_add_raw(block_maker *k, size_t shared, const void *tail, size_t tail_bytes,
                                 const craft_bytes *value)
{
    if (k->b.count == 0 || k->since == RESTART_EVERY) {
        k->restarts[k->restart_count++] = (uint32_t)k->b.count;
        k->since = 0;
    }
    k->since++;
    put_varint(&k->b, shared);
    put_varint(&k->b, tail_bytes);
    put_varint(&k->b, value->count);
    put(&k->b, tail, tail_bytes);
    put(&k->b, value->at, value->count);
}

static inline void block_add_key(block_maker *k, const void *key, size_t key_bytes,
                                 const craft_bytes *value)
{
    const char *name = key;
    size_t shared = 0;
    if (k->b.count && k->since < RESTART_EVERY)
        while (shared < k->last_bytes && shared < key_bytes && k->last[shared] == name[shared])
            shared++;
    block_add_raw(k, shared, name + shared, key_bytes - shared, value);
    memcpy(k->last, key, key_bytes);
    k->last_bytes = key_bytes;
}

static inline void block_add(block_maker *k, const char *key, const craft_bytes *value)
{
    block_add_key(k, key, strlen(key), value);
}

static inline void block_header(block_maker *k, uint32_t shards)
{
    craft_bytes m = {.count = 0}, version = {.count = 0};
    put_number(&m, 1, shards);
    put_number(&version, 1, 1);
    put_message(&m, 3, &version);
    block_add(k, "", &m);
}

// Appends the block to the file; the bytes of its handle.
static inline const craft_bytes *block_end(block_maker *k, craft_bytes *file)
{
    static craft_bytes handle;
    const size_t offset = file->count;
    if (k->restart_count == 0)
        k->restarts[k->restart_count++] = 0;
    for (uint32_t i = 0; i < k->restart_count; i++)
        put_u32(&k->b, k->restarts[i]);
    put_u32(&k->b, k->restart_count);
    put(file, k->b.at, k->b.count);
    put(file, &k->compression, 1);
    put_u32(file, crc32c_masked(crc32c(0, file->at + offset, k->b.count + 1)) ^ k->wrong_sum);
    handle.count = 0;
    put_varint(&handle, offset);
    put_varint(&handle, k->b.count);
    *k = (block_maker){.b = {.count = 0}};
    return &handle;
}

static inline void table_flush(table *t)
{
    char last[sizeof(t->block.last)];
    const size_t last_bytes = t->block.last_bytes;
    memcpy(last, t->block.last, last_bytes);
    const craft_bytes *handle = block_end(&t->block, &t->file);
    block_add_key(&t->index, last, last_bytes, handle);
}

static inline void table_footer(craft_bytes *file, const craft_bytes *metaindex,
                                const craft_bytes *index)
{
    static const uint8_t magic[] = {0x57, 0xFB, 0x80, 0x8B, 0x24, 0x75, 0x47, 0xDB};
    const size_t start = file->count;
    put(file, metaindex->at, metaindex->count);
    put(file, index->at, index->count);
    while (file->count < start + 40)
        put(file, "", 1);
    put(file, magic, sizeof(magic));
}

static inline void table_end(table *t)
{
    block_maker empty = {.b = {.count = 0}};
    if (t->block.b.count)
        table_flush(t);
    const craft_bytes metaindex = *block_end(&empty, &t->file);
    table_footer(&t->file, &metaindex, block_end(&t->index, &t->file));
}

#endif
