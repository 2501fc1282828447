// Buffers and views of them.
#include "gpu/internal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static vkb_status check_size(vkb_device *dev, const char *name, uint64_t bytes)
{
    const vkb_device_info *info = &dev->physical.info;
    if (bytes == 0)
        return vkb_fail(dev->ctx, VKB_BAD_ARGUMENT, "buffer %s: 0 bytes were asked for", name);
    if (bytes > info->max_allocation)
        return vkb_fail(dev->ctx, VKB_OUT_OF_MEMORY,
                        "buffer %s: %" PRIu64 " bytes, but %s allows %" PRIu64
                        " in one allocation (maxMemoryAllocationSize): a smaller batch, length or "
                        "model needs less",
                        name, bytes, info->name, info->max_allocation);
    return VKB_OK;
}

vkb_status gpu_buffer_create(vkb_device *dev, const char *name, uint64_t bytes, gpu_memory memory,
                             gpu_buffer **out)
{
    vkb_status status = check_size(dev, name, bytes);
    if (status != VKB_OK)
        return status;
    gpu_buffer *buffer = calloc(1, sizeof(*buffer));
    if (!buffer)
        return vkb_fail_memory(dev->ctx, sizeof(*buffer), name);
    *buffer = (gpu_buffer){.dev = dev, .name = strdup(name), .bytes = bytes, .memory = memory};
    if (!buffer->name)
        BASE_TRY(vkb_fail_memory(dev->ctx, strlen(name) + 1, name));

    if (dev->plan.buffer) {
        dev->plan.buffer(dev->plan.user, name, bytes);
        *out = buffer;
        return VKB_OK;
    }
    VkResult result = dev->vk.vkCreateBuffer(dev->handle,
                                             &(VkBufferCreateInfo){
                                                 .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                                                 .size = bytes,
                                                 .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT |
                                                          VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                                                          VK_BUFFER_USAGE_TRANSFER_DST_BIT,
                                             },
                                             NULL, &buffer->handle);
    if (result != VK_SUCCESS)
        BASE_TRY(gpu_fail(dev, result, "creating buffer %s of %" PRIu64 " bytes", name, bytes));
    VkMemoryRequirements wanted;
    dev->vk.vkGetBufferMemoryRequirements(dev->handle, buffer->handle, &wanted);
    BASE_TRY(gpu_allocate(dev, name, &wanted, memory, &buffer->allocation));
    result = dev->vk.vkBindBufferMemory(dev->handle, buffer->handle,
                                        gpu_allocation_memory(&buffer->allocation),
                                        buffer->allocation.offset);
    if (result != VK_SUCCESS)
        BASE_TRY(gpu_fail(dev, result, "binding memory to buffer %s", name));
    gpu_object_name(dev, VK_OBJECT_TYPE_BUFFER, (uint64_t)buffer->handle, name);
    dev->counters.buffer_bytes += bytes;
    buffer->counted = true;
    *out = buffer;
    buffer = NULL;
cleanup:
    gpu_buffer_destroy(&buffer);
    return status;
}

void gpu_buffer_destroy(gpu_buffer **buffer_)
{
    gpu_buffer *buffer = buffer_ ? *buffer_ : NULL;
    if (!buffer)
        return;
    *buffer_ = NULL;
    vkb_device *dev = buffer->dev;
    if (gpu_is_stuck(dev))
        return;
    dev->counters.buffer_bytes -= buffer->counted ? buffer->bytes : 0;
    dev->vk.vkDestroyBuffer(dev->handle, buffer->handle, NULL);
    gpu_free(dev, &buffer->allocation);
    free(buffer->name);
    free(buffer);
}

gpu_view gpu_whole(gpu_buffer *buffer)
{
    return (gpu_view){buffer, 0, buffer->bytes, GPU_F32};
}

gpu_view gpu_part(gpu_view view, uint64_t offset, uint64_t bytes)
{
    assert(offset <= view.bytes && bytes <= view.bytes - offset);
    return (gpu_view){view.buffer, view.offset + offset, bytes, view.type};
}

uint64_t gpu_alignment(const vkb_device *dev)
{
    uint64_t alignment = dev->physical.limits.minStorageBufferOffsetAlignment;
    return alignment < 16 ? 16 : alignment;
}

uint64_t gpu_binding_limit(const vkb_device *dev)
{
    return dev->binding_limit ? dev->binding_limit : dev->physical.info.max_storage_range;
}

void gpu_test_limit_binding(vkb_device *dev, uint64_t bytes)
{
    dev->binding_limit = bytes;
}

void gpu_plan(vkb_device *dev, gpu_plan_fn buffer, void *user)
{
    dev->plan.buffer = buffer;
    dev->plan.user = user;
}

void *gpu_mapped(gpu_view view)
{
    if (!view.buffer || !view.buffer->handle || view.buffer->memory == GPU_LOCAL)
        return NULL;
    return (uint8_t *)gpu_allocation_mapped(&view.buffer->allocation) + view.offset;
}
