// Opening and closing a device.
#include "gpu/internal.h"

#include <stdlib.h>

static vkb_status create_device(vkb_device *dev)
{
    const gpu_physical *p = &dev->physical;
    // Only what probe.c has seen is enabled; the first two belong to every 1.2 driver.
    // matmul_lanes broadcasts from lanes that are constants only once its loops are unrolled.
    VkPhysicalDeviceVulkan12Features v12 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
        .timelineSemaphore = VK_TRUE,
        .subgroupBroadcastDynamicId = VK_TRUE,
        .shaderFloat16 = p->info.fp16,
        .shaderInt8 = p->info.int8,
        .storageBuffer8BitAccess = p->storage8,
    };
    VkPhysicalDeviceVulkan11Features v11 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES,
        .pNext = &v12,
        .storageBuffer16BitAccess = p->info.storage16,
    };
    const char *extensions[2];
    uint32_t extension_count = 0;
    if (p->memory_budget)
        extensions[extension_count++] = VK_EXT_MEMORY_BUDGET_EXTENSION_NAME;
    if (p->portability_subset)
        extensions[extension_count++] = "VK_KHR_portability_subset";

    VkResult result = dev->instance->fn.vkCreateDevice(
        p->handle,
        &(VkDeviceCreateInfo){
            .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
            .pNext = &v11,
            .queueCreateInfoCount = 1,
            .pQueueCreateInfos =
                &(VkDeviceQueueCreateInfo){
                    .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                    .queueFamilyIndex = p->queue_family,
                    .queueCount = 1,
                    .pQueuePriorities = (float[]){1.0f},
                },
            .enabledExtensionCount = extension_count,
            .ppEnabledExtensionNames = extensions,
        },
        NULL, &dev->handle);
    if (result != VK_SUCCESS) {
        dev->handle = VK_NULL_HANDLE;
        return gpu_fail(dev, result, "opening the device");
    }
    gpu_loader_device(dev->handle, &dev->vk);
    dev->vk.vkGetDeviceQueue(dev->handle, p->queue_family, 0, &dev->queue);

    VkSemaphoreTypeCreateInfo timeline = {
        .sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
        .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE,
    };
    result = dev->vk.vkCreateSemaphore(
        dev->handle,
        &(VkSemaphoreCreateInfo){.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO,
                                 .pNext = &timeline},
        NULL, &dev->timeline);
    if (result != VK_SUCCESS)
        return gpu_fail(dev, result, "creating a semaphore");
    return VKB_OK;
}

vkb_status vkb_device_open(vkb_context *ctx, const vkb_device_params *params, vkb_device **out)
{
    static const vkb_device_params defaults = {0};
    if (!params)
        params = &defaults;
    vkb_device *dev = calloc(1, sizeof(*dev));
    if (!dev)
        return vkb_fail_memory(ctx, sizeof(*dev), "the device");
    dev->ctx = ctx;
    dev->notes.lock = -1;
    pthread_mutex_init(&dev->lock, NULL);

    gpu_physical *list = NULL;
    const gpu_physical *chosen = NULL;
    size_t count = 0;
    vkb_status status = VKB_OK;
    BASE_TRY(gpu_instance_create(ctx, params->validate, &dev->instance));
    BASE_TRY(gpu_probe_all(dev->instance, &list, &count));
    BASE_TRY(gpu_choose(ctx, params->select, list, count, &chosen));
    dev->physical = *chosen;
    BASE_TRY(create_device(dev));
    gpu_memory_open(dev);
    BASE_TRY(gpu_pipeline_cache_open(dev, params->no_cache));
    gpu_notes_open(dev, params->no_cache);
    *out = dev;
    dev = NULL;
cleanup:
    free(list);
    vkb_device_close(&dev);
    return status;
}

void vkb_device_close(vkb_device **dev_)
{
    vkb_device *dev = dev_ ? *dev_ : NULL;
    if (!dev)
        return;
    *dev_ = NULL;
    gpu_notes_close(dev);
    if (gpu_is_stuck(dev))
        return; // all that it works on is left to the end of the process
    if (dev->handle) {
        dev->vk.vkDeviceWaitIdle(dev->handle); // nothing to do about a failure here
        gpu_buffer_destroy(&dev->staging[0]);
        gpu_buffer_destroy(&dev->staging[1]);
        gpu_pipelines_destroy(dev);
        gpu_pipeline_cache_close(dev);
        gpu_memory_close(dev);
        dev->vk.vkDestroySemaphore(dev->handle, dev->timeline, NULL);
        dev->vk.vkDestroyDevice(dev->handle, NULL);
    }
    gpu_instance_destroy(&dev->instance);
    pthread_mutex_destroy(&dev->lock);
    free(dev);
}

void gpu_lock(vkb_device *dev)
{
    pthread_mutex_lock(&dev->lock);
}

void gpu_unlock(vkb_device *dev)
{
    pthread_mutex_unlock(&dev->lock);
}

const vkb_device_info *vkb_device_get_info(const vkb_device *dev)
{
    return &dev->physical.info;
}

uint32_t vkb_device_validation_messages(const vkb_device *dev)
{
    return dev->instance->messages;
}

vkb_context *gpu_context(const vkb_device *dev)
{
    return dev->ctx;
}

gpu_counters gpu_count(const vkb_device *dev)
{
    return dev->counters;
}
