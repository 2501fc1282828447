// Pipelines, built when a stream first asks for one and kept until the device is closed.
#include "gpu/internal.h"

#include <stdlib.h>
#include <string.h>

// Layouts and module of a kernel.
static vkb_status open_kernel(vkb_device *dev, gpu_kernel kernel)
{
    gpu_kernel_state *state = &dev->kernels[kernel];
    const gpu_kernel_entry *entry = gpu_kernel_get(kernel);
    VkDescriptorSetLayoutBinding bindings[GPU_MAX_BINDINGS];
    VkResult result = VK_SUCCESS;

    for (uint32_t i = 0; i < entry->bindings; i++)
        bindings[i] = (VkDescriptorSetLayoutBinding){
            .binding = i,
            .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
            .descriptorCount = 1,
            .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
        };
    if (!state->set_layout)
        result = dev->vk.vkCreateDescriptorSetLayout(
            dev->handle,
            &(VkDescriptorSetLayoutCreateInfo){
                .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
                .bindingCount = entry->bindings,
                .pBindings = bindings,
            },
            NULL, &state->set_layout);
    if (result == VK_SUCCESS && !state->layout)
        result = dev->vk.vkCreatePipelineLayout(
            dev->handle,
            &(VkPipelineLayoutCreateInfo){
                .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                .setLayoutCount = 1,
                .pSetLayouts = &state->set_layout,
                .pushConstantRangeCount = 1,
                .pPushConstantRanges =
                    &(VkPushConstantRange){VK_SHADER_STAGE_COMPUTE_BIT, 0, entry->push_bytes},
            },
            NULL, &state->layout);
    if (result == VK_SUCCESS && !state->module)
        result =
            dev->vk.vkCreateShaderModule(dev->handle,
                                         &(VkShaderModuleCreateInfo){
                                             .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                                             .codeSize = entry->code_bytes,
                                             .pCode = entry->code,
                                         },
                                         NULL, &state->module);
    if (result != VK_SUCCESS)
        return gpu_fail(dev, result, "preparing kernel %s", entry->name);
    return VKB_OK;
}

static VkResult compile(vkb_device *dev, gpu_kernel kernel, gpu_pipeline *pipeline)
{
    VkSpecializationMapEntry map[GPU_MAX_SPEC];
    for (uint32_t i = 0; i < pipeline->spec_count; i++)
        map[i] = (VkSpecializationMapEntry){i, i * sizeof(uint32_t), sizeof(uint32_t)};
    VkSpecializationInfo spec = {
        .mapEntryCount = pipeline->spec_count,
        .pMapEntries = map,
        .dataSize = pipeline->spec_count * sizeof(uint32_t),
        .pData = pipeline->spec,
    };
    const vkb_device_info *info = &dev->physical.info;
    VkPipelineShaderStageRequiredSubgroupSizeCreateInfo size = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO,
        .requiredSubgroupSize = pipeline->subgroup,
    };
    const bool pinned = pipeline->subgroup && dev->physical.info.full_subgroups;
    return dev->vk.vkCreateComputePipelines(
        dev->handle, dev->cache, 1,
        &(VkComputePipelineCreateInfo){
            .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
            .flags = gpu_statistics_flags(dev),
            .stage =
                {
                    .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                    .pNext =
                        pinned && info->min_subgroup_size != info->max_subgroup_size ? &size : NULL,
                    .flags =
                        pinned ? VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT : 0,
                    .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                    .module = dev->kernels[kernel].module,
                    .pName = "main",
                    .pSpecializationInfo = &spec,
                },
            .layout = dev->kernels[kernel].layout,
            .basePipelineIndex = -1,
        },
        NULL, &pipeline->handle);
}

vkb_status gpu_pipeline_get(vkb_device *dev, gpu_kernel kernel, const uint32_t *spec,
                            uint32_t spec_count, uint32_t subgroup, VkPipeline *out)
{
    gpu_kernel_state *state = &dev->kernels[kernel];
    const char *name = gpu_kernel_name(kernel);
    if (gpu_fault_of(dev, kernel, spec, spec_count) == GPU_TEST_DOES_NOT_BUILD)
        return gpu_fail(dev, VK_ERROR_INITIALIZATION_FAILED, "compiling kernel %s", name);
    for (gpu_pipeline *p = state->pipelines; p; p = p->next)
        if (p->spec_count == spec_count && p->subgroup == subgroup &&
            memcmp(p->spec, spec, spec_count * sizeof(*spec)) == 0) {
            *out = p->handle;
            return VKB_OK;
        }

    vkb_status status = open_kernel(dev, kernel);
    if (status != VKB_OK)
        return status;
    gpu_pipeline *pipeline = calloc(1, sizeof(*pipeline));
    if (!pipeline)
        return vkb_fail_memory(dev->ctx, sizeof(*pipeline), name);
    pipeline->spec_count = spec_count;
    pipeline->subgroup = subgroup;
    memcpy(pipeline->spec, spec, spec_count * sizeof(*spec));
    VkResult result = compile(dev, kernel, pipeline);
    if (result != VK_SUCCESS) {
        free(pipeline);
        return gpu_fail(dev, result, "compiling kernel %s", name);
    }
    gpu_object_name(dev, VK_OBJECT_TYPE_PIPELINE, (uint64_t)pipeline->handle, name);
    pipeline->next = state->pipelines;
    state->pipelines = pipeline;
    dev->counters.pipelines++;
    gpu_statistics_tell(dev, kernel, pipeline);
    *out = pipeline->handle;
    return VKB_OK;
}

void gpu_pipelines_destroy(vkb_device *dev)
{
    for (gpu_kernel k = 0; k < GPU_KERNEL_COUNT; k++) {
        gpu_kernel_state *state = &dev->kernels[k];
        while (state->pipelines) {
            gpu_pipeline *next = state->pipelines->next;
            dev->vk.vkDestroyPipeline(dev->handle, state->pipelines->handle, NULL);
            free(state->pipelines);
            state->pipelines = next;
        }
        dev->vk.vkDestroyShaderModule(dev->handle, state->module, NULL);
        dev->vk.vkDestroyPipelineLayout(dev->handle, state->layout, NULL);
        dev->vk.vkDestroyDescriptorSetLayout(dev->handle, state->set_layout, NULL);
    }
}
