// A TensorFlow checkpoint to read back and to damage, made byte by byte, and what its tests share.
#ifndef VKB_TESTS_HF_BUNDLE_FIXTURE_H
#define VKB_TESTS_HF_BUNDLE_FIXTURE_H

#include "tests/check.h"
#include "tests/hf/bundle_craft.h"
#include "tests/temp.h"

#include "hf/bundle.h"
#include "hf/folder.h"
#include "hf/names.h"
#include "hf/weights.h"

static vkb_context *ctx;
static char *folder;
static const char data_name[] = "m.ckpt.data-00000-of-00001";

// ---- A checkpoint with everything in it ----

// The data file: floats 0, 1, 2, ... of which tensors are pieces.
static float numbers[64];

static uint32_t sum_of(uint64_t offset, uint64_t size)
{
    return crc32c(0, (const uint8_t *)numbers + offset, (size_t)size);
}

// A tensor of floats number `first` and on.
static entry_spec floats(uint32_t rank, uint64_t rows, uint64_t cols, uint64_t first)
{
    entry_spec e = {.rank = rank, .shape = {rows, cols}, .offset = 4 * first};
    e.size = rank == 0 ? 4 : rank == 1 ? 4 * rows : 4 * rows * cols;
    e.sum = sum_of(e.offset, e.size);
    return e;
}

static void add(table *t, const char *name, entry_spec e)
{
    block_add(&t->block, name, entry_message(e));
}

static void write_files(const table *t, size_t data_bytes)
{
    temp_write(folder, "m.ckpt.index", t->file.at, t->file.count);
    temp_write(folder, data_name, numbers, data_bytes);
}

static void make_whole(table *t)
{
    *t = (table){.file = {.count = 0}};
    block_header(&t->block, 1);
    add(t, "bert/embeddings/LayerNorm/gamma", floats(1, 3, 0, 0));
    add(t, "bert/embeddings/LayerNorm/gamma/adam_m", floats(1, 3, 0, 3));
    add(t, "bert/embeddings/LayerNorm/gamma/adam_v", floats(1, 3, 0, 6));
    add(t, "bert/embeddings/word_embeddings", floats(2, 5, 3, 9));
    table_flush(t);
    add(t, "bert/pooler/dense/kernel", floats(2, 2, 4, 24));
    add(t, "cls/seq_relationship/output_weights", floats(2, 2, 3, 32));
    add(t, "global_step",
        (entry_spec){.dtype = 9, .offset = 152, .size = 8, .sum = sum_of(152, 8)});
    add(t, "zero", floats(2, 0, 7, 38));
    table_end(t);
}

static const char *index_path(void)
{
    return temp_path(folder, "m.ckpt.index");
}

static void check_refused(const char *part)
{
    hf_weights weights = {0};
    CHECK_INT(hf_weights_open(ctx, index_path(), &weights), VKB_BAD_FILE);
    CHECK_HAS(vkb_error(ctx), part);
    CHECK_HAS(vkb_error(ctx), "m.ckpt.");
    hf_weights_close(&weights);
}

#endif
