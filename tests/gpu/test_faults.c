// Faults that a driver may have, made by gpu_test_break: each looks to the caller as the real one would.
#include "check.h"
#include "devices.h"

#include "gpu/gpu.h"
#include "shaders/params.h"

#include <stdlib.h>

static vkb_device *dev; // lost by some of the tests, so each has one of its own
static vkb_context *ctx;
static char uuid[33];

enum { COUNT = 1024, SIZE = 64 };

typedef struct sum {
    gpu_buffer *x, *y;
    gpu_stream *s;
    uint64_t ticket;
} sum;

static void record_sum(gpu_stream *s, void *user)
{
    sum *it = user;
    gpu_run(s, add, .bind = {gpu_whole(it->x), gpu_whole(it->y)},
            .push = &(struct gelu_params){.count = COUNT}, .spec = {SIZE, 1}, .spec_count = 2,
            .groups = gpu_items(COUNT / 4 / SIZE));
}

static sum sum_open(void)
{
    const vkb_device_params params = {.select = uuid, .validate = devices_validate()};
    sum it = {0};
    float ones[COUNT];
    for (int i = 0; i < COUNT; i++)
        ones[i] = 1;
    if (vkb_device_open(ctx, &params, &dev) != VKB_OK ||
        gpu_buffer_create(dev, "x", sizeof(ones), GPU_LOCAL, &it.x) != VKB_OK ||
        gpu_buffer_create(dev, "y", sizeof(ones), GPU_LOCAL, &it.y) != VKB_OK ||
        gpu_upload(dev, gpu_whole(it.x), ones) != VKB_OK ||
        gpu_upload(dev, gpu_whole(it.y), ones) != VKB_OK) {
        printf("FAIL: %s\n", vkb_error(ctx));
        exit(1);
    }
    return it;
}

static void sum_close(sum *it)
{
    gpu_stream_destroy(&it->s);
    gpu_buffer_destroy(&it->x);
    gpu_buffer_destroy(&it->y);
    vkb_device_close(&dev);
}

static void sum_submit(sum *it)
{
    CHECK(gpu_record(dev, "sum", false, record_sum, it, &it->s) == VKB_OK);
    CHECK(gpu_submit(dev, &it->s, 1, &it->ticket) == VKB_OK);
}

static float first_of_y(const sum *it)
{
    float y[COUNT] = {0};
    CHECK(gpu_download(dev, gpu_whole(it->y), y) == VKB_OK);
    return y[0];
}

TEST(only_the_kernel_that_is_meant_breaks)
{
    sum it = sum_open();
    gpu_test_break(dev, GPU_TEST_GIVES_NOTHING, GPU_add, 0, SIZE / 2);
    sum_submit(&it);
    CHECK(gpu_wait_for(dev, it.ticket, 60) == VKB_OK);
    CHECK_NEAR(first_of_y(&it), 2, 0);
    gpu_test_break(dev, GPU_TEST_GIVES_NOTHING, GPU_add, 0, SIZE);
    gpu_stream_destroy(&it.s);
    sum_submit(&it);
    CHECK(gpu_wait_for(dev, it.ticket, 60) == VKB_OK);
    CHECK_NEAR(first_of_y(&it), 2, 0);
    sum_close(&it);
}

TEST(a_pipeline_that_does_not_build_is_told)
{
    sum it = sum_open();
    gpu_test_break(dev, GPU_TEST_DOES_NOT_BUILD, GPU_add, 0, SIZE);
    CHECK(gpu_record(dev, "sum", false, record_sum, &it, &it.s) == VKB_FAILED);
    CHECK_HAS(vkb_error(ctx), "compiling kernel add failed");
    gpu_test_break(dev, GPU_TEST_NONE, GPU_add, 0, SIZE);
    sum_submit(&it); // the device goes on
    CHECK(gpu_wait(dev, it.ticket) == VKB_OK);
    gpu_stream_destroy(&it.s);
    gpu_test_break(dev, GPU_TEST_DOES_NOT_BUILD, GPU_add, 0, SIZE);
    CHECK(gpu_record(dev, "sum", false, record_sum, &it, &it.s) == VKB_FAILED); // now that it is built
    sum_close(&it);
}

TEST(a_device_that_hangs_is_waited_for_so_long_and_is_lost)
{
    sum it = sum_open();
    gpu_test_break(dev, GPU_TEST_HANGS, GPU_add, 0, SIZE);
    sum_submit(&it);
    CHECK(!gpu_done(dev, it.ticket));
    CHECK(gpu_wait_for(dev, it.ticket, 0.2) == VKB_DEVICE_LOST);
    CHECK_HAS(vkb_error(ctx), "hangs");
    CHECK(gpu_submit(dev, &it.s, 1, &it.ticket) == VKB_DEVICE_LOST);
    sum_close(&it);
}

TEST(a_device_that_is_lost_says_so)
{
    sum it = sum_open();
    gpu_test_break(dev, GPU_TEST_LOST, GPU_add, 0, SIZE);
    CHECK(gpu_record(dev, "sum", false, record_sum, &it, &it.s) == VKB_OK);
    CHECK(gpu_submit(dev, &it.s, 1, &it.ticket) == VKB_DEVICE_LOST);
    CHECK_HAS(vkb_error(ctx), "was lost");
    CHECK(gpu_wait_for(dev, it.ticket, 1) == VKB_DEVICE_LOST);
    sum_close(&it);
}

static void all_tests(vkb_device *found)
{
    memcpy(uuid, vkb_device_get_info(found)->uuid, sizeof(uuid));
    RUN(only_the_kernel_that_is_meant_breaks);
    RUN(a_pipeline_that_does_not_build_is_told);
    RUN(a_device_that_hangs_is_waited_for_so_long_and_is_lost);
    RUN(a_device_that_is_lost_says_so);
}

int main(void)
{
    ctx = vkb_context_create(NULL, NULL);
    const int ran = ctx ? devices_run(all_tests) : 0;
    vkb_context_destroy(&ctx);
    return ran ? check_report() : 77;
}
