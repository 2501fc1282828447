// The ground: published numbers of generator and checksum, files that appear whole or not at all, sentences.
#include "base/array.h"
#include "base/crc32c.h"
#include "base/file.h"
#include "base/philox.h"
#include "check.h"
#include "temp.h"
#include "test_clock.h"

#include <sys/stat.h>

static vkb_context *ctx;

static void philox_check(uint64_t key, philox4 counter, philox4 expected)
{
    const philox4 seen = philox(key, counter);
    for (int i = 0; i < 4; i++)
        CHECK_INT(seen.v[i], expected.v[i]);
}

// Known answers of philox4x32-10, Random123's kat_vectors.
TEST(philox_gives_the_published_numbers)
{
    philox_check(0, (philox4){{0, 0, 0, 0}},
                 (philox4){{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}});
    philox_check(0xffffffffffffffff, (philox4){{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}},
                 (philox4){{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}});
    philox_check(0x299f31d0a4093822, (philox4){{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}},
                 (philox4){{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}});
}

TEST(uniform_is_below_one)
{
    CHECK_NEAR(philox_uniform(0), 0, 0);
    CHECK(philox_uniform(0xffffffff) < 1.0f);
    CHECK_NEAR(philox_uniform(0x80000000), 0.5, 0);
}

TEST(a_file_appears_when_it_is_whole)
{
    char *folder = temp_folder();
    const char *path = temp_path(folder, "a.txt");
    file_writer *writer = NULL;
    CHECK_INT(file_create(ctx, path, &writer), VKB_OK);
    CHECK_INT(file_write(writer, "abc", 3), VKB_OK);
    CHECK(!file_exists(path));
    CHECK_INT(file_commit(&writer), VKB_OK);
    CHECK(writer == NULL);
    size_t bytes = 0;
    char *text = temp_read(folder, "a.txt", &bytes);
    CHECK_INT(bytes, 3);
    CHECK_STR(text, "abc");
    free(text);
    temp_remove(folder);
}

TEST(an_abandoned_file_leaves_the_old_one)
{
    char *folder = temp_folder();
    const char *path = temp_path(folder, "a.txt");
    file_writer *writer = NULL;
    CHECK_INT(file_write_whole(ctx, path, "old", 3), VKB_OK);
    CHECK_INT(file_create(ctx, path, &writer), VKB_OK);
    CHECK_INT(file_write(writer, "new text", 8), VKB_OK);
    file_abandon(&writer);
    file_abandon(&writer); // of NULL: nothing
    char *text = temp_read(folder, "a.txt", NULL);
    CHECK_STR(text, "old");
    free(text);
    CHECK_INT(unlink(path), 0);
    CHECK_INT(rmdir(folder), 0); // nothing else is left in it
    free(folder);
}

TEST(what_cannot_be_written_is_one_sentence)
{
    file_writer *writer = NULL;
    CHECK_INT(file_create(ctx, "/nowhere/a.txt", &writer), VKB_IO);
    CHECK_HAS(vkb_error(ctx), "/nowhere/a.txt: cannot be created: No such file or directory");
    CHECK_INT(folder_create(ctx, "/proc/nowhere/deep"), VKB_IO);
    CHECK_HAS(vkb_error(ctx), "/proc/nowhere/deep: the folder cannot be created");
}

TEST(reads_whole_and_mapped)
{
    char *folder = temp_folder(), *text = NULL;
    size_t bytes = 0;
    file_map map = {0};
    temp_write(folder, "empty", "", 0);
    temp_write(folder, "some", "a\0b", 3);
    CHECK_INT(file_read(ctx, temp_path(folder, "some"), &text, &bytes), VKB_OK);
    CHECK_INT(bytes, 3);
    CHECK(text && memcmp(text, "a\0b", 4) == 0);
    free(text);
    CHECK_INT(file_map_open(ctx, temp_path(folder, "some"), &map), VKB_OK);
    CHECK(map.bytes == 3 && memcmp(map.data, "a\0b", 3) == 0);
    file_map_close(&map);
    CHECK_INT(file_map_open(ctx, temp_path(folder, "empty"), &map), VKB_OK);
    CHECK(map.bytes == 0 && map.data == NULL);
    file_map_close(&map);
    CHECK_INT(file_map_open(ctx, folder, &map), VKB_BAD_FILE);
    CHECK_HAS(vkb_error(ctx), "is a folder, expected a file");
    CHECK_INT(file_read(ctx, temp_path(folder, "none"), &text, &bytes), VKB_BAD_FILE);
    CHECK_HAS(vkb_error(ctx), "none: cannot be opened: No such file or directory");
    temp_remove(folder);
}

TEST(folders_are_made_with_their_parents)
{
    char *folder = temp_folder();
    const char *deep = temp_path(folder, "a/b/c");
    CHECK_INT(folder_create(ctx, deep), VKB_OK);
    CHECK_INT(folder_create(ctx, deep), VKB_OK);
    CHECK(file_is_folder(deep));
    CHECK_INT(rmdir(deep), 0);
    CHECK_INT(rmdir(temp_path(folder, "a/b")), 0);
    CHECK_INT(rmdir(temp_path(folder, "a")), 0);
    temp_remove(folder);
}

