// One kernel run: its arguments are checked against the device's limits, then its commands recorded.
#include "gpu/internal.h"

#include <inttypes.h>

// Fails the stream with a sentence; false.
#define REFUSED(...)                                                                               \
    (gpu_stream_fail(s, vkb_fail(s->dev->ctx, VKB_BAD_ARGUMENT, __VA_ARGS__)), false)

static bool check_view(gpu_stream *s, const gpu_kernel_entry *k, uint32_t i, gpu_view view)
{
    const char *name = view.buffer->name;
    uint64_t alignment = gpu_alignment(s->dev);
    uint64_t largest = gpu_binding_limit(s->dev);
    if (view.buffer->dev != s->dev)
        return REFUSED("kernel %s: binding %u, %s, belongs to another device", k->name, i, name);
    if (view.bytes == 0 || view.bytes > view.buffer->bytes ||
        view.offset > view.buffer->bytes - view.bytes)
        return REFUSED("kernel %s: binding %u is %" PRIu64 " bytes at %" PRIu64
                       " of %s, which has %" PRIu64,
                       k->name, i, view.bytes, view.offset, name, view.buffer->bytes);
    if (view.offset % alignment)
        return REFUSED("kernel %s: binding %u starts at byte %" PRIu64
                       " of %s, no multiple of %" PRIu64,
                       k->name, i, view.offset, name, alignment);
    if (view.bytes > largest)
        return REFUSED("kernel %s: binding %u, %s, is %" PRIu64 " bytes, %s allows %" PRIu64
                       " (maxStorageBufferRange): a smaller batch or length needs less",
                       k->name, i, name, view.bytes, s->dev->physical.info.name, largest);
    return true;
}

static bool check_run(gpu_stream *s, const gpu_kernel_entry *k, const gpu_run_params *params)
{
    const VkPhysicalDeviceLimits *limits = &s->dev->physical.limits;
    const uint32_t *most = limits->maxComputeWorkGroupCount;
    gpu_groups g = params->groups;
    if (g.x > most[0] || g.y > most[1] || g.z > most[2])
        return REFUSED("kernel %s: %u x %u x %u workgroups, %s allows %u x %u x %u", k->name, g.x,
                       g.y, g.z, s->dev->physical.info.name, most[0], most[1], most[2]);
    if (!params->push)
        return REFUSED("kernel %s: no push constants were given, it wants %u bytes", k->name,
                       k->push_bytes);
    if (params->spec_count > GPU_MAX_SPEC)
        return REFUSED("kernel %s: %u specialisation constants, at most %d", k->name,
                       params->spec_count, GPU_MAX_SPEC);
    uint32_t widest = limits->maxComputeWorkGroupInvocations < limits->maxComputeWorkGroupSize[0]
                          ? limits->maxComputeWorkGroupInvocations
                          : limits->maxComputeWorkGroupSize[0];
    if (params->spec_count && (params->spec[0] == 0 || params->spec[0] > widest))
        return REFUSED("kernel %s: workgroups of %u, %s allows 1 to %u", k->name, params->spec[0],
                       s->dev->physical.info.name, widest);
    const vkb_device_info *info = &s->dev->physical.info;
    if (params->subgroup && (!info->full_subgroups || params->subgroup < info->min_subgroup_size ||
                             params->subgroup > info->max_subgroup_size || !params->spec_count ||
                             params->spec[0] % params->subgroup))
        return REFUSED("kernel %s: %s does not promise full subgroups of %u", k->name, info->name,
                       params->subgroup);
    if (k->bindings > limits->maxPerStageDescriptorStorageBuffers)
        return REFUSED("kernel %s: %u storage buffers, %s allows %u", k->name, k->bindings,
                       s->dev->physical.info.name, limits->maxPerStageDescriptorStorageBuffers);
    for (uint32_t i = k->bindings; i < GPU_MAX_BINDINGS; i++)
        if (params->bind[i].buffer)
            return REFUSED("kernel %s: %u views were given, it has %u bindings", k->name, i + 1,
                           k->bindings);
    for (uint32_t i = 0; i < k->bindings; i++)
        if (params->bind[i].buffer && !check_view(s, k, i, params->bind[i]))
            return false;
    return true;
}

// What stands in for an empty view: the first one, or the first one that is written where the
// kernel's table says "written", so that nothing that is only read ever looks written.
static gpu_view stand_in(const gpu_kernel_entry *k, const gpu_run_params *params, bool write)
{
    gpu_view first = {0};
    for (uint32_t i = 0; i < k->bindings; i++) {
        if (!params->bind[i].buffer)
            continue;
        if (!first.buffer || (write && k->access[i] != 'r'))
            first = params->bind[i];
        if (!write || k->access[i] != 'r')
            break;
    }
    return first;
}

