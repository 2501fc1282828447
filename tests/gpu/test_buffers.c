// Buffers: what goes up comes down, by every way; what does not fit is refused by name.
#include "check.h"
#include "devices.h"

#include "gpu/gpu.h"

#include <stdlib.h>

static vkb_device *dev;

static const char *last_error(void)
{
    return vkb_error(gpu_context(dev));
}

// ---- Up and down ----

static uint8_t pattern(uint64_t i, unsigned seed)
{
    return (uint8_t)((i * 2654435761u + seed) >> 7);
}

// Writes a pattern to bytes offset .. offset + bytes of a buffer and reads everything back.
static void round_trip(uint64_t size, uint64_t offset, uint64_t bytes)
{
    char text[80];
    snprintf(text, sizeof(text), "%llu at %llu of %llu", (unsigned long long)bytes,
             (unsigned long long)offset, (unsigned long long)size);
    check_case = text;
    uint8_t *host = malloc(size);
    gpu_buffer *buffer = NULL;
    CHECK_INT(gpu_buffer_create(dev, "trip", size, GPU_LOCAL, &buffer), VKB_OK);
    for (uint64_t i = 0; i < size; i++)
        host[i] = pattern(i, 1);
    CHECK_INT(gpu_upload(dev, gpu_whole(buffer), host), VKB_OK);
    for (uint64_t i = 0; i < bytes; i++)
        host[i] = pattern(offset + i, 2);
    CHECK_INT(gpu_upload(dev, gpu_part(gpu_whole(buffer), offset, bytes), host), VKB_OK);
    memset(host, 0, size);
    CHECK_INT(gpu_download(dev, gpu_whole(buffer), host), VKB_OK);
    uint64_t wrong = 0;
    for (uint64_t i = 0; i < size; i++)
        wrong += host[i] != pattern(i, i >= offset && i < offset + bytes ? 2 : 1);
    CHECK_INT(wrong, 0);
    gpu_buffer_destroy(&buffer);
    CHECK(buffer == NULL);
    free(host);
    check_case = "";
}

static void round_trips(void)
{
    round_trip(1, 0, 1);
    round_trip(7, 3, 3);
    round_trip(1001, 5, 990);
    round_trip(4096, 1024, 2048);
    round_trip((33 << 20) + 3, 12345, 32 << 20); // more than two staging buffers
}

TEST(comes_back_as_it_went)
{
    round_trips();
}

TEST(comes_back_through_staging_buffers)
{
    gpu_test_force_staging(dev, true);
    round_trips();
    gpu_test_force_staging(dev, false);
}

TEST(mapped_memory_is_seen_by_both)
{
    gpu_buffer *up = NULL, *back = NULL, *local = NULL;
    CHECK_INT(gpu_buffer_create(dev, "up", 64, GPU_UPLOAD, &up), VKB_OK);
    CHECK_INT(gpu_buffer_create(dev, "back", 64, GPU_READBACK, &back), VKB_OK);
    CHECK_INT(gpu_buffer_create(dev, "local", 64, GPU_LOCAL, &local), VKB_OK);
    CHECK(gpu_mapped(gpu_whole(local)) == NULL);
    CHECK(gpu_mapped((gpu_view){0}) == NULL);
    uint8_t *to = gpu_mapped(gpu_part(gpu_whole(up), 4, 8)), seen[64];
    CHECK(to == (uint8_t *)gpu_mapped(gpu_whole(up)) + 4);
    memset(gpu_mapped(gpu_whole(up)), 5, 64);
    memset(to, 6, 8);
    CHECK_INT(gpu_download(dev, gpu_whole(up), seen), VKB_OK);
    CHECK_INT(seen[3], 5);
    CHECK_INT(seen[4], 6);
    CHECK_INT(seen[12], 5);
    CHECK_INT(gpu_upload(dev, gpu_whole(back), seen), VKB_OK);
    CHECK(memcmp(gpu_mapped(gpu_whole(back)), seen, 64) == 0);
    gpu_buffer_destroy(&up);
    gpu_buffer_destroy(&back);
    gpu_buffer_destroy(&local);
}

// ---- Copies and fills in a stream, odd sizes ----

typedef struct copies {
    gpu_view up, local, back;
} copies;

static void record_copies(gpu_stream *s, void *user)
{
    copies *c = user;
    gpu_fill(s, c->local, 0x03020100);
    gpu_copy(s, gpu_part(c->up, 1, 5), gpu_part(c->local, 9, 5));
    gpu_copy(s, gpu_part(c->local, 20, 3), gpu_part(c->local, 1, 3));
    gpu_copy(s, c->local, c->back);
}

