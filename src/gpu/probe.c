// What each device has: features and limits are asked for, never assumed.
#include "gpu/extensions.h"
#include "gpu/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct extensions {
    VkExtensionProperties *at;
    uint32_t count;
} extensions;

static bool has(const extensions *list, const char *name)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (strcmp(list->at[i].extensionName, name) == 0)
            return true;
    return false;
}

static vkb_status list_extensions(gpu_instance *instance, VkPhysicalDevice device, extensions *list)
{
    VkResult result =
        instance->fn.vkEnumerateDeviceExtensionProperties(device, NULL, &list->count, NULL);
    list->at = calloc(list->count + 1, sizeof(*list->at));
    if (!list->at)
        return vkb_fail_memory(instance->ctx, list->count * sizeof(*list->at),
                               "the list of extensions");
    if (result == VK_SUCCESS)
        result =
            instance->fn.vkEnumerateDeviceExtensionProperties(device, NULL, &list->count, list->at);
    if (result < 0) // VK_INCOMPLETE still lists some
        list->count = 0;
    return VKB_OK;
}

// ---- Features, memory, queues, subgroups ----

static bool has_size_control(const gpu_physical *p, const extensions *list)
{
    return p->info.api_version >= VK_API_VERSION_1_3 ||
           has(list, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
}

static void probe_features(gpu_instance *instance, gpu_physical *p, const extensions *list)
{
    VkPhysicalDeviceShaderBfloat16FeaturesKHR bf16 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_BFLOAT16_FEATURES_KHR};
    VkPhysicalDeviceVulkan12Features v12 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
        .pNext = has(list, VK_KHR_SHADER_BFLOAT16_EXTENSION_NAME) ? &bf16 : NULL};
    VkPhysicalDeviceSubgroupSizeControlFeatures sizes = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES, .pNext = &v12};
    VkPhysicalDeviceVulkan11Features v11 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES,
        .pNext = has_size_control(p, list) ? (void *)&sizes : &v12};
    instance->fn.vkGetPhysicalDeviceFeatures2(
        p->handle, &(VkPhysicalDeviceFeatures2){
                       .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &v11});
    p->info.fp16 = v12.shaderFloat16;
    p->info.storage16 = v11.storageBuffer16BitAccess;
    p->info.bf16 = bf16.shaderBFloat16Type;
    p->info.full_subgroups = sizes.subgroupSizeControl && sizes.computeFullSubgroups;
    if (has(list, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME))
        gpu_probe_matrices(instance, p, &v12, bf16.shaderBFloat16CooperativeMatrix,
                           has(list, VK_NV_COOPERATIVE_MATRIX_2_EXTENSION_NAME));
    p->info.int8 = v12.shaderInt8;
    p->storage8 = v12.storageBuffer8BitAccess;
}

static void probe_memory(gpu_instance *instance, gpu_physical *p)
{
    VkPhysicalDeviceMemoryProperties2 memory = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2};
    instance->fn.vkGetPhysicalDeviceMemoryProperties2(p->handle, &memory);
    for (uint32_t i = 0; i < memory.memoryProperties.memoryHeapCount; i++)
        if (memory.memoryProperties.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT)
            p->info.device_memory += memory.memoryProperties.memoryHeaps[i].size;
}

// A family that computes; one without graphics if there is one with timestamps: the display's
// watchdog is then further away. False: there is none.
static bool probe_queue(gpu_instance *instance, gpu_physical *p)
{
    VkQueueFamilyProperties families[32];
    uint32_t count = BASE_COUNT(families);
    int best = -1, best_score = 0;
    instance->fn.vkGetPhysicalDeviceQueueFamilyProperties(p->handle, &count, families);
    for (uint32_t i = 0; i < count; i++) {
        if (!(families[i].queueFlags & VK_QUEUE_COMPUTE_BIT))
            continue;
        int score = 1 + 2 * (families[i].timestampValidBits > 0) +
                    !(families[i].queueFlags & VK_QUEUE_GRAPHICS_BIT);
        if (score > best_score) {
            best = (int)i;
            best_score = score;
        }
    }
    if (best < 0)
        return false;
    p->queue_family = (uint32_t)best;
    p->timestamp_bits = p->limits.timestampPeriod > 0 ? families[best].timestampValidBits : 0;
    p->info.timestamps = p->timestamp_bits > 0;
    return true;
}

