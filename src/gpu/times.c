// Timestamps: two around each run of a timed stream, and what each run moves.
#include "gpu/internal.h"

#include <stdlib.h>

vkb_status gpu_times_open(gpu_stream *s)
{
    vkb_device *dev = s->dev;
    s->played = dev->played.takes != NULL;
    if ((!dev->physical.timestamp_bits && !s->played) || s->run_count == 0)
        return VKB_OK;
    s->times = calloc(s->run_count, sizeof(*s->times));
    if (!s->times)
        return vkb_fail_memory(dev->ctx, s->run_count * sizeof(*s->times), "times");
    if (!dev->physical.timestamp_bits)
        return VKB_OK;
    VkResult result =
        dev->vk.vkCreateQueryPool(dev->handle,
                                  &(VkQueryPoolCreateInfo){
                                      .sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
                                      .queryType = VK_QUERY_TYPE_TIMESTAMP,
                                      .queryCount = 2 * s->run_count,
                                  },
                                  NULL, &s->queries);
    if (result != VK_SUCCESS)
        return gpu_fail(dev, result, "preparing the times of stream %s", s->name);
    return VKB_OK;
}

static bool same_view(gpu_view a, gpu_view b)
{
    return a.buffer == b.buffer && a.offset == b.offset && a.bytes == b.bytes;
}

// Each view once, though several bindings have it; those that stand in for an empty one not at all.
static double moved_bytes(gpu_kernel kernel, const gpu_run_params *params)
{
    const gpu_kernel_entry *k = gpu_kernel_get(kernel);
    double bytes = params->bytes;
    for (uint32_t i = 0; i < k->bindings && params->bytes == 0; i++) {
        bool seen = !params->bind[i].buffer, read = false, written = false;
        for (uint32_t j = 0; j < k->bindings && !seen; j++) {
            if (!same_view(params->bind[j], params->bind[i]))
                continue;
            seen = j < i;
            read = read || k->access[j] != 'w';
            written = written || k->access[j] != 'r';
        }
        if (!seen)
            bytes += (double)params->bind[i].bytes * (read + written);
    }
    return bytes;
}

// `recorded` has just been counted up for this run.
void gpu_times_begin(gpu_stream *s, VkCommandBuffer commands, gpu_kernel kernel,
                     const gpu_run_params *params)
{
    const vkb_device *dev = s->dev;
    if (!s->times)
        return;
    uint32_t run = s->recorded - 1;
    s->times[run] = (gpu_time){.kernel = kernel,
                               .label = s->label,
                               .flops = params->flops,
                               .bytes = moved_bytes(kernel, params)};
    if (s->played)
        s->times[run].seconds =
            dev->played.takes(dev->played.user, kernel, params->spec, params->spec_count);
    if (!s->queries)
        return;
    s->dev->vk.vkCmdResetQueryPool(commands, s->queries, 2 * run, 2);
    s->dev->vk.vkCmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, s->queries,
                                   2 * run);
}

void gpu_times_end(gpu_stream *s, VkCommandBuffer commands)
{
    if (s->queries)
        s->dev->vk.vkCmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, s->queries,
                                       2 * s->recorded - 1);
}

void gpu_times_close(gpu_stream *s)
{
    s->dev->vk.vkDestroyQueryPool(s->dev->handle, s->queries, NULL);
    free(s->times);
}

// The device's times, in seconds from the first one on that it told.
static vkb_status read_times(gpu_stream *s)
{
    vkb_device *dev = s->dev;
    size_t bytes = 2 * s->run_count * sizeof(uint64_t);
    uint64_t *ticks = malloc(bytes);
    if (!ticks)
        return vkb_fail_memory(dev->ctx, bytes, "times");
    VkResult result = dev->vk.vkGetQueryPoolResults(
        dev->handle, s->queries, 0, 2 * s->run_count, bytes, ticks, sizeof(*ticks),
        VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT);
    uint32_t bits = dev->physical.timestamp_bits;
    uint64_t mask = bits < 64 ? (UINT64_C(1) << bits) - 1 : UINT64_MAX;
    double period = dev->physical.limits.timestampPeriod * 1e-9;
    if (result == VK_SUCCESS && !dev->first_tick)
        dev->first_tick = ticks[0];
    for (uint32_t i = 0; result == VK_SUCCESS && i < s->run_count; i++) {
        s->times[i].begin = (double)((ticks[2 * i] - dev->first_tick) & mask) * period;
        s->times[i].seconds = (double)((ticks[2 * i + 1] - ticks[2 * i]) & mask) * period;
    }
    free(ticks);
    return result == VK_SUCCESS ? VKB_OK
                                : gpu_fail(dev, result, "reading the times of stream %s", s->name);
}

static void play_times(gpu_stream *s)
{
    double *now = &s->dev->played.now;
    for (uint32_t i = 0; i < s->run_count; i++) {
        s->times[i].begin = *now;
        *now += s->times[i].seconds;
    }
}

vkb_status gpu_times(gpu_stream *s, const gpu_time **times, size_t *count)
{
    vkb_device *dev = s->dev;
    vkb_status status = VKB_OK;
    *count = 0;
    *times = s->times;
    if (!s->times)
        return VKB_OK;
    if (!s->ticket)
        return vkb_fail(dev->ctx, VKB_BAD_ARGUMENT, "stream %s was not submitted yet", s->name);
    BASE_TRY(gpu_wait(dev, s->ticket));
    if (s->played)
        play_times(s);
    else
        BASE_TRY(read_times(s));
    *count = s->run_count;
cleanup:
    return status;
}

void gpu_test_times(vkb_device *dev, gpu_test_time_fn takes, void *user)
{
    dev->played.takes = takes;
    dev->played.user = user;
}
