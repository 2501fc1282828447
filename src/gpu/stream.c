// Recording a stream: the two passes, its command buffers, scratch memory, labels.
#include "gpu/internal.h"

#include "base/array.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- Failures ----

// The first failure is kept with its sentence: what comes after it only follows from it.
void gpu_stream_fail(gpu_stream *s, vkb_status status)
{
    if (s->status != VKB_OK || status == VKB_OK)
        return;
    s->status = status;
    s->error = strdup(vkb_error(s->dev->ctx));
}

// ---- Command buffers ----

static void full_barrier(gpu_stream *s, VkCommandBuffer commands, VkPipelineStageFlags from,
                         VkAccessFlags written, VkPipelineStageFlags to, VkAccessFlags seen)
{
    s->dev->vk.vkCmdPipelineBarrier(commands, from, to, 0, 1,
                                    &(VkMemoryBarrier){
                                        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                        .srcAccessMask = written,
                                        .dstAccessMask = seen,
                                    },
                                    0, NULL, 0, NULL);
}

static const VkPipelineStageFlags WORK =
    VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
static const VkAccessFlags WRITES = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
static const VkAccessFlags TOUCHES = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
                                     VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;

static VkCommandBuffer open_commands(gpu_stream *s)
{
    return s->commands.count ? s->commands.at[s->commands.count - 1].handle : NULL;
}

static void mark(gpu_stream *s, VkCommandBuffer commands)
{
    if (*s->label && s->dev->instance->debug_utils)
        s->dev->instance->fn.vkCmdBeginDebugUtilsLabelEXT(
            commands, &(VkDebugUtilsLabelEXT){.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_LABEL_EXT,
                                              .pLabelName = s->label});
}

static void unmark(gpu_stream *s, VkCommandBuffer commands)
{
    if (*s->label && s->dev->instance->debug_utils)
        s->dev->instance->fn.vkCmdEndDebugUtilsLabelEXT(commands);
}

// Opens the next command buffer, behind everything that was submitted before it.
static vkb_status begin_commands(gpu_stream *s)
{
    vkb_device *dev = s->dev;
    if (!array_reserve(&s->commands, s->commands.count + 1))
        return vkb_fail_memory(dev->ctx, sizeof(gpu_commands), s->name);
    VkCommandBuffer commands;
    VkResult result = dev->vk.vkAllocateCommandBuffers(
        dev->handle,
        &(VkCommandBufferAllocateInfo){
            .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
            .commandPool = s->pool,
            .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
            .commandBufferCount = 1,
        },
        &commands);
    if (result == VK_SUCCESS)
        result = dev->vk.vkBeginCommandBuffer(
            commands, &(VkCommandBufferBeginInfo){
                          .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                          // A stream may be submitted again while it is pending.
                          .flags = VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT,
                      });
    if (result != VK_SUCCESS)
        return gpu_fail(dev, result, "recording stream %s", s->name);
    s->commands.at[s->commands.count++] = (gpu_commands){commands, 0};
    s->since.count = 0;
    gpu_object_name(dev, VK_OBJECT_TYPE_COMMAND_BUFFER, (uint64_t)(uintptr_t)commands, s->name);
    full_barrier(s, commands, WORK | VK_PIPELINE_STAGE_HOST_BIT, WRITES | VK_ACCESS_HOST_WRITE_BIT,
                 WORK, TOUCHES);
    mark(s, commands);
    return VKB_OK;
}

static vkb_status end_commands(gpu_stream *s)
{
    VkCommandBuffer commands = open_commands(s);
    unmark(s, commands);
    full_barrier(s, commands, WORK, WRITES, VK_PIPELINE_STAGE_HOST_BIT,
                 VK_ACCESS_HOST_READ_BIT | VK_ACCESS_HOST_WRITE_BIT);
    VkResult result = s->dev->vk.vkEndCommandBuffer(commands);
    if (result != VK_SUCCESS)
        return gpu_fail(s->dev, result, "recording stream %s", s->name);
    return VKB_OK;
}

