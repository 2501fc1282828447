// Training in 16 bits: the copy of the weights that products read, and the state of loss scaling.
#include "train/trainer.h"

#include <math.h>
#include <string.h>

#define FIRST_SCALE 65536.0f // torch.amp.GradScaler's

// Casts the weights into their copy; afterwards AdamW keeps it.
static void record_halves(gpu_stream *s, void *user)
{
    const vkb_trainer *t = user;
    const gpu_type type = bert_gpu_type(t->params.precision);
    for (uint32_t i = 0; i < t->model->layout.slab_count; i++) {
        const gpu_view half = bert_halves_slab(&t->halves, i, type);
        if (half.buffer)
            op_cast(s, gpu_whole(t->model->weights.slabs[i]), t->model->layout.slabs[i].bytes / 4,
                    half);
    }
}

static vkb_status check_config(vkb_context *ctx, const vkb_config *c)
{
    const uint32_t head = c->hidden_size / c->num_attention_heads;
    if (c->hidden_size % 4 || c->intermediate_size % 4 || head % 4)
        return vkb_fail(ctx, VKB_BAD_ARGUMENT,
                        "hidden_size is %u, of a head %u, and intermediate_size %u, but in 16 bits "
                        "they must be multiples of 4: train in fp32",
                        c->hidden_size, head, c->intermediate_size);
    return VKB_OK;
}

vkb_status train_precision_create(vkb_trainer *t)
{
    vkb_status status = VKB_OK;
    vkb_device *dev = t->model->dev;
    const vkb_model *model = t->model;
    const train_scale_state first = {.bits = 0};
    if (t->params.precision == VKB_FP32)
        return VKB_OK;
    BASE_TRY(check_config(gpu_context(dev), &model->config));
    BASE_TRY(bert_halves_create(dev, &model->layout, model->config.num_hidden_layers,
                                &model->weights, bert_gpu_type(t->params.precision), &t->halves));
    BASE_TRY(gpu_run_once(dev, "16-bit weights", record_halves, t));
    if (t->params.precision == VKB_FP16) {
        BASE_TRY(gpu_buffer_create(dev, "loss_scale", sizeof(struct loss_scale), GPU_LOCAL,
                                   &t->scaling));
        BASE_TRY(train_scale_set(t, &first));
    }
cleanup:
    return status;
}

void train_precision_free(vkb_trainer *t)
{
    bert_params_free(&t->halves);
    gpu_buffer_destroy(&t->scaling);
}

// The unit makes the scale what it is for a mean loss: 1 / predictions, as a power of two.
op_scaling train_scaling(const vkb_trainer *t)
{
    const bool pairs = t->params.objective == VKB_OBJECTIVE_NSP;
    const uint32_t micro = pairs ? t->acts.shape.rows : t->acts.shape.predictions;
    const double most = (double)micro * t->params.gradient_accumulation_steps;
    if (!t->scaling)
        return (op_scaling){0};
    return (op_scaling){gpu_whole(t->scaling), (float)exp2(-ceil(log2(most)))};
}

vkb_status train_scale_get(const vkb_trainer *t, train_scale_state *out)
{
    struct loss_scale now = {0};
    uint32_t bits = 0;
    vkb_status status = VKB_OK;
    if (t->scaling)
        status = gpu_download(t->model->dev, gpu_whole(t->scaling), &now);
    memcpy(&bits, &now.scale, sizeof(bits));
    *out = (train_scale_state){bits, now.good, now.skipped};
    return status;
}

vkb_status train_scale_set(vkb_trainer *t, const train_scale_state *state)
{
    struct loss_scale now = {FIRST_SCALE, (uint32_t)state->good, (uint32_t)state->skipped};
    const uint32_t bits = (uint32_t)state->bits;
    if (!t->scaling)
        return VKB_OK;
    if (bits)
        memcpy(&now.scale, &bits, sizeof(bits));
    return gpu_upload(t->model->dev, gpu_whole(t->scaling), &now);
}
