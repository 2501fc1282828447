// The choice of a device, among devices that are made up.
#include "check.h"

#include "gpu/internal.h"

#include <stdlib.h>

static vkb_context *ctx;
static char logged[1024];
static int log_lines;

static void keep_log(void *user, vkb_log_level level, const char *sentence)
{
    (void)user;
    log_lines += level == VKB_LOG_WARNING;
    snprintf(logged, sizeof(logged), "%s", sentence);
}

static const gpu_physical devices[] = {
    {.info = {.name = "llvmpipe (LLVM 15.0.6, 256 bits)",
              .uuid = "6d657361000000000000000000000000",
              .type = VKB_SOFTWARE}},
    {.info = {.name = "Old Radeon HD",
              .uuid = "00000000000000000000000000000001",
              .type = VKB_DISCRETE,
              .unusable = "its driver has Vulkan 1.0, vkbert needs 1.2: update the driver"}},
    {.info = {.name = "Intel UHD Graphics",
              .uuid = "0123456789abcdef0123456789abcdef",
              .type = VKB_INTEGRATED}},
    {.info = {.name = "Virtio-GPU Venus", .uuid = "02", .type = VKB_VIRTUAL}},
    {.info = {.name = "NVIDIA GeForce RTX 4090",
              .uuid = "03",
              .type = VKB_DISCRETE,
              .device_memory = 24ull << 30}},
    {.info = {.name = "NVIDIA GeForce RTX 3060",
              .uuid = "04",
              .type = VKB_DISCRETE,
              .device_memory = 12ull << 30}},
    {.info = {.name = "Strange", .uuid = "05", .type = VKB_OTHER}},
    {.info =
         {.name = "NVIDIA H100", .uuid = "06", .type = VKB_DISCRETE, .device_memory = 80ull << 30}},
};
enum { COUNT = sizeof(devices) / sizeof(*devices) };

// The index of the device chosen among the first `count`; -1: none.
static int choose(const char *select, size_t count)
{
    const gpu_physical *chosen = NULL;
    log_lines = 0;
    vkb_status status = gpu_choose(ctx, select, devices, count, &chosen);
    CHECK((status == VKB_OK) == (chosen != NULL));
    CHECK(status == VKB_OK || status == VKB_NO_DEVICE);
    return chosen ? (int)(chosen - devices) : -1;
}

TEST(the_best_is_the_default)
{
    unsetenv("VKBERT_DEVICE");
    CHECK_INT(choose(NULL, COUNT), 7); // of the discrete ones the one with most memory
    CHECK_INT(choose("", COUNT), 7);
    CHECK_INT(choose(NULL, 6), 4);
    CHECK_INT(choose(NULL, 4), 2);
    CHECK_INT(choose(NULL, 3), 2);
    CHECK_INT(log_lines, 0);
    CHECK_INT(choose(NULL, 2), 0);
    CHECK_INT(log_lines, 1);
    CHECK_HAS(logged, "using the software driver llvmpipe");
}

TEST(chosen_by_index)
{
    CHECK_INT(choose("0", COUNT), 0);
    CHECK_INT(log_lines, 0); // it was asked for
    CHECK_INT(choose("5", COUNT), 5);
    CHECK_INT(choose("1", COUNT), -1);
    CHECK_HAS(vkb_error(ctx), "Old Radeon HD cannot be used: its driver has Vulkan 1.0");
    CHECK_INT(choose("8", COUNT), -1);
    CHECK_HAS(vkb_error(ctx), "no Vulkan device is \"8\"; there is 0 \"llvmpipe");
    CHECK_INT(choose("-1", COUNT), -1);
}

TEST(chosen_by_name)
{
    CHECK_INT(choose("geforce", COUNT), 4);
    CHECK_INT(choose("RTX 3060", COUNT), 5);
    CHECK_INT(choose("4090", COUNT), 4); // no such index
    CHECK_INT(choose("VENUS", COUNT), 3);
    CHECK_INT(choose("radeon", COUNT), -1);
    CHECK_HAS(vkb_error(ctx), "cannot be used");
    CHECK_INT(choose("arc", COUNT), -1);
    CHECK_HAS(vkb_error(ctx), "no Vulkan device is \"arc\"");
    CHECK_HAS(vkb_error(ctx), "4 \"NVIDIA GeForce RTX 4090\"");
}

TEST(chosen_by_uuid)
{
    CHECK_INT(choose("0123456789abcdef0123456789abcdef", COUNT), 2);
    CHECK_INT(choose("01234567-89AB-CDEF-0123-456789ABCDEF", COUNT), 2);
    CHECK_INT(choose("01234567-89ab-cdef-0123-456789abcde", COUNT), -1);
    CHECK_INT(choose("01234567-89ab-cdef-0123-456789abcdef0", COUNT), -1);
}

TEST(cpu_is_a_software_driver)
{
    CHECK_INT(choose("cpu", COUNT), 0);
    CHECK_INT(choose("CPU", COUNT), 0);
    CHECK_INT(log_lines, 0);
    const gpu_physical *chosen = NULL;
    CHECK_INT(gpu_choose(ctx, "cpu", devices + 2, COUNT - 2, &chosen), VKB_NO_DEVICE);
    CHECK_HAS(vkb_error(ctx), "no software driver is installed");
}

TEST(the_environment_is_asked_when_nobody_says)
{
    setenv("VKBERT_DEVICE", "venus", 1);
    CHECK_INT(choose(NULL, COUNT), 3);
    CHECK_INT(choose("0", COUNT), 0);
    setenv("VKBERT_DEVICE", "cpu", 1);
    CHECK_INT(choose(NULL, COUNT), 0);
    CHECK_INT(log_lines, 0);
    setenv("VKBERT_DEVICE", "", 1);
    CHECK_INT(choose(NULL, COUNT), 7);
    unsetenv("VKBERT_DEVICE");
}

int main(void)
{
    ctx = vkb_context_create(keep_log, NULL);
    RUN(the_best_is_the_default);
    RUN(chosen_by_index);
    RUN(chosen_by_name);
    RUN(chosen_by_uuid);
    RUN(cpu_is_a_software_driver);
    RUN(the_environment_is_asked_when_nobody_says);
    vkb_context_destroy(&ctx);
    return check_report();
}
