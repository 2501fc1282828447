// TensorFlow's checkpoints refused with a sentence, for every way in which they can be wrong.
#include "tests/hf/bundle_fixture.h"

// ---- Damage ----

static void refuse(table *t, const char *part)
{
    write_files(t, sizeof(numbers));
    check_case = part;
    check_refused(part);
    check_case = "";
}

static void cut(const char *name, size_t left)
{
    if (truncate(temp_path(folder, name), (off_t)left) != 0)
        temp_failed(name);
}

static void change_byte(const char *name, size_t at)
{
    FILE *file = fopen(temp_path(folder, name), "r+b");
    if (!file || fseek(file, (long)at, SEEK_SET) != 0)
        temp_failed(name);
    const int byte = fgetc(file);
    if (fseek(file, (long)at, SEEK_SET) != 0 || fputc(byte ^ 0x11, file) == EOF ||
        fclose(file) != 0)
        temp_failed(name);
}

TEST(refuses_what_is_cut_anywhere)
{
    table t;
    hf_weights weights = {0};
    make_whole(&t);
    write_files(&t, sizeof(numbers));
    for (size_t left = t.file.count; left-- > 0;) {
        cut("m.ckpt.index", left);
        check_refused(left == 0   ? "is empty"
                      : left < 48 ? "too few for the index"
                                  : "m.ckpt.index");
    }
    const size_t data = 38 * 4; // where the last tensor ends
    write_files(&t, data);
    for (size_t left = data; left-- > 0;) {
        cut(data_name, left);
        check_refused("is truncated: tensor ");
    }
    write_files(&t, data);
    CHECK_INT(hf_weights_open(ctx, index_path(), &weights), VKB_OK);
    hf_weights_close(&weights);
}

// Every byte counts, but those of the metaindex, which nobody uses, and of the footer's padding.
TEST(refuses_every_changed_byte)
{
    table t;
    make_whole(&t);
    write_files(&t, sizeof(numbers));
    int accepted = 0;
    for (size_t i = 0; i < t.file.count; i++) {
        hf_weights weights = {0};
        change_byte("m.ckpt.index", i);
        vkb_status status = hf_weights_open(ctx, index_path(), &weights);
        CHECK(status == VKB_OK || status == VKB_BAD_FILE);
        accepted += status == VKB_OK && i < t.file.count - 48;
        hf_weights_close(&weights);
        change_byte("m.ckpt.index", i);
    }
    CHECK_INT(accepted, 8 + 5); // an empty block of 8 bytes and its trailer
    for (size_t i = 0; i < 4 * 38; i++) {
        const bool state = i >= 4 * 3 && i < 4 * 9; // the optimiser's
        hf_weights weights = {0};
        change_byte(data_name, i);
        CHECK_INT(hf_weights_open(ctx, index_path(), &weights), state ? VKB_OK : VKB_BAD_FILE);
        if (!state)
            CHECK_HAS(vkb_error(ctx), "is damaged: its bytes do not have the checksum");
        hf_weights_close(&weights);
        change_byte(data_name, i);
    }
}

// A table of one tensor, in a block that is not finished yet.
static table *start_one(entry_spec e)
{
    static table t;
    t = (table){.file = {.count = 0}};
    block_header(&t.block, 1);
    add(&t, "bert/x", e);
    return &t;
}

static void refuse_entry(entry_spec e, const char *part)
{
    table *t = start_one(e);
    table_end(t);
    refuse(t, part);
}

TEST(refuses_wrong_entries)
{
    entry_spec e = floats(2, 2, 3, 0);
#define WRONG(member, value, part)                                                                 \
    do {                                                                                           \
        entry_spec wrong = e;                                                                      \
        wrong.member = (value);                                                                    \
        refuse_entry(wrong, part);                                                                 \
    } while (0)
    WRONG(size, 25, "tensor bert/x has 25 bytes of data, expected 24 for F32 [2,3]");
    WRONG(size, 0, "has 0 bytes of data");
    WRONG(offset, 256 - 23, "is truncated: tensor bert/x has 24 bytes at byte 233");
    WRONG(offset, UINT64_MAX, "is truncated");
    WRONG(offset, UINT64_MAX - 23, "is truncated");
    WRONG(shard, 1, "tensor bert/x is in shard 1, but there are only 1");
    WRONG(shard, UINT64_MAX, "is in shard 18446744073709551615, expected 99999 at most");
    WRONG(dtype, 11, "dtype number 11");
    WRONG(dtype, UINT64_MAX, "dtype number");
    WRONG(sum, 1, "tensor bert/x is damaged");
    WRONG(shape[0], UINT64_MAX, "the entry of tensor bert/x is damaged"); // -1
    WRONG(shape[0], INT64_MAX, "the size of F32");
    WRONG(unknown_rank, true, "the entry of tensor bert/x is damaged");
    WRONG(rank, 9, "the entry of tensor bert/x is damaged");
    WRONG(slices, 2, "tensor bert/x is cut into 2 slices");
}

