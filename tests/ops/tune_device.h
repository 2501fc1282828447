// A device of its own for each test of tuning, as some lose theirs, and an empty cache folder, which the
// next one in the same test finds as it was left.
#ifndef VKB_TESTS_OPS_TUNE_DEVICE_H
#define VKB_TESTS_OPS_TUNE_DEVICE_H

#include "check.h"
#include "devices.h"
#include "temp.h"

#include "ops/tune.h"

static vkb_context *ctx;
static vkb_device *dev;
static gpu_buffer *memory; // for recordings
static char uuid[33], *folder;
static char warnings[8192];

static void keep_warnings(void *user, vkb_log_level level, const char *sentence)
{
    (void)user;
    if (level <= VKB_LOG_WARNING)
        snprintf(warnings + strlen(warnings), sizeof(warnings) - strlen(warnings), "%s\n",
                 sentence);
}

static void open_device(void)
{
    const vkb_device_params params = {.select = uuid, .validate = devices_validate()};
    if (vkb_device_open(ctx, &params, &dev) != VKB_OK) {
        printf("FAIL: %s\n", vkb_error(ctx));
        exit(1);
    }
    CHECK(gpu_buffer_create(dev, "operands", 1 << 20, GPU_LOCAL, &memory) == VKB_OK);
}

static void start(void)
{
    temp_empty(folder);
    *warnings = 0;
    open_device();
}

static void end(void)
{
    gpu_test_break(dev, GPU_TEST_NONE, GPU_matmul_tile, 0, 0);
    gpu_buffer_destroy(&memory);
    vkb_device_close(&dev);
}

// What main returns: tests run on every device, selected by `uuid`.
static int tune_devices_run(void (*tests)(vkb_device *found))
{
    ctx = vkb_context_create(keep_warnings, NULL);
    folder = temp_folder();
    setenv("VKBERT_CACHE", folder, 1);
    const int ran = ctx ? devices_run(tests) : 0;
    vkb_context_destroy(&ctx);
    temp_remove(folder);
    return ran ? check_report() : 77;
}

#endif
