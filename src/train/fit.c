// The largest batch that fits: plans, by bisection.
#include "train/trainer.h"

#include <stdlib.h>

// Of the room there is: memory is taken in blocks, and evaluation wants some while training has its own.
#define SHARE 0.85

// Of a batch; VKB_OUT_OF_MEMORY: it is more than `room`.
static vkb_status plan_fits(vkb_context *ctx, vkb_device *dev, const vkb_config *config,
                            const vkb_train_params *params, uint32_t length, double room)
{
    vkb_plan_entry *plan = NULL;
    double bytes = 0;
    vkb_status status = vkb_trainer_plan(ctx, dev, config, params, length, &plan);
    if (status != VKB_OK)
        return status;
    for (const vkb_plan_entry *entry = plan; entry->name; entry++)
        bytes += (double)(entry->bytes - entry->shared);
    free(plan);
    if (bytes <= room)
        return VKB_OK;
    return vkb_fail(ctx, VKB_OUT_OF_MEMORY,
                    "a batch of %u x %u tokens needs %.1f MiB of the device's memory, but training "
                    "may have %.1f MiB of it: choose a smaller model or length, or "
                    "gradient_checkpointing",
                    params->batch_size, length, bytes / 0x1p20, room / 0x1p20);
}

vkb_status vkb_trainer_fit(vkb_context *ctx, vkb_device *dev, const vkb_config *config,
                           uint32_t max_seq_length, vkb_train_params *params)
{
    const double room = SHARE * (double)gpu_memory_room(dev);
    vkb_train_params p = *params;
    uint32_t fits = 1, most = params->batch_size; // fits <= the answer <= most
    p.batch_size = 1;
    vkb_status status = plan_fits(ctx, dev, config, &p, max_seq_length, room);
    if (status != VKB_OK)
        return status;
    for (uint32_t next = 2; fits < most;) {
        p.batch_size = next < most ? next : most;
        // A failure says that some limit of the device, not its memory, is passed.
        if (plan_fits(ctx, dev, config, &p, max_seq_length, room) == VKB_OK)
            fits = p.batch_size;
        else
            most = p.batch_size - 1;
        const bool growing = most == params->batch_size;
        next = growing ? 2 * fits : fits + (most - fits + 1) / 2;
    }
    params->batch_size = fits;
    return VKB_OK;
}
