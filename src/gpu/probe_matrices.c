// What a device has of cooperative matrices: VK_KHR_cooperative_matrix, held by subgroups, and
// VK_NV_cooperative_matrix2, held by workgroups.
#include "gpu/extensions.h"
#include "gpu/internal.h"

#include <stdio.h>
#include <stdlib.h>

// ---- Shapes ----

static void component_name(int32_t type, char name[8])
{
    static const char *const names[] = {"f16", "f32", "f64", "s8",  "s16", "s32",
                                        "s64", "u8",  "u16", "u32", "u64"};
    const char *found = type >= 0 && type < (int32_t)BASE_COUNT(names) ? names[type]
                        : type == 1000141000                           ? "bf16"
                        : type == 1000491002                           ? "e4m3"
                        : type == 1000491003                           ? "e5m2"
                                                                       : "?";
    snprintf(name, 8, "%s", found);
}

static void list_shapes(gpu_instance *instance, gpu_physical *p)
{
    PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR get =
        (PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR)gpu_loader_function(
            instance, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR");
    uint32_t count = 0;
    if (!get || get(p->handle, &count, NULL) != VK_SUCCESS || count == 0)
        return;
    VkCooperativeMatrixPropertiesKHR *list = calloc(count, sizeof(*list));
    for (uint32_t i = 0; list && i < count; i++)
        list[i].sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR;
    if (list && get(p->handle, &count, list) >= 0) {
        for (uint32_t i = 0; i < count; i++) {
            if (list[i].scope != VK_SCOPE_SUBGROUP_KHR)
                continue;
            const uint32_t at = p->info.matrix_count++;
            if (at >= BASE_COUNT(p->info.matrix))
                continue;
            vkb_cooperative_matrix *to = &p->info.matrix[at];
            to->m = list[i].MSize;
            to->n = list[i].NSize;
            to->k = list[i].KSize;
            component_name((int32_t)list[i].AType, to->a);
            component_name((int32_t)list[i].BType, to->b);
            component_name((int32_t)list[i].CType, to->c);
            component_name((int32_t)list[i].ResultType, to->result);
        }
    }
    free(list);
}

static bool divides_64(uint32_t granularity)
{
    return granularity && 64 % granularity == 0;
}

// Matrices of fp16 with fp32 sums that a workgroup of 256 holds, in any multiple of 64 along each axis?
static bool has_workgroup_shapes(gpu_instance *instance, const gpu_physical *p)
{
    PFN_vkGetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV get =
        (PFN_vkGetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV)gpu_loader_function(
            instance, "vkGetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV");
    uint32_t count = 0;
    if (!get || get(p->handle, &count, NULL) != VK_SUCCESS || count == 0)
        return false;
    VkCooperativeMatrixFlexibleDimensionsPropertiesNV *list = calloc(count, sizeof(*list));
    for (uint32_t i = 0; list && i < count; i++)
        list[i].sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_FLEXIBLE_DIMENSIONS_PROPERTIES_NV;
    bool found = false;
    if (list && get(p->handle, &count, list) >= 0)
        for (uint32_t i = 0; i < count; i++)
            found |= (int32_t)list[i].scope == VK_SCOPE_WORKGROUP_KHR &&
                     list[i].workgroupInvocations == 256 && (int32_t)list[i].AType == 0 &&
                     (int32_t)list[i].BType == 0 && (int32_t)list[i].CType == 1 &&
                     (int32_t)list[i].ResultType == 1 && // 0: f16, 1: f32
                     divides_64(list[i].MGranularity) && divides_64(list[i].NGranularity) &&
                     divides_64(list[i].KGranularity);
    free(list);
    return found;
}

// ---- Features ----

// What the extension offers beside its name; matrices of 16 bits need more of the device.
static void probe_subgroup_scope(gpu_instance *instance, gpu_physical *p,
                                 const VkPhysicalDeviceVulkan12Features *v12, bool bf16)
{
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR matrix = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR};
    instance->fn.vkGetPhysicalDeviceFeatures2(
        p->handle, &(VkPhysicalDeviceFeatures2){
                       .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &matrix});
    // With the memory model on, atomics and barriers of any shader need the device scope that glslang gives them.
    p->cooperative_matrix =
        matrix.cooperativeMatrix && v12->vulkanMemoryModel && v12->vulkanMemoryModelDeviceScope;
    p->info.matrix_fp16 = p->cooperative_matrix && v12->shaderFloat16;
    p->info.matrix_bf16 = p->cooperative_matrix && bf16;
}

// All that matmul_nv needs, SPIR-V 1.6 too.
static void probe_workgroup_scope(gpu_instance *instance, gpu_physical *p)
{
    VkPhysicalDeviceCooperativeMatrix2FeaturesNV matrix2 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_2_FEATURES_NV};
    instance->fn.vkGetPhysicalDeviceFeatures2(
        p->handle, &(VkPhysicalDeviceFeatures2){
                       .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &matrix2});
    p->info.matrix_workgroup =
        p->info.matrix_fp16 && p->info.storage16 && p->info.api_version >= VK_API_VERSION_1_3 &&
        p->info.max_workgroup_invocations >= 256 && matrix2.cooperativeMatrixWorkgroupScope &&
        matrix2.cooperativeMatrixFlexibleDimensions && matrix2.cooperativeMatrixTensorAddressing &&
        has_workgroup_shapes(instance, p);
}

void gpu_probe_matrices(gpu_instance *instance, gpu_physical *p,
                        const VkPhysicalDeviceVulkan12Features *v12, bool bf16, bool workgroups)
{
    list_shapes(instance, p);
    probe_subgroup_scope(instance, p, v12, bf16);
    if (workgroups)
        probe_workgroup_scope(instance, p);
}
