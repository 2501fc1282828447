// The token store: what is written is read; what is stale, damaged or foreign is refused by name, and
// made anew by the data set.
#include "fixture.h"

#include "text/dataset.h"
#include "text/token_store.h"

#include <sys/stat.h>

enum { TEXTS = 3000, VOCAB = 70000 };

// Text t has t % 7 ids, t + i each; every fifth begins a document.
static const char *write_store(const char *name, uint32_t vocab_size)
{
    token_writer *writer = NULL;
    const char *path = fixture_path(name);
    CHECK_INT(token_writer_create(ctx, path, vocab_size, &writer), VKB_OK);
    for (uint32_t t = 0; t < TEXTS; t++) {
        uint32_t ids[7];
        for (uint32_t i = 0; i < t % 7; i++)
            ids[i] = (t * 31 + i) % vocab_size;
        CHECK_INT(token_writer_add(writer, ids, t % 7, t % 5 == 0), VKB_OK);
    }
    CHECK_INT(token_writer_finish(&writer, "the key"), VKB_OK);
    CHECK(writer == NULL);
    return path;
}

TEST(reads_what_was_written)
{
    static const uint32_t sizes[] = {100, 65536, 65537, VOCAB}; // 16 bits an id up to 65,536
    for (size_t s = 0; s < 4; s++) {
        token_store *store = NULL;
        const char *path = write_store("store.tokens", sizes[s]);
        CHECK_INT(token_store_open(ctx, path, "the key", sizes[s], &store), VKB_OK);
        CHECK_INT(token_store_texts(store), TEXTS);
        CHECK_INT(token_store_documents(store), TEXTS / 5);
        uint64_t ids = 0, counted = 0;
        for (uint32_t t = 0; t < TEXTS; t++) {
            uint64_t begin, count;
            uint32_t got[7];
            CHECK_INT(token_store_text(store, t, &begin, &count), VKB_OK);
            CHECK_INT(begin, ids);
            CHECK_INT(count, t % 7);
            CHECK_INT(token_store_read(store, begin, count, got), VKB_OK);
            for (uint32_t i = 0; i < count; i++)
                CHECK_INT(got[i], (t * 31 + i) % sizes[s]);
            ids += count;
        }
        CHECK_INT(token_store_ids(store), ids);
        for (uint32_t id = 0; id < sizes[s]; id++) {
            uint64_t count;
            CHECK_INT(token_store_count_of(store, id, &count), VKB_OK);
            counted += count;
        }
        CHECK_INT(counted, ids);
        uint64_t first, behind;
        CHECK_INT(token_store_document(store, 3, &first, &behind), VKB_OK);
        CHECK_INT(first, 15);
        CHECK_INT(behind, 20);
        token_store_close(&store);
    }
}

// Reads everything; whatever is wrong must be said, not crash.
static vkb_status read_all(const char *path, uint32_t vocab_size)
{
    token_store *store = NULL;
    vkb_status status = token_store_open(ctx, path, NULL, vocab_size, &store);
    if (status != VKB_OK)
        return status;
    for (uint64_t t = 0; t < token_store_texts(store) && status == VKB_OK; t++) {
        uint64_t begin, count;
        uint32_t got[8];
        status = token_store_text(store, t, &begin, &count);
        if (status == VKB_OK)
            status = token_store_read(store, begin, count < 8 ? count : 8, got);
    }
    for (uint64_t d = 0; d < token_store_documents(store) && status == VKB_OK; d++) {
        uint64_t begin, end;
        status = token_store_document(store, d, &begin, &end);
    }
    for (uint32_t id = 0; id < vocab_size && status == VKB_OK; id++) {
        uint64_t count;
        status = token_store_count_of(store, id, &count);
    }
    token_store_close(&store);
    return status;
}

