// Blocking transfers between host and device: by memcpy where the memory is mapped, else in chunks
// through a staging buffer that the device keeps.
#include "gpu/internal.h"

#include <assert.h>
#include <string.h>

// The mapped memory behind a view if the host may use it directly; reading wants a cache.
static uint8_t *direct(const vkb_device *dev, gpu_view view, bool reading)
{
    const gpu_buffer *buffer = view.buffer;
    uint8_t *mapped = gpu_allocation_mapped(&buffer->allocation);
    if (!mapped)
        return NULL;
    if (buffer->memory == GPU_LOCAL &&
        (dev->force_staging || (reading && !gpu_allocation_cached(dev, &buffer->allocation))))
        return NULL;
    return mapped + view.offset;
}

bool gpu_is_direct(gpu_view view)
{
    return direct(view.buffer->dev, view, true) != NULL;
}

typedef struct copy {
    gpu_view from, to;
} copy;

static void record_copy(gpu_stream *s, void *user)
{
    copy *c = user;
    gpu_copy(s, c->from, c->to);
}

// data: where to read from, for GPU_UPLOAD, or to write to, for GPU_READBACK.
static vkb_status staged(vkb_device *dev, gpu_view view, gpu_memory memory, const uint8_t *source,
                         uint8_t *target)
{
    gpu_buffer **staging = &dev->staging[memory == GPU_READBACK];
    vkb_status status = VKB_OK;
    if (!*staging)
        status = gpu_buffer_create(dev, memory == GPU_UPLOAD ? "upload" : "download",
                                   GPU_STAGING_BYTES, memory, staging);
    for (uint64_t at = 0; status == VKB_OK && at < view.bytes; at += GPU_STAGING_BYTES) {
        uint64_t bytes = view.bytes - at < GPU_STAGING_BYTES ? view.bytes - at : GPU_STAGING_BYTES;
        gpu_view here = gpu_part(gpu_whole(*staging), 0, bytes), there = gpu_part(view, at, bytes);
        copy c = memory == GPU_UPLOAD ? (copy){here, there} : (copy){there, here};
        if (source)
            memcpy(gpu_mapped(here), source + at, bytes);
        status = gpu_run_once(dev, (*staging)->name, record_copy, &c);
        if (status == VKB_OK && target)
            memcpy(target + at, gpu_mapped(here), bytes);
    }
    return status;
}

vkb_status gpu_upload(vkb_device *dev, gpu_view to, const void *data)
{
    assert(to.offset + to.bytes <= to.buffer->bytes);
    if (dev->plan.buffer)
        return VKB_OK;
    uint8_t *mapped = direct(dev, to, false);
    if (!mapped)
        return staged(dev, to, GPU_UPLOAD, data, NULL);
    memcpy(mapped, data, to.bytes);
    return VKB_OK;
}

vkb_status gpu_download(vkb_device *dev, gpu_view from, void *data)
{
    assert(from.offset + from.bytes <= from.buffer->bytes);
    uint8_t *mapped = direct(dev, from, true);
    if (!mapped)
        return staged(dev, from, GPU_READBACK, NULL, data);
    memcpy(data, mapped, from.bytes);
    return VKB_OK;
}

void gpu_test_force_staging(vkb_device *dev, bool on)
{
    dev->force_staging = on;
}