TEST(paths_join)
{
    const struct {
        const char *folder, *name, *joined;
    } cases[] = {{"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"", "b", "/b"}, {"/", "b", "/b"}};
    for (size_t i = 0; i < BASE_COUNT(cases); i++) {
        char *joined = path_join(cases[i].folder, cases[i].name);
        CHECK_STR(joined, cases[i].joined);
        free(joined);
    }
}

TEST(arrays_grow_and_refuse_the_impossible)
{
    struct {
        uint64_t *at;
        size_t count, capacity;
    } list = {0};
    for (uint64_t i = 0; i < 1000; i++) {
        CHECK(array_reserve(&list, list.count + 1));
        list.at[list.count++] = i;
    }
    CHECK(list.at[0] == 0 && list.at[999] == 999);
    CHECK(!array_reserve(&list, SIZE_MAX / 4));
    CHECK(list.at[999] == 999);
    free(list.at);
}

// RFC 3720, B.4
TEST(crc32c_gives_the_published_sums)
{
    uint32_t (*const both[])(uint32_t, const void *, size_t) = {crc32c, crc32c_tables};
    for (size_t i = 0; i < 2; i++) {
        uint8_t data[32] = {0};
        CHECK_INT(both[i](0, data, 32), 0x8A9136AA);
        memset(data, 0xFF, 32);
        CHECK_INT(both[i](0, data, 32), 0x62A8AB43);
        for (int k = 0; k < 32; k++)
            data[k] = (uint8_t)k;
        CHECK_INT(both[i](0, data, 32), 0x46DD794E);
        CHECK_INT(both[i](0, "123456789", 9), 0xE3069283);
        CHECK_INT(both[i](both[i](0, "1234", 4), "56789", 5), 0xE3069283);
        CHECK_INT(both[i](0, NULL, 0), 0);
    }
}

TEST(a_failure_may_quote_the_one_before)
{
    vkb_fail(ctx, VKB_IO, "disk full");
    CHECK_INT(vkb_fail(ctx, VKB_FAILED, "saving: %s", vkb_error(ctx)), VKB_FAILED);
    CHECK_STR(vkb_error(ctx), "saving: disk full");
}

static void count_lines(void *user, vkb_log_level level, const char *sentence)
{
    (void)level;
    *(int *)user += strncmp(sentence, "once", 4) == 0;
}

TEST(a_line_is_said_once_in_a_context)
{
    int lines = 0;
    vkb_context *other = vkb_context_create(count_lines, &lines);
    for (int i = 0; i < 3; i++)
        vkb_log_once(other, VKB_LOG_INFO, "once %d", i);
    CHECK_INT(lines, 1);
    vkb_log_once(other, VKB_LOG_INFO, "once, of another format");
    CHECK_INT(lines, 2);
    vkb_context_destroy(&other);
    other = vkb_context_create(count_lines, &lines);
    vkb_log_once(other, VKB_LOG_INFO, "once, in another context");
    CHECK_INT(lines, 3);
    vkb_context_destroy(&other);
}

TEST(exit_codes_are_the_documented_ones)
{
    CHECK_INT(vkb_exit_code(VKB_OK), 0);
    CHECK_INT(vkb_exit_code(VKB_IO), 1);
    CHECK_INT(vkb_exit_code(VKB_BAD_ARGUMENT), 2);
    CHECK_INT(vkb_exit_code(VKB_BAD_FILE), 3);
    CHECK_INT(vkb_exit_code(VKB_NO_DEVICE), 4);
    CHECK_INT(vkb_exit_code(VKB_INTERRUPTED), 130);
}

TEST(a_clock_goes_forward_and_can_be_replaced)
{
    const double before = clock_seconds(ctx);
    CHECK(clock_seconds(ctx) >= before);
    test_clock clock = {.now = 5, .step = 0.25};
    test_clock_use(ctx, &clock);
    CHECK_NEAR(clock_seconds(ctx), 5.25, 0);
    clock.now = 7;
    CHECK_NEAR(clock_seconds(ctx), 7.25, 0);
    vkb_context *other = vkb_context_create(NULL, NULL); // has its own
    CHECK(clock_seconds(other) >= before);
    vkb_context_destroy(&other);
    clock_replace(ctx, NULL, NULL);
    CHECK(clock_seconds(ctx) >= before);
    CHECK_NEAR(clock.now, 7.25, 0);
}

int main(void)
{
    ctx = vkb_context_create(NULL, NULL);
    RUN(philox_gives_the_published_numbers);
    RUN(uniform_is_below_one);
    RUN(a_file_appears_when_it_is_whole);
    RUN(an_abandoned_file_leaves_the_old_one);
    RUN(what_cannot_be_written_is_one_sentence);
    RUN(reads_whole_and_mapped);
    RUN(folders_are_made_with_their_parents);
    RUN(paths_join);
    RUN(arrays_grow_and_refuse_the_impossible);
    RUN(crc32c_gives_the_published_sums);
    RUN(a_failure_may_quote_the_one_before);
    RUN(a_line_is_said_once_in_a_context);
    RUN(exit_codes_are_the_documented_ones);
    RUN(a_clock_goes_forward_and_can_be_replaced);
    vkb_context_destroy(&ctx);
    return check_report();
}
