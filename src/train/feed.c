// Rows on their way to the device: the order of an epoch, a slot filled with the next rows, the
// micro-batch that reads it.
#include "train/trainer.h"

#include <math.h>

vkb_status train_epoch_begin(vkb_trainer *t)
{
    return dataset_begin_epoch(t->data, t->at.epoch, &t->rows);
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
static vkb_status slot_fill(vkb_trainer *t, train_slot *slot, double rate, uint64_t *tokens)
{
    const train_slot_parts parts = train_slot_views(t, slot);
    const uint32_t length = t->acts.shape.length;
    uint32_t *examples = gpu_mapped(parts.examples);
    *(struct step_in *)gpu_mapped(parts.step) = step_values(t, rate);
    for (uint32_t r = 0; r < t->acts.shape.rows; r++) {
        dataset_row row = {
            .ids = (uint32_t *)gpu_mapped(parts.ids) + r * length,
            .types = t->types,
            .positions = t->positions,
            .segments = (uint32_t *)gpu_mapped(parts.segments) + r * length,
        };
        if (t->at.row < t->rows) {
            const uint64_t place = t->at.row++;
            vkb_status status = dataset_read(
                t->data, dataset_shuffled(t->rows, t->params.seed, t->at.epoch, place), &row);
            if (status != VKB_OK)
                return status;
        } else {
            for (uint32_t i = 0; i < length; i++) {
                row.ids[i] = t->special.pad;
                row.segments[i] = 0;
            }
        }
        examples[r] = row.example;
        *tokens += row.used;
    }
    return VKB_OK;
}

vkb_status train_feed(vkb_trainer *t, double rate, bool first, uint64_t *tokens)
{
    vkb_status status = VKB_OK;
    vkb_device *dev = t->model->dev;
    train_slot *slot = &t->slots[t->next_slot++ % TRAIN_SLOTS];
    if (slot->ticket)
        BASE_TRY(gpu_wait(dev, slot->ticket));
    BASE_TRY(slot_fill(t, slot, rate, tokens));
    gpu_stream *streams[] = {slot->copy_in, first ? t->first : t->more};
    BASE_TRY(gpu_submit(dev, streams, BASE_COUNT(streams), &slot->ticket));
    t->at.draw++;
cleanup:
    return status;
}
