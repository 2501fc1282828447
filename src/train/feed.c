// Rows on their way to the device: the order of an epoch, a slot filled with the next rows, the
// micro-batch that reads it.
#include "train/trainer.h"

#include <math.h>

void train_epoch_begin(vkb_trainer *t)
{
    dataset_shuffle((uint32_t)vkb_dataset_rows(t->data), t->params.seed, (uint32_t)t->at.epoch,
                    t->order);
}

static struct step_in step_values(const vkb_trainer *t, double rate)
{
    const double n = (double)(t->at.step + 1); // of the betas as the device has them, in fp32
    return (struct step_in){
        .seed_low = (uint32_t)t->params.seed,
        .seed_high = (uint32_t)(t->params.seed >> 32),
        .step = (uint32_t)t->at.draw,
        .epoch = (uint32_t)t->at.epoch,
        .lr = (float)rate,
        .bias_correction1 = (float)(1.0 - pow((float)t->params.adam_beta1, n)),
        .bias_correction2 = (float)(1.0 - pow((float)t->params.adam_beta2, n)),
        .max_grad_norm = (float)t->params.max_grad_norm,
    };
}

// Fills a slot with the next rows of the epoch; a short batch is filled up with padding, which is
// never masked and therefore never counted.
static void slot_fill(vkb_trainer *t, train_slot *slot, double rate, uint64_t *tokens)
{
    const train_slot_parts parts = train_slot_views(t, slot);
    const uint32_t length = t->acts.shape.length;
    uint32_t *ids = gpu_mapped(parts.ids), *mask = gpu_mapped(parts.attention_mask);
    uint32_t *examples = gpu_mapped(parts.examples);
    *(struct step_in *)gpu_mapped(parts.step) = step_values(t, rate);
    for (uint32_t r = 0; r < t->acts.shape.rows; r++, ids += length, mask += length) {
        const bool real = t->at.row < vkb_dataset_rows(t->data);
        const uint32_t example = real ? t->order[t->at.row++] : 0;
        uint32_t used = 0;
        examples[r] = example;
        if (real)
            used = dataset_row(t->data, example, ids);
        *tokens += used;
        for (uint32_t i = used; i < length; i++)
            ids[i] = t->special.pad;
        for (uint32_t i = 0; i < length; i++)
            mask[i] = i < used;
    }
}

vkb_status train_feed(vkb_trainer *t, double rate, bool first, uint64_t *tokens)
{
    vkb_status status = VKB_OK;
    vkb_device *dev = t->model->dev;
    train_slot *slot = &t->slots[t->next_slot++ % TRAIN_SLOTS];
    if (slot->ticket)
        BASE_TRY(gpu_wait(dev, slot->ticket));
    slot_fill(t, slot, rate, tokens);
    gpu_stream *streams[] = {slot->copy_in, first ? t->first : t->more};
    BASE_TRY(gpu_submit(dev, streams, BASE_COUNT(streams), &slot->ticket));
    t->at.draw++;
cleanup:
    return status;
}
