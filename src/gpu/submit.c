// The queue: submitting recorded streams, and waiting for tickets, which are the values of one
// timeline semaphore.
#include "gpu/internal.h"

#include "base/clock.h"

#include <math.h>

static vkb_status fail_if_lost(vkb_device *dev)
{
    return dev->lost ? gpu_fail(dev, VK_ERROR_DEVICE_LOST, "earlier") : VKB_OK;
}

// ---- Submitting ----

enum { MOST_TOGETHER = 256 };

// Command buffers that go to the queue together.
typedef struct together {
    vkb_device *dev;
    VkCommandBuffer commands[MOST_TOGETHER];
    uint32_t count;
    double flops, most; // of these; that a submission may have
} together;

// A tenth of a second on a GPU that reaches 1 TFLOP/s, or 0.2 on an integrated one.
double gpu_commands_flops(const vkb_device *dev)
{
    const double few = vkb_device_get_info(dev)->type == VKB_INTEGRATED ? 2e10 : 1e11;
    return dev->bound.forced > 0 ? dev->bound.forced : few;
}

// No display waits for a software driver.
static double submission_flops(const vkb_device *dev)
{
    const bool free = vkb_device_get_info(dev)->type == VKB_SOFTWARE && dev->bound.forced <= 0;
    return free ? INFINITY : gpu_bound_flops(&dev->bound, gpu_commands_flops(dev));
}

// One vkQueueSubmit; signals `ticket` when it is not 0.
static VkResult submit(together *t, uint64_t ticket)
{
    VkTimelineSemaphoreSubmitInfo value = {
        .sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
        .signalSemaphoreValueCount = 1,
        .pSignalSemaphoreValues = &ticket,
    };
    VkSubmitInfo info = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
        .pNext = ticket ? &value : NULL,
        .commandBufferCount = t->count,
        .pCommandBuffers = t->commands,
        .signalSemaphoreCount = ticket ? 1 : 0,
        .pSignalSemaphores = &t->dev->timeline,
    };
    t->count = 0;
    t->flops = 0;
    t->dev->counters.submissions++;
    return t->dev->vk.vkQueueSubmit(t->dev->queue, 1, &info, VK_NULL_HANDLE);
}

// Behind those before, which are submitted first if they would be too many with it.
static VkResult add(together *t, const gpu_commands *commands)
{
    VkResult result = VK_SUCCESS;
    if (t->count == MOST_TOGETHER || (t->count && t->flops + commands->flops > t->most))
        result = submit(t, 0);
    t->commands[t->count++] = commands->handle;
    t->flops += commands->flops;
    return result;
}

// Made when something is first submitted: drivers that only compile have none.
static VkResult make_timeline(vkb_device *dev)
{
    if (dev->timeline)
        return VK_SUCCESS;
    return dev->vk.vkCreateSemaphore(
        dev->handle,
        &(VkSemaphoreCreateInfo){
            .sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO,
            .pNext =
                &(VkSemaphoreTypeCreateInfo){.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
                                             .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE}},
        NULL, &dev->timeline);
}

static uint64_t done_ticket(vkb_device *dev)
{
    uint64_t value = 0;
    if (dev->timeline && dev->vk.vkGetSemaphoreCounterValue(dev->handle, dev->timeline, &value) ==
                             VK_ERROR_DEVICE_LOST)
        dev->lost = true; // the next submission or wait says so
    return value;
}

vkb_status gpu_submit(vkb_device *dev, gpu_stream *const *streams, size_t count, uint64_t *ticket)
{
    vkb_status status = fail_if_lost(dev);
    if (status != VKB_OK)
        return status;
    if (dev->plan.buffer) {
        if (ticket)
            *ticket = dev->ticket;
        return VKB_OK;
    }
    VkResult result = make_timeline(dev);
    if (result != VK_SUCCESS)
        return gpu_fail(dev, result, "creating a semaphore");
    uint64_t next = dev->ticket + 1;
    const char *name = "nothing";
    bool hangs = false; // for tests
    double flops = 0;
    const double now = clock_seconds(dev->ctx);
    const uint64_t done = done_ticket(dev);
    together t;
    t.dev = dev;
    t.count = 0;
    t.flops = 0;
    t.most = submission_flops(dev);
    for (size_t i = 0; i < count && result == VK_SUCCESS; i++) {
        const gpu_stream *s = streams[i];
        name = s->name;
        if (s->fault != GPU_TEST_NONE && gpu_fault_on_submit(dev, s->fault, &result)) {
            hangs = result == VK_SUCCESS;
            continue;
        }
        for (size_t j = 0; j < s->commands.count && result == VK_SUCCESS; j++) {
            result = add(&t, &s->commands.at[j]);
            flops += s->commands.at[j].flops;
        }
    }
    // The last submission signals, which in a queue also covers those before it.
    if (result == VK_SUCCESS)
        result = submit(&t, hangs ? 0 : next);
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
    gpu_bound_submitted(&dev->bound, next, done, flops, now);
    return VKB_OK;
}

void gpu_test_limit_submissions(vkb_device *dev, double flops)
{
    dev->bound.forced = flops;
}

// ---- Waiting ----

static vkb_status wait_for(vkb_device *dev, uint64_t ticket, uint64_t nanoseconds)
{
    vkb_status status = fail_if_lost(dev);
    if (status != VKB_OK || dev->plan.buffer || !dev->timeline)
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
    gpu_bound_ended(&dev->bound, ticket, clock_seconds(dev->ctx));
    return VKB_OK;
}

vkb_status gpu_wait(vkb_device *dev, uint64_t ticket)
{
    return wait_for(dev, ticket, UINT64_MAX);
}

vkb_status gpu_wait_for(vkb_device *dev, uint64_t ticket, double seconds)
{
    if (ticket > dev->ticket) // made by a test: nobody has to wait for it
        seconds = 0;
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
    return done_ticket(dev) >= ticket;
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
