// A VkResult as a status and a sentence for a person.
#include "gpu/internal.h"

#include <stdarg.h>
#include <stdio.h>

const char *gpu_result_text(VkResult result)
{
    switch (result) {
    case VK_ERROR_OUT_OF_HOST_MEMORY:
        return "out of host memory";
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
        return "out of device memory";
    case VK_ERROR_INITIALIZATION_FAILED:
        return "the driver could not be initialised";
    case VK_ERROR_DEVICE_LOST:
        return "the device was lost";
    case VK_ERROR_MEMORY_MAP_FAILED:
        return "memory could not be mapped";
    case VK_ERROR_LAYER_NOT_PRESENT:
        return "a layer is missing";
    case VK_ERROR_EXTENSION_NOT_PRESENT:
        return "an extension is missing";
    case VK_ERROR_FEATURE_NOT_PRESENT:
        return "a feature is missing";
    case VK_ERROR_INCOMPATIBLE_DRIVER:
        return "no compatible driver";
    case VK_ERROR_TOO_MANY_OBJECTS:
        return "too many objects";
    case VK_ERROR_OUT_OF_POOL_MEMORY:
        return "a pool is exhausted";
    default:
        return "the driver refused";
    }
}

vkb_status gpu_fail(vkb_device *dev, VkResult result, const char *format, ...)
{
    char doing[512];
    va_list args;
    va_start(args, format);
    vsnprintf(doing, sizeof(doing), format, args);
    va_end(args);

    const char *name = dev->physical.info.name;
    if (result == VK_ERROR_DEVICE_LOST) {
        dev->lost = true;
        return vkb_fail(dev->ctx, VKB_DEVICE_LOST,
                        "%s was lost (%s): the driver reset it, often because one submission took "
                        "too long; run again, with a smaller batch if it happens again",
                        name, doing);
    }
    // Mapping wants address space, an allocation one of a limited number.
    bool memory = result == VK_ERROR_OUT_OF_HOST_MEMORY ||
                  result == VK_ERROR_OUT_OF_DEVICE_MEMORY || result == VK_ERROR_MEMORY_MAP_FAILED ||
                  result == VK_ERROR_TOO_MANY_OBJECTS;
    return vkb_fail(dev->ctx, memory ? VKB_OUT_OF_MEMORY : VKB_FAILED, "%s: %s failed: %s (%d)",
                    name, doing, gpu_result_text(result), (int)result);
}