// Everything that Vulkan 1.2's properties say; false: no fit subgroups.
static bool probe_properties(gpu_instance *instance, gpu_physical *p, const extensions *list)
{
    bool sizes = has_size_control(p, list);
    VkPhysicalDeviceSubgroupSizeControlProperties size = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES};
    VkPhysicalDeviceSubgroupProperties subgroup = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES,
        .pNext = sizes ? &size : NULL};
    VkPhysicalDeviceMaintenance3Properties largest = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES, .pNext = &subgroup};
    VkPhysicalDeviceIDProperties id = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES,
                                       .pNext = &largest};
    VkPhysicalDeviceDriverProperties driver = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES, .pNext = &id};
    instance->fn.vkGetPhysicalDeviceProperties2(
        p->handle, &(VkPhysicalDeviceProperties2){
                       .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &driver});

    snprintf(p->info.driver, sizeof(p->info.driver), "%s%s%s", driver.driverName,
             driver.driverInfo[0] ? " " : "", driver.driverInfo);
    if (driver.driverID == VK_DRIVER_ID_MESA_LLVMPIPE)
        sscanf(driver.driverInfo, "Mesa %u.", &p->llvmpipe);
    for (uint32_t i = 0; i < VK_UUID_SIZE; i++)
        snprintf(p->info.uuid + 2 * i, 3, "%02x", id.deviceUUID[i]);
    p->info.max_allocation = largest.maxMemoryAllocationSize;
    p->info.subgroup_size = subgroup.subgroupSize;
    p->info.min_subgroup_size = sizes ? size.minSubgroupSize : subgroup.subgroupSize;
    // Where all subgroups have one size they are full if the workgroup is a multiple of it.
    p->info.full_subgroups &=
        (size.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0 ||
        size.minSubgroupSize == size.maxSubgroupSize;
    p->info.max_subgroup_size = sizes ? size.maxSubgroupSize : subgroup.subgroupSize;

    VkSubgroupFeatureFlags needed = VK_SUBGROUP_FEATURE_BASIC_BIT | VK_SUBGROUP_FEATURE_BALLOT_BIT |
                                    VK_SUBGROUP_FEATURE_ARITHMETIC_BIT;
    return (subgroup.supportedStages & VK_SHADER_STAGE_COMPUTE_BIT) &&
           (subgroup.supportedOperations & needed) == needed;
}

static vkb_device_type device_type(VkPhysicalDeviceType type)
{
    switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
        return VKB_DISCRETE;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
        return VKB_INTEGRATED;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
        return VKB_VIRTUAL;
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
        return VKB_SOFTWARE;
    default:
        return VKB_OTHER;
    }
}

static vkb_status probe(gpu_instance *instance, gpu_physical *p)
{
    VkPhysicalDeviceProperties base;
    instance->fn.vkGetPhysicalDeviceProperties(p->handle, &base);
    p->limits = base.limits;
    p->driver_version = base.driverVersion;
    memcpy(p->cache_uuid, base.pipelineCacheUUID, VK_UUID_SIZE);

    vkb_device_info *info = &p->info;
    snprintf(info->name, sizeof(info->name), "%s", base.deviceName);
    info->vendor_id = base.vendorID;
    info->device_id = base.deviceID;
    info->api_version = base.apiVersion;
    info->type = device_type(base.deviceType);
    info->max_storage_range = base.limits.maxStorageBufferRange;
    info->max_shared_memory = base.limits.maxComputeSharedMemorySize;
    info->max_workgroup_invocations = base.limits.maxComputeWorkGroupInvocations;
    info->max_push_constants = base.limits.maxPushConstantsSize;
    if (base.apiVersion < VK_API_VERSION_1_2) {
        // Nothing more may be asked of such a device.
        snprintf(info->unusable, sizeof(info->unusable),
                 "its driver has Vulkan %u.%u, vkbert needs 1.2: update the driver",
                 VK_API_VERSION_MAJOR(base.apiVersion), VK_API_VERSION_MINOR(base.apiVersion));
        return VKB_OK;
    }

    extensions list = {0};
    vkb_status status = list_extensions(instance, p->handle, &list);
    if (status != VKB_OK)
        return status;
    p->memory_budget = has(&list, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
    p->portability_subset = has(&list, "VK_KHR_portability_subset");
    p->pipeline_statistics = has(&list, VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME);
    probe_features(instance, p, &list);
    probe_memory(instance, p);
    if (!probe_properties(instance, p, &list))
        snprintf(info->unusable, sizeof(info->unusable),
                 "its compute shaders lack basic, ballot or arithmetic subgroup operations");
    else if (!probe_queue(instance, p))
        snprintf(info->unusable, sizeof(info->unusable), "it has no queue that computes");
    free(list.at);
    return VKB_OK;
}

vkb_status gpu_probe_all(gpu_instance *instance, gpu_physical **out, size_t *out_count)
{
    VkPhysicalDevice handles[64];
    uint32_t count = BASE_COUNT(handles);
    VkResult result = instance->fn.vkEnumeratePhysicalDevices(instance->handle, &count, handles);
    if (result < 0 && result != VK_ERROR_INITIALIZATION_FAILED)
        return vkb_fail(instance->ctx, VKB_NO_DEVICE, "listing the Vulkan devices failed: %s",
                        gpu_result_text(result));
    if (result < 0 || count == 0)
        return vkb_fail(instance->ctx, VKB_NO_DEVICE,
                        "the Vulkan drivers that are installed found no device: install your GPU's "
                        "driver, or Mesa's software driver (Debian, Ubuntu: apt install "
                        "mesa-vulkan-drivers)");
    gpu_physical *list = calloc(count, sizeof(*list));
    if (!list)
        return vkb_fail_memory(instance->ctx, count * sizeof(*list), "the list of devices");
    for (uint32_t i = 0; i < count; i++) {
        list[i].handle = handles[i];
        vkb_status status = probe(instance, &list[i]);
        if (status != VKB_OK) {
            free(list);
            return status;
        }
    }
    gpu_newer_driver_tell(instance, list, count);
    *out = list;
    *out_count = count;
    return VKB_OK;
}