VkCommandBuffer gpu_stream_commands(gpu_stream *s, const gpu_access *touched, size_t count,
                                    double flops)
{
    if (s->status != VKB_OK)
        return NULL;
    const double before = s->commands.at[s->commands.count - 1].flops;
    if (before > 0 && before + flops > gpu_commands_flops(s->dev)) {
        gpu_stream_fail(s, end_commands(s));
        if (s->status == VKB_OK)
            gpu_stream_fail(s, begin_commands(s));
        if (s->status != VKB_OK)
            return NULL;
    }
    s->commands.at[s->commands.count - 1].flops += flops;
    VkCommandBuffer commands = open_commands(s);
    // What is timed runs alone.
    if (gpu_hazard_found(&s->since, touched, count) || (s->timed && s->since.count)) {
        full_barrier(s, commands, WORK, WRITES, WORK, TOUCHES);
        s->since.count = 0;
        s->dev->counters.recorded_barriers++;
    }
    if (!gpu_hazard_add(&s->since, touched, count)) {
        gpu_stream_fail(s, vkb_fail_memory(s->dev->ctx, count * sizeof(*touched), s->name));
        return NULL;
    }
    return commands;
}

// ---- The two passes ----

// Streams follow each other in the queue, so that they share scratch memory where the newest of a slot is
// large enough.
static vkb_status scratch_take(gpu_stream *s, uint32_t slot)
{
    vkb_device *dev = s->dev;
    gpu_scratch_memory **newest = &dev->scratch[dev->plan.buffer != NULL][slot], *memory = *newest;
    const uint64_t bytes = s->scratch[slot].bytes;
    char name[32];
    if (!memory || memory->buffer->bytes < bytes) {
        memory = calloc(1, sizeof(*memory));
        if (!memory)
            return vkb_fail_memory(dev->ctx, sizeof(*memory), s->name);
        snprintf(name, sizeof(name), "scratch %u", slot);
        vkb_status status = gpu_buffer_create(dev, name, bytes, GPU_LOCAL, &memory->buffer);
        if (status != VKB_OK) {
            free(memory);
            return status;
        }
        *newest = memory;
    }
    memory->users++;
    s->scratch[slot].memory = memory;
    return VKB_OK;
}

static void scratch_give_back(gpu_stream *s, uint32_t slot)
{
    gpu_scratch_memory *memory = s->scratch[slot].memory;
    if (!memory || --memory->users > 0)
        return;
    for (int plan = 0; plan < 2; plan++)
        if (s->dev->scratch[plan][slot] == memory)
            s->dev->scratch[plan][slot] = NULL;
    gpu_buffer_destroy(&memory->buffer);
    free(memory);
}

static vkb_status scratch_take_all(gpu_stream *s)
{
    vkb_status status = VKB_OK;
    for (uint32_t i = 0; i < GPU_MAX_SCRATCH && status == VKB_OK; i++)
        if (s->scratch[i].bytes)
            status = scratch_take(s, i);
    return status;
}

// What the real pass needs, as the dry pass has counted.
static vkb_status prepare(gpu_stream *s)
{
    vkb_device *dev = s->dev;
    vkb_status status = scratch_take_all(s);
    if (status != VKB_OK)
        return status;
    VkResult result = dev->vk.vkCreateCommandPool(
        dev->handle,
        &(VkCommandPoolCreateInfo){.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                   .queueFamilyIndex = dev->physical.queue_family},
        NULL, &s->pool);
    if (result == VK_SUCCESS && s->run_count)
        result = dev->vk.vkCreateDescriptorPool(
            dev->handle,
            &(VkDescriptorPoolCreateInfo){
                .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
                .maxSets = s->run_count,
                .poolSizeCount = 1,
                .pPoolSizes =
                    &(VkDescriptorPoolSize){VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, s->binding_count},
            },
            NULL, &s->sets);
    if (result != VK_SUCCESS)
        return gpu_fail(dev, result, "preparing stream %s", s->name);
    return s->timed ? gpu_times_open(s) : VKB_OK;
}

static vkb_status record_real(gpu_stream *s, gpu_record_fn record, void *user)
{
    vkb_status status = prepare(s);
    if (status == VKB_OK)
        status = begin_commands(s);
    if (status != VKB_OK)
        return status;
    s->dry = false;
    record(s, user);
    if (s->status == VKB_OK && s->recorded != s->run_count)
        return vkb_fail(s->dev->ctx, VKB_FAILED, "stream %s recorded %u runs, %u in its dry pass",
                        s->name, s->recorded, s->run_count);
    return s->status == VKB_OK ? end_commands(s) : s->status;
}

