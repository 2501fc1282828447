// Opening and closing a device.
#include "gpu/extensions.h"
#include "gpu/internal.h"

#include <stdlib.h>

// What is enabled: only what probe.c has seen. `first` is the chain's head.
typedef struct enabled {
    VkPhysicalDeviceVulkan12Features v12;
    VkPhysicalDeviceVulkan11Features v11;
    VkPhysicalDeviceSubgroupSizeControlFeatures sizes;
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR matrix;
    VkPhysicalDeviceCooperativeMatrix2FeaturesNV matrix2;
    VkPhysicalDeviceShaderBfloat16FeaturesKHR bfloat16;
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR statistics;
    void *first;
    const char *extensions[8];
    uint32_t extension_count;
} enabled;

// Puts a structure of features at the chain's head, with its extension if there is one to name.
static void enable(enabled *e, void *features, const char *extension)
{
    VkBaseOutStructure *head = features;
    if (head) {
        head->pNext = e->first;
        e->first = head;
    }
    if (extension)
        e->extensions[e->extension_count++] = extension;
}

static void enable_core(const gpu_physical *p, enabled *e)
{
    // timelineSemaphore and subgroupBroadcastDynamicId belong to every 1.2 driver: matmul_lanes
    // broadcasts from lanes that are constants only once its loops are unrolled.
    e->v12 = (VkPhysicalDeviceVulkan12Features){
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
        .timelineSemaphore = VK_TRUE,
        .subgroupBroadcastDynamicId = VK_TRUE,
        .shaderFloat16 = p->info.fp16,
        .shaderInt8 = p->info.int8,
        .storageBuffer8BitAccess = p->storage8,
        .vulkanMemoryModel = p->cooperative_matrix,
        .vulkanMemoryModelDeviceScope = p->cooperative_matrix,
    };
    e->v11 = (VkPhysicalDeviceVulkan11Features){
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES,
        .storageBuffer16BitAccess = p->info.storage16,
    };
    enable(e, &e->v12, NULL);
    enable(e, &e->v11, NULL);
}

static void enable_options(const gpu_physical *p, enabled *e)
{
    e->sizes = (VkPhysicalDeviceSubgroupSizeControlFeatures){
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES,
        .subgroupSizeControl = VK_TRUE,
        .computeFullSubgroups = VK_TRUE,
    };
    e->matrix = (VkPhysicalDeviceCooperativeMatrixFeaturesKHR){
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR,
        .cooperativeMatrix = VK_TRUE,
    };
    e->bfloat16 = (VkPhysicalDeviceShaderBfloat16FeaturesKHR){
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_BFLOAT16_FEATURES_KHR,
        .shaderBFloat16Type = VK_TRUE,
        .shaderBFloat16CooperativeMatrix = VK_TRUE,
    };
    e->matrix2 = (VkPhysicalDeviceCooperativeMatrix2FeaturesNV){
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_2_FEATURES_NV,
        .cooperativeMatrixWorkgroupScope = VK_TRUE,
        .cooperativeMatrixFlexibleDimensions = VK_TRUE,
        .cooperativeMatrixTensorAddressing = VK_TRUE,
    };
    e->statistics = (VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR){
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR,
        .pipelineExecutableInfo = VK_TRUE,
    };
    if (p->info.full_subgroups)
        enable(e, &e->sizes,
               p->info.api_version < VK_API_VERSION_1_3
                   ? VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME
                   : NULL);
    if (p->cooperative_matrix)
        enable(e, &e->matrix, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME);
    if (p->info.matrix_workgroup)
        enable(e, &e->matrix2, VK_NV_COOPERATIVE_MATRIX_2_EXTENSION_NAME);
    if (p->info.matrix_bf16)
        enable(e, &e->bfloat16, VK_KHR_SHADER_BFLOAT16_EXTENSION_NAME);
    if (p->pipeline_statistics)
        enable(e, &e->statistics, VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME);
    if (p->memory_budget)
        enable(e, NULL, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
    if (p->portability_subset)
        enable(e, NULL, "VK_KHR_portability_subset");
}

static vkb_status create_device(vkb_device *dev)
{
    const gpu_physical *p = &dev->physical;
    enabled e = {0};
    enable_core(p, &e);
    enable_options(p, &e);
    VkResult result = dev->instance->fn.vkCreateDevice(
        p->handle,
        &(VkDeviceCreateInfo){
            .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
            .pNext = e.first,
            .queueCreateInfoCount = 1,
            .pQueueCreateInfos =
                &(VkDeviceQueueCreateInfo){
                    .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                    .queueFamilyIndex = p->queue_family,
                    .queueCount = 1,
                    .pQueuePriorities = (float[]){1.0f},
                },
            .enabledExtensionCount = e.extension_count,
            .ppEnabledExtensionNames = e.extensions,
        },
        NULL, &dev->handle);
    if (result != VK_SUCCESS) {
        dev->handle = VK_NULL_HANDLE;
        return gpu_fail(dev, result, "opening the device");
    }
    gpu_loader_device(dev->instance, dev->handle, &dev->vk);
    dev->vk.vkGetDeviceQueue(dev->handle, p->queue_family, 0, &dev->queue);
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
    BASE_TRY(gpu_memory_open(dev, params->memory_limit));
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
        if (dev->timeline)
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