TEST(copies_and_fills_of_odd_sizes)
{
    gpu_buffer *up = NULL, *back = NULL, *local = NULL;
    CHECK_INT(gpu_buffer_create(dev, "up", 16, GPU_UPLOAD, &up), VKB_OK);
    CHECK_INT(gpu_buffer_create(dev, "back", 32, GPU_READBACK, &back), VKB_OK);
    CHECK_INT(gpu_buffer_create(dev, "local", 32, GPU_LOCAL, &local), VKB_OK);
    copies c = {gpu_whole(up), gpu_whole(local), gpu_whole(back)};
    memcpy(gpu_mapped(c.up), "abcdefghijklmnop", 16);
    CHECK_INT(gpu_run_once(dev, "copies", record_copies, &c), VKB_OK);
    static const uint8_t expected[32] = {0, 0, 1, 2, 0, 1, 2, 3, 0, 'b', 'c', 'd', 'e', 'f', 2, 3,
                                         0, 1, 2, 3, 0, 1, 2, 3, 0, 1,   2,   3,   0,   1,   2, 3};
    CHECK(memcmp(gpu_mapped(c.back), expected, 32) == 0);
    gpu_buffer_destroy(&up);
    gpu_buffer_destroy(&back);
    gpu_buffer_destroy(&local);
}

// ---- Many buffers in few allocations ----

TEST(buffers_share_blocks_and_give_them_back)
{
    enum { MANY = 300 };
    gpu_buffer *many[MANY] = {0};
    uint64_t before = gpu_count(dev).allocations;
    uint8_t bytes[3000], seen[3000];
    for (int i = 0; i < MANY; i++) {
        CHECK_INT(
            gpu_buffer_create(dev, "one of many", (uint64_t)(1 + 10 * i), GPU_LOCAL, &many[i]),
            VKB_OK);
        memset(bytes, i, sizeof(bytes));
        CHECK_INT(gpu_upload(dev, gpu_whole(many[i]), bytes), VKB_OK);
    }
    CHECK(gpu_count(dev).allocations - before <= 2);
    // holes are filled again, and no buffer's bytes are another's
    for (int i = 0; i < MANY; i += 3)
        gpu_buffer_destroy(&many[i]);
    for (int i = 0; i < MANY; i += 3) {
        CHECK_INT(gpu_buffer_create(dev, "again", (uint64_t)(1 + 10 * i), GPU_LOCAL, &many[i]),
                  VKB_OK);
        memset(bytes, i, sizeof(bytes));
        CHECK_INT(gpu_upload(dev, gpu_whole(many[i]), bytes), VKB_OK);
    }
    CHECK(gpu_count(dev).allocations - before <= 2);
    for (int i = 0; i < MANY; i++) {
        CHECK_INT(gpu_download(dev, gpu_whole(many[i]), seen), VKB_OK);
        CHECK(seen[0] == (uint8_t)i && seen[10 * i] == (uint8_t)i);
        gpu_buffer_destroy(&many[i]);
    }
}

// ---- Refusals ----

TEST(too_large_is_refused_by_name)
{
    const vkb_device_info *info = vkb_device_get_info(dev);
    gpu_buffer *buffer = NULL;
    CHECK_INT(gpu_buffer_create(dev, "huge", info->max_allocation + 1, GPU_LOCAL, &buffer),
              VKB_OUT_OF_MEMORY);
    CHECK_HAS(last_error(), "buffer huge");
    CHECK_HAS(last_error(), "maxMemoryAllocationSize");
    CHECK_INT(gpu_buffer_create(dev, "none", 0, GPU_LOCAL, &buffer), VKB_BAD_ARGUMENT);
    CHECK_HAS(last_error(), "buffer none");
    CHECK(buffer == NULL);
}

TEST(no_memory_is_refused_by_name)
{
    gpu_buffer *small = NULL, *large = NULL;
    gpu_test_limit_memory(dev, 48 << 20);
    CHECK_INT(gpu_buffer_create(dev, "small", 20 << 20, GPU_LOCAL, &small), VKB_OK);
    CHECK_INT(gpu_buffer_create(dev, "large", 60 << 20, GPU_LOCAL, &large), VKB_OUT_OF_MEMORY);
    CHECK_HAS(last_error(), "buffer large: 62914560 bytes do not fit");
    CHECK(large == NULL);
    CHECK_INT(gpu_buffer_create(dev, "rest", 4 << 20, GPU_LOCAL, &large), VKB_OK);
    gpu_buffer_destroy(&large);
    gpu_buffer_destroy(&small);
    gpu_test_limit_memory(dev, UINT64_MAX);
    CHECK_INT(gpu_buffer_create(dev, "large", 60 << 20, GPU_LOCAL, &large), VKB_OK);
    gpu_buffer_destroy(&large);
}

static void all_tests(vkb_device *device)
{
    dev = device;
    RUN(comes_back_as_it_went);
    RUN(comes_back_through_staging_buffers);
    RUN(mapped_memory_is_seen_by_both);
    RUN(copies_and_fills_of_odd_sizes);
    RUN(buffers_share_blocks_and_give_them_back);
    RUN(too_large_is_refused_by_name);
    RUN(no_memory_is_refused_by_name);
}

int main(void)
{
    return devices_run(all_tests) ? check_report() : 77;
}
