// Everything a training step submits, recorded once: no allocation, pipeline, descriptor or barrier
// is made after this.
#include "train/trainer.h"

// ---- A micro-batch ----

static bert_run trainer_run(const vkb_trainer *t, bool accumulate)
{
    return (bert_run){
        .config = &t->model->config,
        .weights = t->halves.slabs ? &t->halves : &t->model->weights,
        .masters = &t->model->weights,
        .grads = &t->grads,
        .acts = &t->acts,
        .step = gpu_whole(t->inputs.step),
        .step_out = gpu_whole(t->step_out),
        .objective = t->params.objective,
        .scaling = train_scaling(t),
        .dropout = true,
        .accumulate = accumulate,
    };
}

static void record_micro(gpu_stream *s, const vkb_trainer *t, bool accumulate)
{
    const bert_run run = trainer_run(t, accumulate);
    train_draw(s, &t->inputs, &t->params.mask, t->params.objective, run.step_out);
    bert_forward(s, &run);
    bert_head_forward(s, &run);
    bert_loss(s, &run, true);
    bert_backward(s, &run);
}

void train_record_first(gpu_stream *s, void *user)
{
    const vkb_trainer *t = user;
    gpu_fill(s, gpu_whole(t->step_out), 0);
    record_micro(s, t, false);
}

void train_record_more(gpu_stream *s, void *user)
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
}

vkb_status train_record_step(vkb_trainer *t, bool timed)
{
    vkb_status status = VKB_OK;
    vkb_device *dev = t->model->dev;
    gpu_stream_destroy(&t->first);
    gpu_stream_destroy(&t->more);
    gpu_stream_destroy(&t->update);
    BASE_TRY(gpu_record(dev, "micro-batch", timed, train_record_first, t, &t->first));
    if (t->params.gradient_accumulation_steps > 1)
        BASE_TRY(
            gpu_record(dev, "micro-batch, accumulated", timed, train_record_more, t, &t->more));
    BASE_TRY(gpu_record(dev, "update", timed, record_update, t, &t->update));
cleanup:
    return status;
}

vkb_status train_record(vkb_trainer *t)
{
    vkb_status status = VKB_OK;
    vkb_device *dev = t->model->dev;
    BASE_TRY(gpu_run_once(dev, "clear", record_clear, t));
    for (uint32_t i = 0; i < TRAIN_RESULTS; i++) {
        train_result *result = &t->results[i];
        result_recording recording = {t, result};
        BASE_TRY(
            gpu_buffer_create(dev, "metrics", sizeof(struct step_out), GPU_READBACK, &result->out));
        BASE_TRY(
            gpu_record(dev, "copy out", false, record_copy_out, &recording, &result->copy_out));
    }
    BASE_TRY(train_record_step(t, false));
cleanup:
    return status;
}