vkb_status gpu_record(vkb_device *dev, const char *name, bool timed, gpu_record_fn record,
                      void *user, gpu_stream **out)
{
    gpu_stream *s = calloc(1, sizeof(*s));
    if (!s)
        return vkb_fail_memory(dev->ctx, sizeof(*s), name);
    *s = (gpu_stream){
        .dev = dev,
        .name = strdup(name),
        .timed = timed,
        .dry = true,
        .label = "",
        .dry_scratch = {.dev = dev, .name = (char *)"scratch", .bytes = UINT64_MAX},
    };
    vkb_status status = s->name ? VKB_OK : vkb_fail_memory(dev->ctx, strlen(name) + 1, name);
    if (status == VKB_OK) {
        record(s, user);
        s->label = "";
        status = s->status;
    }
    if (status == VKB_OK)
        status = dev->plan.buffer ? scratch_take_all(s) : record_real(s, record, user);
    if (status != VKB_OK && s->error)
        vkb_fail(dev->ctx, status, "%s", s->error);
    if (status != VKB_OK)
        gpu_stream_destroy(&s);
    else
        *out = s;
    return status;
}

vkb_status gpu_rehearse(vkb_device *dev, const char *name, gpu_record_fn record, void *user,
                        void *listener)
{
    gpu_stream s = {.dev = dev,
                    .name = (char *)name,
                    .dry = true,
                    .label = "",
                    .listener = listener,
                    .dry_scratch = {.dev = dev, .name = (char *)"scratch", .bytes = UINT64_MAX}};
    record(&s, user);
    if (s.status != VKB_OK && s.error)
        vkb_fail(dev->ctx, s.status, "%s", s.error);
    free(s.error);
    return s.status;
}

void *gpu_listener(const gpu_stream *s)
{
    return s->listener;
}

void gpu_stream_destroy(gpu_stream **s_)
{
    gpu_stream *s = s_ ? *s_ : NULL;
    if (!s)
        return;
    *s_ = NULL;
    vkb_device *dev = s->dev;
    if (gpu_is_stuck(dev))
        return;
    if (s->ticket && !dev->lost && !gpu_done(dev, s->ticket))
        gpu_wait(dev, s->ticket);
    gpu_times_close(s);
    dev->vk.vkDestroyDescriptorPool(dev->handle, s->sets, NULL);
    dev->vk.vkDestroyCommandPool(dev->handle, s->pool, NULL);
    for (uint32_t i = 0; i < GPU_MAX_SCRATCH; i++)
        scratch_give_back(s, i);
    for (size_t i = 0; i < s->labels.count; i++)
        free(s->labels.at[i]);
    free(s->labels.at);
    free(s->commands.at);
    free(s->since.at);
    free(s->error);
    free(s->name);
    free(s);
}

vkb_device *gpu_stream_device(const gpu_stream *s)
{
    return s->dev;
}

bool gpu_is_dry(const gpu_stream *s)
{
    return s->dry;
}

gpu_view gpu_scratch(gpu_stream *s, uint32_t slot, uint64_t bytes)
{
    if (slot >= GPU_MAX_SCRATCH) {
        gpu_stream_fail(s, vkb_fail(s->dev->ctx, VKB_BAD_ARGUMENT,
                                    "stream %s: scratch slot %u, there are %d", s->name, slot,
                                    GPU_MAX_SCRATCH));
        return (gpu_view){&s->dry_scratch, 0, bytes, GPU_F32};
    }
    if (s->dry && bytes > s->scratch[slot].bytes)
        s->scratch[slot].bytes = bytes;
    if (!s->dry && bytes > s->scratch[slot].bytes)
        gpu_stream_fail(s, vkb_fail(s->dev->ctx, VKB_FAILED,
                                    "stream %s: scratch %u of %" PRIu64 " bytes, %" PRIu64
                                    " in the dry pass",
                                    s->name, slot, bytes, s->scratch[slot].bytes));
    gpu_buffer *buffer = s->dry ? NULL : s->scratch[slot].memory->buffer;
    return (gpu_view){buffer ? buffer : &s->dry_scratch, 0, bytes, GPU_F32};
}

// ---- Labels ----

void gpu_label(gpu_stream *s, const char *name)
{
    if (s->dry || s->status != VKB_OK)
        return;
    unmark(s, open_commands(s));
    s->label = "";
    if (!*name)
        return;
    char *copy = array_reserve(&s->labels, s->labels.count + 1) ? strdup(name) : NULL;
    if (!copy) {
        gpu_stream_fail(s, vkb_fail_memory(s->dev->ctx, strlen(name) + 1, name));
        return;
    }
    s->label = s->labels.at[s->labels.count++] = copy;
    mark(s, open_commands(s));
}
