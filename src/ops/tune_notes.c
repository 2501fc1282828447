// What a trial leaves in the notes: that it has begun, for the next process when this one does not live to
// see its end, and its fault.
#include "ops/tune.h"

#include <stdio.h>
#include <string.h>

vkb_status tune_begin_trial(vkb_device *dev, const char *name, bool sync)
{
    const vkb_status status = gpu_note_set(dev, GPU_NOTE_TRIAL, name, "being tried");
    gpu_notes_write(dev, sync);
    return status;
}

static vkb_status note_fault(vkb_device *dev, const char *name, const char *fault)
{
    const vkb_device_info *info = vkb_device_get_info(dev);
    const char *path = gpu_notes_path(dev);
    vkb_log(gpu_context(dev), VKB_LOG_WARNING,
            "%s (%s): kernel variant %s %s, and is not used any more%s%s", info->name, info->driver,
            name, fault, path ? "; to have it tried again, remove " : "", path ? path : "");
    return gpu_note_set(dev, GPU_NOTE_FAULT, name, fault);
}

// Of a device that is gone: what the person reads, and what the next process does.
static vkb_status end_with_device(vkb_device *dev, const char *name, tune_result *result)
{
    vkb_context *ctx = gpu_context(dev);
    char cause[400];
    snprintf(cause, sizeof(cause), "%s", vkb_error(ctx));
    snprintf(result->fault, sizeof(result->fault), "%s",
             strstr(cause, "hangs") ? "hung" : "lost the device");
    note_fault(dev, name, result->fault);
    gpu_notes_write(dev, true);
    return vkb_fail(
        ctx, VKB_DEVICE_LOST,
        "kernel variant %s %s while it was tried (%s): it is not used any more, so run the "
        "same command again",
        name, result->fault, cause);
}

vkb_status tune_end_trial(vkb_device *dev, const char *name, tune_result *result, vkb_status status)
{
    gpu_note_set(dev, GPU_NOTE_TRIAL, name, NULL);
    if (status == VKB_DEVICE_LOST)
        return end_with_device(dev, name, result);
    return status == VKB_OK && *result->fault ? note_fault(dev, name, result->fault) : status;
}
