#include "devices.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned validation_messages; // also those of closing the device, which it cannot count

static void print_log(void *user, vkb_log_level level, const char *sentence)
{
    (void)user;
    validation_messages += strncmp(sentence, "validation: ", 12) == 0;
    if (level <= VKB_LOG_WARNING)
        printf("%s\n", sentence);
}

bool devices_validate(void)
{
    const char *wanted = getenv("VKBERT_VALIDATE");
    return wanted && *wanted && strcmp(wanted, "0") != 0;
}

// False: the device does not open, or validation had something to say.
static bool run_one(vkb_context *ctx, size_t index, const vkb_device_info *info, device_test_fn fn)
{
    char select[32];
    vkb_device *dev = NULL;
    printf("device: %s (%s)\n", info->name, info->driver);
    fflush(stdout);
    snprintf(select, sizeof(select), "%zu", index);
    vkb_device_params params = {.select = select, .validate = devices_validate()};
    validation_messages = 0;
    if (vkb_device_open(ctx, &params, &dev) != VKB_OK) {
        printf("FAIL: %s\n", vkb_error(ctx));
        return false;
    }
    fn(dev);
    vkb_device_close(&dev);
    if (validation_messages)
        printf("FAIL: %u validation messages on %s\n", validation_messages, info->name);
    return validation_messages == 0;
}

int devices_run(device_test_fn fn)
{
    vkb_context *ctx = vkb_context_create(print_log, NULL);
    vkb_device_info *list = NULL;
    size_t count = 0;
    int ran = 0, failed = 0;
    if (!ctx || vkb_device_list(ctx, &list, &count) != VKB_OK)
        printf("skipped: %s\n", ctx ? vkb_error(ctx) : "out of memory");
    for (size_t i = 0; i < count; i++) {
        if (list[i].unusable[0]) {
            printf("skipped: %s: %s\n", list[i].name, list[i].unusable);
            continue;
        }
        failed += !run_one(ctx, i, &list[i], fn);
        ran++;
    }
    if (count && !ran)
        printf("skipped: none of the devices is usable\n");
    free(list);
    vkb_context_destroy(&ctx);
    if (failed)
        exit(1); // check.h's counts belong to the caller's file
    return ran;
}
