// Everything a training step submits, recorded once: no allocation, pipeline, descriptor or barrier
// is made after this.
#include "train/trainer.h"

// ---- Slots: rows on their way to the device ----

static uint64_t aligned(const vkb_trainer *t, uint64_t bytes)
{
    uint64_t alignment = gpu_alignment(t->model->dev);
    return (bytes + alignment - 1) / alignment * alignment;
}

train_slot_parts train_slot_views(const vkb_trainer *t, const train_slot *slot)
{
    const uint64_t tokens = 4ull * t->acts.shape.rows * t->acts.shape.length;
    const uint64_t sizes[] = {sizeof(struct step_in), tokens, tokens, 4ull * t->acts.shape.rows};
    gpu_view parts[BASE_COUNT(sizes)], all = gpu_whole(slot->rows);
    uint64_t at = 0;
    for (size_t i = 0; i < BASE_COUNT(sizes); i++) {
        parts[i] = gpu_part(all, at, sizes[i]);
        at += aligned(t, sizes[i]);
    }
    return (train_slot_parts){parts[0], parts[1], parts[2], parts[3]};
}

static uint64_t slot_bytes(const vkb_trainer *t)
{
    const uint64_t tokens = 4ull * t->acts.shape.rows * t->acts.shape.length;
    return aligned(t, sizeof(struct step_in)) + 2 * aligned(t, tokens) +
           aligned(t, 4ull * t->acts.shape.rows);
}

typedef struct slot_recording {
    const vkb_trainer *trainer;
    const train_slot *slot;
} slot_recording;

static void record_copy_in(gpu_stream *s, void *user)
{
    const slot_recording *r = user;
    const train_slot_parts from = train_slot_views(r->trainer, r->slot);
    gpu_copy(s, from.step, gpu_whole(r->trainer->step));
    gpu_copy(s, from.ids, gpu_whole(r->trainer->raw_ids));
    gpu_copy(s, from.segments, r->trainer->acts.segments);
    gpu_copy(s, from.examples, gpu_whole(r->trainer->examples));
}

// ---- A micro-batch ----

void train_draw(gpu_stream *s, const bert_acts *acts, const vkb_config *config,
                vkb_special_ids special, const vkb_mask_params *masks, gpu_view step, gpu_view step_out,
                gpu_view raw_ids, gpu_view examples)
{
    const op_mask mask = {
        .step = step,
        .ids = raw_ids,
        .segments = acts->segments,
        .examples = examples,
        .masked_ids = acts->ids,
        .index = acts->index,
        .labels = acts->labels,
        .step_out = step_out,
        .rows = acts->shape.rows,
        .length = acts->shape.length,
        .capacity = acts->shape.predictions,
        .vocab_size = config->vocab_size,
        .special = special,
        .probability = (float)masks->mlm_probability,
        .mask_share = (float)masks->mask_replace_prob,
        .random_share = (float)masks->random_replace_prob,
    };
    gpu_label(s, "masking");
    op_mask_draw(s, &mask);
    gpu_label(s, "");
}

static bert_run trainer_run(const vkb_trainer *t, bool accumulate)
{
    return (bert_run){
        .config = &t->model->config,
        .weights = &t->model->weights,
        .grads = &t->grads,
        .acts = &t->acts,
        .step = gpu_whole(t->step),
        .step_out = gpu_whole(t->step_out),
        .dropout = true,
        .accumulate = accumulate,
    };
}

static void record_micro(gpu_stream *s, const vkb_trainer *t, bool accumulate)
{
    const bert_run run = trainer_run(t, accumulate);
    train_draw(s, &t->acts, run.config, t->special, &t->params.mask, run.step, run.step_out,
               gpu_whole(t->raw_ids), gpu_whole(t->examples));
    bert_forward(s, &run);
    bert_head_forward(s, &run);
    bert_loss(s, &run, true);
    bert_backward(s, &run);
}

static void record_first(gpu_stream *s, void *user)
{
    const vkb_trainer *t = user;
    gpu_fill(s, gpu_whole(t->step_out), 0);
    record_micro(s, t, false);
}

static void record_more(gpu_stream *s, void *user)
{
    record_micro(s, user, true);
}

// ---- The update ----

static void record_update(gpu_stream *s, void *user)
{
    const vkb_trainer *t = user;
    const bert_run run = trainer_run(t, false);
    const bert_adamw adamw = {
        .beta1 = (float)t->params.adam_beta1,
        .beta2 = (float)t->params.adam_beta2,
        .eps = (float)t->params.adam_epsilon,
        .weight_decay = (float)t->params.weight_decay,
    };
    bert_update(s, &run, &t->model->layout, &t->exp_avg, &t->exp_avg_sq, &adamw);
}

typedef struct result_recording {
    const vkb_trainer *trainer;
    const train_result *result;
} result_recording;

static void record_copy_out(gpu_stream *s, void *user)
{
    const result_recording *r = user;
    gpu_copy(s, gpu_whole(r->trainer->step_out), gpu_whole(r->result->out));
}

// ---- All of it ----

// Slabs are padded to the device's alignment: zeros there stay zeros through norm and AdamW.
static void record_clear(gpu_stream *s, void *user)
{
    const vkb_trainer *t = user;
    const bert_params *cleared[] = {&t->grads, &t->exp_avg, &t->exp_avg_sq};
    for (size_t i = 0; i < BASE_COUNT(cleared); i++)
        for (uint32_t k = 0; k < cleared[i]->slab_count; k++)
            gpu_fill(s, gpu_whole(cleared[i]->slabs[k]), 0);
    gpu_fill(s, t->acts.types, 0);
}

vkb_status train_record(vkb_trainer *t)
{
    vkb_status status = VKB_OK;
    vkb_device *dev = t->model->dev;
    BASE_TRY(gpu_run_once(dev, "clear", record_clear, t));
    for (uint32_t i = 0; i < TRAIN_SLOTS; i++) {
        train_slot *slot = &t->slots[i];
        slot_recording recording = {t, slot};
        BASE_TRY(gpu_buffer_create(dev, "rows", slot_bytes(t), GPU_UPLOAD, &slot->rows));
        BASE_TRY(gpu_record(dev, "copy in", false, record_copy_in, &recording, &slot->copy_in));
    }
    for (uint32_t i = 0; i < TRAIN_SLOTS; i++) {
        train_result *result = &t->results[i];
        result_recording recording = {t, result};
        BASE_TRY(
            gpu_buffer_create(dev, "metrics", sizeof(struct step_out), GPU_READBACK, &result->out));
        BASE_TRY(
            gpu_record(dev, "copy out", false, record_copy_out, &recording, &result->copy_out));
    }
    BASE_TRY(gpu_record(dev, "micro-batch", false, record_first, t, &t->first));
    if (t->params.gradient_accumulation_steps > 1)
        BASE_TRY(gpu_record(dev, "micro-batch, accumulated", false, record_more, t, &t->more));
    BASE_TRY(gpu_record(dev, "update", false, record_update, t, &t->update));
cleanup:
    return status;
}
