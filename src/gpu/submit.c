// The queue: submitting recorded streams, and waiting for tickets, which are the values of one
// timeline semaphore.
#include "gpu/internal.h"

static vkb_status fail_if_lost(vkb_device *dev)
{
    return dev->lost ? gpu_fail(dev, VK_ERROR_DEVICE_LOST, "earlier") : VKB_OK;
}

// One vkQueueSubmit; signals `ticket` when it is not 0.
static VkResult submit(vkb_device *dev, VkCommandBuffer commands, uint64_t ticket)
{
    VkTimelineSemaphoreSubmitInfo value = {
        .sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
        .signalSemaphoreValueCount = 1,
        .pSignalSemaphoreValues = &ticket,
    };
    VkSubmitInfo info = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
        .pNext = ticket ? &value : NULL,
        .commandBufferCount = commands ? 1 : 0,
        .pCommandBuffers = &commands,
        .signalSemaphoreCount = ticket ? 1 : 0,
        .pSignalSemaphores = &dev->timeline,
    };
    dev->counters.submissions++;
    return dev->vk.vkQueueSubmit(dev->queue, 1, &info, VK_NULL_HANDLE);
}

vkb_status gpu_submit(vkb_device *dev, gpu_stream *const *streams, size_t count, uint64_t *ticket)
{
    vkb_status status = fail_if_lost(dev);
    if (status != VKB_OK)
        return status;
    // Each command buffer is a submission of its own, so that none takes long; the last one signals,
    // which in a queue also covers those before it.
    VkResult result = VK_SUCCESS;
    uint64_t next = dev->ticket + 1;
    const char *name = "nothing";
    bool hangs = false; // for tests
    for (size_t i = 0; i < count && result == VK_SUCCESS; i++) {
        const gpu_stream *s = streams[i];
        name = s->name;
        if (s->fault != GPU_TEST_NONE && gpu_fault_on_submit(dev, s->fault, &result)) {
            hangs = result == VK_SUCCESS;
            continue;
        }
        for (size_t j = 0; j < s->commands.count && result == VK_SUCCESS; j++) {
            bool last = i + 1 == count && j + 1 == s->commands.count;
            result = submit(dev, s->commands.at[j], last ? next : 0);
        }
    }
    if (count == 0)
        result = submit(dev, NULL, next);
    if (result != VK_SUCCESS) {
        // What was submitted before the failure has no ticket to wait for.
        if (result != VK_ERROR_DEVICE_LOST)
            dev->vk.vkQueueWaitIdle(dev->queue);
        return gpu_fail(dev, result, "submitting stream %s", name);
    }
    if (ticket)
        *ticket = next;
    if (hangs)
        return VKB_OK; // the ticket never comes
    dev->ticket = next;
    for (size_t i = 0; i < count; i++)
        streams[i]->ticket = next;
    return VKB_OK;
}

static vkb_status wait_for(vkb_device *dev, uint64_t ticket, uint64_t nanoseconds)
{
    vkb_status status = fail_if_lost(dev);
    if (status != VKB_OK)
        return status;
    dev->counters.waits++;
    VkResult result = dev->vk.vkWaitSemaphores(dev->handle,
                                               &(VkSemaphoreWaitInfo){
                                                   .sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
                                                   .semaphoreCount = 1,
                                                   .pSemaphores = &dev->timeline,
                                                   .pValues = &ticket,
                                               },
                                               nanoseconds);
    if (result == VK_TIMEOUT) {
        dev->lost = dev->stuck = true;
        return vkb_fail(dev->ctx, VKB_DEVICE_LOST,
                        "%s hangs: what it was given has not ended after %.0f seconds",
                        dev->physical.info.name, 1e-9 * (double)nanoseconds);
    }
    if (result != VK_SUCCESS)
        return gpu_fail(dev, result, "waiting for the device");
    return VKB_OK;
}

vkb_status gpu_wait(vkb_device *dev, uint64_t ticket)
{
    return wait_for(dev, ticket, UINT64_MAX);
}

vkb_status gpu_wait_for(vkb_device *dev, uint64_t ticket, double seconds)
{
    return wait_for(dev, ticket, (uint64_t)(1e9 * seconds));
}

bool gpu_is_stuck(vkb_device *dev)
{
    return dev->stuck && !gpu_done(dev, dev->ticket);
}

vkb_status gpu_wait_all(vkb_device *dev)
{
    return gpu_wait(dev, dev->ticket);
}

bool gpu_done(vkb_device *dev, uint64_t ticket)
{
    uint64_t value = 0;
    VkResult result = dev->vk.vkGetSemaphoreCounterValue(dev->handle, dev->timeline, &value);
    if (result == VK_ERROR_DEVICE_LOST)
        dev->lost = true; // the next submission or wait says so
    return result == VK_SUCCESS && value >= ticket;
}

vkb_status gpu_run_once(vkb_device *dev, const char *name, gpu_record_fn record, void *user)
{
    gpu_stream *s = NULL;
    uint64_t ticket = 0;
    vkb_status status = gpu_record(dev, name, false, record, user, &s);
    if (status == VKB_OK)
        status = gpu_submit(dev, &s, 1, &ticket);
    if (status == VKB_OK)
        status = gpu_wait(dev, ticket);
    gpu_stream_destroy(&s);
    return status;
}
