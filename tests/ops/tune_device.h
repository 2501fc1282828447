// A device of its own for each test of tuning, as some lose theirs, and an empty cache folder, which the
// next one in the same test finds as it was left. Time is the test's: which variant is the fastest,
// and when a budget ends, does not depend on the machine.
#ifndef VKB_TESTS_OPS_TUNE_DEVICE_H
#define VKB_TESTS_OPS_TUNE_DEVICE_H

#include "check.h"
#include "devices.h"
#include "temp.h"
#include "test_clock.h"

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

// ---- Time ----

static test_clock
    host; // a tenth of a millisecond passes at each reading, unless a test says otherwise

// What a run of a kernel takes; those that bring a product's operands and sums into place take
// nothing, so that each variant takes the same. Others: those of a kernel whose specialisation
// constant has a value.
static double usual_seconds;
static struct {
    gpu_kernel kernel;
    uint32_t constant, value;
    double seconds;
} other;

static double takes(void *user, gpu_kernel kernel, const uint32_t *spec, uint32_t spec_count)
{
    (void)user;
    const bool meant = other.seconds > 0 && kernel == other.kernel && other.constant < spec_count &&
                       spec[other.constant] == other.value;
    const bool helps = kernel == GPU_transpose || kernel == GPU_convert || kernel == GPU_matmul_sum;
    return meant ? other.seconds : helps ? 0 : usual_seconds;
}

// ---- Device ----

static void open_device(void)
{
    const vkb_device_params params = {.select = uuid, .validate = devices_validate()};
    if (vkb_device_open(ctx, &params, &dev) != VKB_OK) {
        printf("FAIL: %s\n", vkb_error(ctx));
        exit(1);
    }
    gpu_test_times(dev, takes, NULL);
    CHECK(gpu_buffer_create(dev, "operands", 1 << 20, GPU_LOCAL, &memory) == VKB_OK);
}

static void start(void)
{
    temp_empty(folder);
    *warnings = 0;
    usual_seconds = 1e-3;
    other.seconds = 0;
    host.step = 1e-4;
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
    if (ctx)
        test_clock_use(ctx, &host);
    const int ran = ctx ? devices_run(tests) : 0;
    vkb_context_destroy(&ctx);
    temp_remove(folder);
    return ran ? check_report() : 77;
}

#endif