// The descriptor set of a run, written once.
static bool write_set(gpu_stream *s, gpu_kernel kernel, const gpu_view *views, VkDescriptorSet *set)
{
    vkb_device *dev = s->dev;
    const gpu_kernel_entry *k = gpu_kernel_get(kernel);
    VkResult result = dev->vk.vkAllocateDescriptorSets(
        dev->handle,
        &(VkDescriptorSetAllocateInfo){
            .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
            .descriptorPool = s->sets,
            .descriptorSetCount = 1,
            .pSetLayouts = &dev->kernels[kernel].set_layout,
        },
        set);
    if (result != VK_SUCCESS) {
        gpu_stream_fail(
            s, gpu_fail(dev, result, "recording kernel %s into stream %s", k->name, s->name));
        return false;
    }
    VkDescriptorBufferInfo infos[GPU_MAX_BINDINGS];
    VkWriteDescriptorSet writes[GPU_MAX_BINDINGS];
    for (uint32_t i = 0; i < k->bindings; i++) {
        infos[i] =
            (VkDescriptorBufferInfo){views[i].buffer->handle, views[i].offset, views[i].bytes};
        writes[i] = (VkWriteDescriptorSet){
            .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
            .dstSet = *set,
            .dstBinding = i,
            .descriptorCount = 1,
            .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
            .pBufferInfo = &infos[i],
        };
    }
    dev->vk.vkUpdateDescriptorSets(dev->handle, k->bindings, writes, 0, NULL);
    dev->counters.descriptor_sets++;
    return true;
}

void gpu_run_(gpu_stream *s, gpu_kernel kernel, const gpu_run_params *params)
{
    const gpu_kernel_entry *k = gpu_kernel_get(kernel);
    gpu_groups g = params->groups;
    if (s->status != VKB_OK || g.x == 0 || g.y == 0 || g.z == 0)
        return;
    if (s->dry) {
        s->run_count++;
        s->binding_count += k->bindings;
        VkPipeline unused;
        if (s->dev->statistics.tell) // in a plan this pass is the only one
            gpu_stream_fail(s, gpu_pipeline_get(s->dev, kernel, params->spec, params->spec_count,
                                                params->subgroup, &unused));
        return;
    }
    if (!check_run(s, k, params))
        return;
    if (s->recorded++ == s->run_count) {
        gpu_stream_fail(s, vkb_fail(s->dev->ctx, VKB_FAILED,
                                    "stream %s records more runs than the %u of its dry pass",
                                    s->name, s->run_count));
        return;
    }

    gpu_view views[GPU_MAX_BINDINGS];
    gpu_access touched[GPU_MAX_BINDINGS];
    for (uint32_t i = 0; i < k->bindings; i++) {
        bool write = k->access[i] != 'r';
        gpu_view v = params->bind[i].buffer ? params->bind[i] : stand_in(k, params, write);
        if (!v.buffer) {
            gpu_stream_fail(s, vkb_fail(s->dev->ctx, VKB_BAD_ARGUMENT,
                                        "kernel %s: no view was given", k->name));
            return;
        }
        views[i] = v;
        touched[i] = (gpu_access){v.buffer, v.offset, v.offset + v.bytes, write};
    }

    vkb_device *dev = s->dev;
    VkPipeline pipeline;
    VkDescriptorSet set;
    gpu_stream_fail(s, gpu_pipeline_get(dev, kernel, params->spec, params->spec_count,
                                        params->subgroup, &pipeline));
    if (s->status != VKB_OK || !write_set(s, kernel, views, &set))
        return;
    VkCommandBuffer commands = gpu_stream_commands(s, touched, k->bindings, params->flops);
    if (!commands)
        return;
    VkPipelineLayout layout = dev->kernels[kernel].layout;
    gpu_times_begin(s, commands, kernel, params);
    dev->vk.vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
    dev->vk.vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, layout, 0, 1, &set, 0,
                                    NULL);
    dev->vk.vkCmdPushConstants(commands, layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, k->push_bytes,
                               params->push);
    const gpu_test_fault fault = gpu_fault_of(dev, kernel, params->spec, params->spec_count);
    if (fault != GPU_TEST_NONE)
        s->fault = fault;
    if (fault == GPU_TEST_GIVES_LESS && g.y > 8)
        g.y = 8;
    if (fault != GPU_TEST_GIVES_NOTHING)
        dev->vk.vkCmdDispatch(commands, g.x, g.y, g.z);
    gpu_times_end(s, commands);
    dev->counters.recorded_runs++;
}
