#include "bert/model_trial.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

// ---- What is recorded ----

static void record_forward(gpu_stream *s, void *user)
{
    const model_trial *t = user;
    bert_forward(s, &t->run);
    bert_head_forward(s, &t->run);
}

// The loss, without a gradient unless the trial trains.
static void record_backward(gpu_stream *s, void *user)
{
    const model_trial *t = user;
    const bool training = t->acts.shape.training;
    bert_loss(s, &t->run, training);
    if (training)
        bert_backward(s, &t->run);
}

static void record_more(gpu_stream *s, void *user)
{
    const model_trial *t = user;
    bert_run run = t->run;
    run.accumulate = true;
    bert_loss(s, &run, true);
    bert_backward(s, &run);
}

static void record_update(gpu_stream *s, void *user)
{
    const model_trial *t = user;
    bert_update(s, &t->run, &t->model->layout, &t->exp_avg, &t->exp_avg_sq, &t->adamw);
}

static void record_clear(gpu_stream *s, void *user)
{
    const model_trial *t = user;
    const bert_params *all[] = {&t->grads, &t->exp_avg, &t->exp_avg_sq};
    for (size_t i = 0; i < BASE_COUNT(all); i++)
        for (uint32_t k = 0; k < all[i]->slab_count; k++)
            gpu_fill(s, gpu_whole(all[i]->slabs[k]), 0);
}

// ---- Open and close ----

static uint32_t device_label(int32_t label)
{
    return label < 0 ? OP_NONE : (uint32_t)label;
}

static vkb_status batch_upload(model_trial *t, const model_batch *b)
{
    vkb_status status = VKB_OK;
    const uint32_t n = b->rows * b->length;
    uint32_t *positions = malloc(n * sizeof(*positions)), *index = malloc(n * sizeof(*index));
    uint32_t *labels = malloc(n * sizeof(*labels));
    for (uint32_t i = 0; i < n; i++) {
        positions[i] = i % b->length;
        index[i] = i;
        labels[i] = device_label(b->labels[i]);
        t->labelled += b->labels[i] >= 0;
    }
    BASE_TRY(gpu_upload(t->dev, t->acts.ids, b->ids));
    BASE_TRY(gpu_upload(t->dev, t->acts.types, b->types));
    BASE_TRY(gpu_upload(t->dev, t->acts.segments, b->attention_mask));
    BASE_TRY(gpu_upload(t->dev, t->acts.positions, positions));
    BASE_TRY(gpu_upload(t->dev, t->acts.index, index));
    BASE_TRY(gpu_upload(t->dev, t->acts.labels, labels));
    for (uint32_t row = 0; row < b->rows; row++) {
        index[row] = row * b->length;
        labels[row] = b->next_sentence ? device_label(b->next_sentence[row]) : OP_NONE;
    }
    BASE_TRY(gpu_upload(t->dev, t->acts.first, index));
    BASE_TRY(gpu_upload(t->dev, t->acts.next_sentence, labels));
cleanup:
    free(positions);
    free(index);
    free(labels);
    return status;
}

static vkb_status training_open(model_trial *t)
{
    vkb_status status = VKB_OK;
    const bert_layout *layout = &t->model->layout;
    const uint32_t layers = t->model->config.num_hidden_layers;
    BASE_TRY(bert_params_create(t->dev, layout, layers, "gradients", &t->grads));
    BASE_TRY(bert_params_create(t->dev, layout, layers, "exp_avg", &t->exp_avg));
    BASE_TRY(bert_params_create(t->dev, layout, layers, "exp_avg_sq", &t->exp_avg_sq));
    t->run.grads = &t->grads;
    BASE_TRY(gpu_run_once(t->dev, "clear", record_clear, t));
    BASE_TRY(gpu_record(t->dev, "backward, accumulated", false, record_more, t, &t->more));
    BASE_TRY(gpu_record(t->dev, "update", false, record_update, t, &t->update));
cleanup:
    return status;
}