TEST(every_damaged_byte_is_found)
{
    const char *path = write_store("store.tokens", 100);
    char *bytes = NULL;
    size_t size = 0;
    CHECK_INT(file_read(ctx, path, &bytes, &size), VKB_OK);
    CHECK_INT(read_all(path, 100), VKB_OK);
    for (size_t at = 0; at < size; at += at < size - 200 ? 97 : 1) {
        bytes[at] ^= 0x10;
        CHECK_INT(file_write_whole(ctx, path, bytes, size), VKB_OK);
        CHECK_INT(read_all(path, 100), VKB_BAD_FILE);
        CHECK_HAS(vkb_error(ctx), "store.tokens: the token cache is damaged");
        bytes[at] ^= 0x10;
    }
    for (size_t cut = 0; cut < size; cut += 211) {
        CHECK_INT(file_write_whole(ctx, path, bytes, cut), VKB_OK);
        CHECK_INT(read_all(path, 100), VKB_BAD_FILE);
    }
    free(bytes);
    CHECK_INT(read_all(write_store("store.tokens", 100), 101), VKB_BAD_FILE);
    token_store *store = NULL;
    CHECK_INT(token_store_open(ctx, path, "another key", 100, &store), VKB_BAD_FILE);
    CHECK_HAS(vkb_error(ctx), "has changed");
    CHECK_INT(read_all(fixture_path("nowhere"), 100), VKB_BAD_FILE);
}

// ---- The cache of a data set ----

static vkb_tokenizer *tok;

static bool load_from(const char *file, const vkb_dataset_params *params, uint64_t *rows)
{
    vkb_dataset *data = NULL;
    CHECK_INT(vkb_dataset_load(tok, SOURCE(&file, 1), params, &data, NULL), VKB_OK);
    if (!data)
        return false;
    const bool cached = vkb_dataset_was_cached(data);
    *rows = vkb_dataset_rows(data);
    vkb_dataset_destroy(&data);
    return cached;
}

TEST(a_second_run_finds_the_ids_unless_something_changed)
{
    const char *folder = fixture_path("cache");
    const char *file = fixture_write("cached.txt", "a b c\nd e f\n");
    vkb_dataset_params params = {.max_seq_length = 5, .cache_folder = folder};
    uint64_t rows;
    CHECK(!load_from(file, &params, &rows));
    CHECK(load_from(file, &params, &rows));
    CHECK_INT(rows, 2);
    params.rows = VKB_ROWS_LINES; // other rows of the same ids
    params.max_seq_length = 8;
    CHECK(load_from(file, &params, &rows));
    params.rebuild_cache = true;
    CHECK(!load_from(file, &params, &rows));
    params.rebuild_cache = false;
    fixture_write("cached.txt", "a b c\nd e f\ng h\n"); // the text changed under the cache
    CHECK(!load_from(file, &params, &rows));
    CHECK_INT(rows, 3);
    CHECK(load_from(file, &params, &rows));

    char command[512]; // damage every store there
    snprintf(command, sizeof(command),
             "for f in '%s'/*.tokens; do printf x | dd of=\"$f\" bs=1 seek=10 conv=notrunc 2> "
             "/dev/null; done",
             folder);
    CHECK_INT(system(command), 0);
    CHECK(!load_from(file, &params, &rows)); // what opening finds damaged is made anew
    CHECK_INT(rows, 3);
    CHECK(load_from(file, &params, &rows));
}

TEST(does_without_a_cache_folder)
{
    const char *file = fixture_write("alone.txt", "a b c\n");
    vkb_dataset_params params = {.max_seq_length = 8, .cache_folder = "/dev/null/no"};
    uint64_t rows;
    CHECK(!load_from(file, &params, &rows));
    CHECK(!load_from(file, &params, &rows));
    CHECK_INT(rows, 1);
}

int main(void)
{
    fixture_start();
    RUN(reads_what_was_written);
    RUN(every_damaged_byte_is_found);
    tok = fixture_tokenizer("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nc\nd\ne\nf\ng\nh\n",
                            "{\"do_lower_case\": true}");
    RUN(a_second_run_finds_the_ids_unless_something_changed);
    RUN(does_without_a_cache_folder);
    vkb_tokenizer_destroy(&tok);
    fixture_end();
    return check_report();
}