TEST(refuses_wrong_messages)
{
    static const struct {
        const char *text;
        size_t bytes;
    } broken[] = {
        {"\x08", 1},                                          // a number that ends early
        {"\x12\x05\x12", 3},                                  // a shape that ends early
        {"\x12\x02\x12\x05", 4},                              // a dimension that ends early
        {"\x10\x01", 2},                                      // a shape that is a number
        {"\x35\x01\x02\x03", 4},                              // three bytes of fixed32
        {"\x0B", 1},                                          // a group
        {"\x00", 1},                                          // field 0
        {"\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02", 11}, // 65 bits
        {"\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 12},
        {"\x12\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 11}, // longer than memory
    };
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        craft_bytes m = {.count = 0};
        put(&m, broken[i].text, broken[i].bytes);
        table t = {.file = {.count = 0}};
        block_header(&t.block, 1);
        block_add(&t.block, "bert/x", &m);
        table_end(&t);
        refuse(&t, "the entry of tensor bert/x is damaged");
        t = (table){.file = {.count = 0}};
        block_add(&t.block, "", &m);
        table_end(&t);
        if (i != 1 && i != 2 && i != 3) // to a header, no shapes
            refuse(&t, "its header is damaged");
    }
}

static void refuse_header(const char *text, size_t count, const char *part)
{
    craft_bytes m = {.count = 0};
    table t = {.file = {.count = 0}};
    put(&m, text, count);
    block_add(&t.block, "", &m);
    table_end(&t);
    refuse(&t, part);
}

TEST(refuses_wrong_headers)
{
    table t = {.file = {.count = 0}};
    refuse_header("", 0, "has 0 shards");
    refuse_header("\x08\xFF\xFF\xFF\xFF\x07", 6, "has 2147483647 shards");
    refuse_header("\x08\x01\x10\x01", 4, "big-endian");
    refuse_header("\x08\x01\x1A\x02\x10\x02", 6, "wants a reader of version 2");
    refuse_header("\x08\x01\x1A\x01\x10", 5, "its header is damaged");
    add(&t, "bert/x", floats(1, 1, 0, 0));
    table_end(&t);
    refuse(&t, "has no header");
}

TEST(refuses_other_kinds_of_checkpoints)
{
    table *t = start_one(floats(1, 2, 0, 0));
    t->block = (block_maker){.b = {.count = 0}};
    block_header(&t->block, 1);
    add(t, "_CHECKPOINTABLE_OBJECT_GRAPH", (entry_spec){.dtype = 7, .size = 9});
    add(t, "model/layer-0/.ATTRIBUTES/VARIABLE_VALUE", floats(1, 2, 0, 0));
    table_end(t);
    refuse(t, "is an object-based checkpoint of TensorFlow 2");

    t = start_one(floats(1, 2, 0, 0));
    t->block.compression = 1;
    table_end(t);
    refuse(t, "is compressed with snappy");
    t = start_one(floats(1, 2, 0, 0));
    t->block.compression = 2;
    table_end(t);
    refuse(t, "is compressed with an unknown method");
}

TEST(leaves_strings_and_slices_of_the_training_state_out)
{
    hf_weights weights = {0};
    table t = {.file = {.count = 0}};
    entry_spec cut = floats(2, 2, 3, 0);
    cut.slices = 2;
    block_header(&t.block, 1);
    block_add_key(&t.block, "\0bert/x/adam_m\0\1", 16, entry_message(floats(1, 3, 0, 0)));
    add(&t, "bert/x", floats(2, 2, 3, 0));
    add(&t, "bert/x-y", floats(1, 1, 0, 6)); // sorted between a name and what is below it
    add(&t, "bert/x/adam_m", cut);
    add(&t, "text", (entry_spec){.dtype = 7, .rank = 1, .shape = {9}, .size = 3});
    table_end(&t);
    write_files(&t, sizeof(numbers));
    CHECK_INT(hf_weights_open(ctx, index_path(), &weights), VKB_OK);
    CHECK_INT(weights.tensor_count, 2);
    hf_weights_close(&weights);
}

// ---- Wrong tables ----

static const craft_bytes *one_float(void)
{
    return entry_message(floats(1, 1, 0, 0));
}

TEST(refuses_wrong_keys)
{
    char longest[1100];
    table *t = start_one(floats(1, 1, 0, 0));
    add(t, "bert/x", floats(1, 1, 0, 1));
    table_end(t);
    refuse(t, "not above the one before");
    t = start_one(floats(1, 1, 0, 0));
    add(t, "bert/", floats(1, 1, 0, 1));
    table_end(t);
    refuse(t, "not above the one before");
    t = start_one(floats(1, 1, 0, 0));
    table_flush(t);
    add(t, "bert/a", floats(1, 1, 0, 1)); // in the next block
    table_end(t);
    refuse(t, "not above the one before");
    t = start_one(floats(1, 1, 0, 0));
    block_add_raw(&t->block, 7, "y", 1, one_float());
    table_end(t);
    refuse(t, "shares more than the key before it has");
    t = start_one(floats(1, 1, 0, 0));
    table_flush(t);
    block_add_raw(&t->block, 1, "y", 1, one_float()); // with the block before
    t->block.last[0] = 'c';
    t->block.last_bytes = 1;
    table_end(t);
    refuse(t, "shares more than the key before it has");
    t = start_one(floats(1, 1, 0, 0));
    block_add_key(&t->block, "bert\0y", 6, one_float());
    block_add_key(&t->block, "c\0y", 3, one_float());
    table_end(t);
    refuse(t, "not above");
    t = start_one(floats(1, 1, 0, 0));
    block_add_key(&t->block, "c\0y", 3, one_float());
    table_end(t);
    refuse(t, "the name of a tensor has a NUL in it: c");
    memset(longest, 'c', sizeof(longest));
    t = start_one(floats(1, 1, 0, 0));
    block_add_key(&t->block, longest, 1025, one_float());
    table_end(t);
    refuse(t, "key that is too long");
}

// 900 bytes of name for 20 of the file
TEST(refuses_names_that_are_longer_than_the_file)
{
    char name[901];
    static table t;
    memset(name, 'c', sizeof(name));
    block_maker *k = &t.block;
    block_header(k, 1);
    block_add_raw(k, 0, name, 900, entry_message(floats(1, 0, 0, 0)));
    for (int i = 0; i < 100; i++) {
        char end = (char)('d' + i);
        k->since = 1; // no restart
        block_add_raw(k, 899, &end, 1, entry_message(floats(1, 0, 0, 0)));
    }
    table_end(&t);
    refuse(&t, "the names of its tensors are far longer than the file");
}

TEST(refuses_wrong_restarts)
{
    table *t = start_one(floats(1, 1, 0, 0));
    t->block.restarts[0] = 1;
    table_end(t);
    refuse(t, "first restart that is not the first entry");
    t = start_one(floats(1, 1, 0, 0));
    t->block.restarts[t->block.restart_count++] = 3;
    table_end(t);
    refuse(t, "restart where no entry starts");
    t = start_one(floats(1, 1, 0, 0));
    t->block.restarts[t->block.restart_count++] = (uint32_t)t->block.b.count;
    add(t, "bert/y", floats(1, 1, 0, 1)); // shares its start
    table_end(t);
    refuse(t, "restart at an entry that shares its key's start");
    t = start_one(floats(1, 1, 0, 0));
    for (int i = 0; i < 4; i++) // the bytes of one entry are taken for restarts
        t->block.restarts[t->block.restart_count++] = UINT32_MAX;
    table_end(t);
    refuse(t, "restart where no entry starts");
}

// A table whose index block is `index`, and whose footer may point elsewhere.
static void refuse_index(table *t, block_maker *index, const char *part)
{
    block_maker empty = {.b = {.count = 0}};
    const craft_bytes metaindex = *block_end(&empty, &t->file);
    table_footer(&t->file, &metaindex, block_end(index, &t->file));
    refuse(t, part);
}

static craft_bytes handle_of(uint64_t offset, uint64_t size)
{
    craft_bytes h = {.count = 0};
    put_varint(&h, offset);
    put_varint(&h, size);
    return h;
}

TEST(refuses_wrong_blocks)
{
    static const struct {
        uint64_t offset, size;
        const char *part;
    } outside[] = {
        {0, UINT64_MAX, "outside the file"},       {UINT64_MAX, 10, "outside the file"},
        {UINT64_MAX - 14, 10, "outside the file"}, {0, 1 << 20, "outside the file"},
        {0, 3, "checksum of the block"},
    };
    for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
        table *t = start_one(floats(1, 1, 0, 0));
        block_end(&t->block, &t->file);
        const craft_bytes handle = handle_of(outside[i].offset, outside[i].size);
        if (i == 4)
            t->file.at[3] = 0; // "no compression"
        block_add(&t->index, "z", &handle);
        refuse_index(t, &t->index, outside[i].part);
    }
    table *t = start_one(floats(1, 1, 0, 0)); // the same block twice
    const craft_bytes handle = *block_end(&t->block, &t->file);
    block_add(&t->index, "y", &handle);
    block_add(&t->index, "z", &handle);
    refuse_index(t, &t->index, "starts inside another");

    t = start_one(floats(1, 1, 0, 0));
    craft_bytes more = *block_end(&t->block, &t->file);
    put_varint(&more, 1);
    block_add(&t->index, "z", &more);
    refuse_index(t, &t->index, "wrong handle");
    t = start_one(floats(1, 1, 0, 0));
    more.count = 1;
    block_add(&t->index, "z", &more);
    refuse_index(t, &t->index, "wrong handle");

    t = start_one(floats(1, 1, 0, 0)); // a block without room for its restarts
    t->block.restart_count = 0;
    t->block.b.count = 0;
    put_u32(&t->block.b, 0);
    put_u32(&t->file, 0x01000000);
    t->file.at[4] = 0;
    t->file.count = 5;
    put_u32(&t->file, crc32c_masked(crc32c(0, t->file.at, 5)));
    const craft_bytes small = handle_of(0, 4);
    block_add(&t->index, "z", &small);
    refuse_index(t, &t->index, "wrong number of restarts");

    t = start_one(floats(1, 1, 0, 0));
    t->block.wrong_sum = true;
    table_end(t);
    refuse(t, "checksum of the block");
    t = start_one(floats(1, 1, 0, 0));
    put(&t->block.b, "\x00\x7F\x00", 3); // an entry of 127 bytes that are not there
    table_end(t);
    refuse(t, "longer than its block");
    t = start_one(floats(1, 1, 0, 0));
    table_end(t);
    memset(t->file.at + t->file.count - 48, 0xFF, 40);
    refuse(t, "wrong footer");
    t->file.at[t->file.count - 1] = 0;
    refuse(t, "does not end as the index");
}

TEST(refuses_tensors_in_each_other)
{
    table *t = start_one(floats(1, 4, 0, 0));
    add(t, "bert/y", floats(1, 4, 0, 3));
    table_end(t);
    refuse(t, "tensor bert/y starts inside another tensor");
}

int main(void)
{
    ctx = vkb_context_create(NULL, NULL);
    folder = temp_folder();
    for (int i = 0; i < 64; i++)
        numbers[i] = (float)i;
    RUN(refuses_what_is_cut_anywhere);
    RUN(refuses_every_changed_byte);
    RUN(refuses_wrong_entries);
    RUN(refuses_wrong_messages);
    RUN(refuses_wrong_headers);
    RUN(refuses_other_kinds_of_checkpoints);
    RUN(leaves_strings_and_slices_of_the_training_state_out);
    RUN(refuses_wrong_keys);
    RUN(refuses_names_that_are_longer_than_the_file);
    RUN(refuses_wrong_restarts);
    RUN(refuses_wrong_blocks);
    RUN(refuses_tensors_in_each_other);
    temp_remove(folder);
    vkb_context_destroy(&ctx);
    return check_report();
}