vkb_status model_trial_open(vkb_device *dev, const char *folder, const model_batch *batch,
                            bool training, model_trial *t)
{
    vkb_status status = VKB_OK;
    *t = (model_trial){.dev = dev, .adamw = {0.9f, 0.999f, 1e-8f, 0.01f}};
    const uint32_t n = batch->rows * batch->length;
    const bert_shape shape = {.rows = batch->rows,
                              .length = batch->length,
                              .predictions = n,
                              .training = training,
                              .recompute = batch->recompute,
                              .apart = batch->apart};
    BASE_TRY(vkb_model_load(dev, folder, NULL, &t->model));
    if (batch->dropout > 0)
        t->model->config.hidden_dropout_prob = t->model->config.attention_probs_dropout_prob =
            batch->dropout;
    BASE_TRY(bert_acts_create(dev, &t->model->config, shape, &t->acts));
    BASE_TRY(gpu_buffer_create(dev, "step", sizeof(struct step_in), GPU_LOCAL, &t->step));
    BASE_TRY(gpu_buffer_create(dev, "out", sizeof(struct step_out), GPU_LOCAL, &t->step_out));
    t->run = (bert_run){.config = &t->model->config,
                        .weights = &t->model->weights,
                        .masters = &t->model->weights,
                        .acts = &t->acts,
                        .step = gpu_whole(t->step),
                        .step_out = gpu_whole(t->step_out),
                        .objective = batch->objective,
                        .dropout = batch->dropout > 0};
    BASE_TRY(gpu_upload(dev, t->run.step, &(struct step_in){.seed_low = 1}));
    BASE_TRY(batch_upload(t, batch));
    if (training)
        BASE_TRY(training_open(t));
    BASE_TRY(gpu_record(dev, "forward", false, record_forward, t, &t->forward));
    BASE_TRY(gpu_record(dev, "backward", false, record_backward, t, &t->backward));
    return VKB_OK;
cleanup:
    model_trial_close(t);
    return status;
}

void model_trial_close(model_trial *t)
{
    gpu_stream_destroy(&t->forward);
    gpu_stream_destroy(&t->backward);
    gpu_stream_destroy(&t->more);
    gpu_stream_destroy(&t->update);
    bert_acts_free(&t->acts);
    bert_params_free(&t->grads);
    bert_params_free(&t->exp_avg);
    bert_params_free(&t->exp_avg_sq);
    gpu_buffer_destroy(&t->step);
    gpu_buffer_destroy(&t->step_out);
    vkb_model_destroy(&t->model);
}

// ---- Runs ----

static vkb_status submit(model_trial *t, gpu_stream *stream)
{
    uint64_t ticket;
    vkb_status status = gpu_submit(t->dev, &stream, 1, &ticket);
    return status == VKB_OK ? gpu_wait(t->dev, ticket) : status;
}

static vkb_status loss_begin(model_trial *t)
{
    const struct step_out out = {.predictions = t->labelled};
    return gpu_upload(t->dev, gpu_whole(t->step_out), &out);
}

vkb_status model_trial_forward(model_trial *t, float *logits, struct step_out *out)
{
    vkb_status status = model_trial_backward(t, out);
    if (status == VKB_OK && logits)
        status = gpu_download(t->dev, t->acts.logits, logits);
    return status;
}

vkb_status model_trial_backward(model_trial *t, struct step_out *out)
{
    vkb_status status = VKB_OK;
    BASE_TRY(loss_begin(t));
    BASE_TRY(submit(t, t->forward));
    BASE_TRY(submit(t, t->backward));
    BASE_TRY(gpu_download(t->dev, gpu_whole(t->step_out), out));
cleanup:
    return status;
}

vkb_status model_trial_more(model_trial *t, const model_batch *batch, struct step_out *out)
{
    vkb_status status = VKB_OK;
    BASE_TRY(batch_upload(t, batch));
    out->predictions = t->labelled;
    BASE_TRY(gpu_upload(t->dev, gpu_whole(t->step_out), out));
    BASE_TRY(submit(t, t->forward));
    BASE_TRY(submit(t, t->more));
    BASE_TRY(gpu_download(t->dev, gpu_whole(t->step_out), out));
cleanup:
    return status;
}

vkb_status model_trial_update(model_trial *t, uint32_t n, float lr, struct step_out *out)
{
    vkb_status status = VKB_OK;
    const struct step_in step = {
        .lr = lr,
        .bias_correction1 = (float)(1 - pow(t->adamw.beta1, n)),
        .bias_correction2 = (float)(1 - pow(t->adamw.beta2, n)),
        .max_grad_norm = 1,
    };
    BASE_TRY(gpu_upload(t->dev, gpu_whole(t->step), &step));
    BASE_TRY(submit(t, t->update));
    BASE_TRY(gpu_download(t->dev, gpu_whole(t->step_out), out));
cleanup:
    return status;
}

void model_trial_variants(vkb_device *dev, void (*tests)(void))
{
    tests();
    if (vkb_device_get_info(dev)->type != VKB_SOFTWARE)
        return;
    printf("kernels for GPUs\n");
    op_force_variant(OP_VARIANT_GPU);
    tests();
    op_force_variant(OP_VARIANT_CHOSEN);
}
