// Training in fp16 and bf16: gradients are those of fp32 but for rounding, it learns, repeats and resumes
// to the bit, and a step whose gradients overflow changes nothing but the loss scale.
#include "lesson.h"

#include "base/half.h"

#include <math.h>

static const vkb_train_params quick = {
    .batch_size = 4,
    .learning_rate = 1e-3,
    .max_steps = 8,
    .mask.mlm_probability = 0.3,
    .weight_decay = 0.01,
    .seed = 42,
};

static vkb_train_params in(vkb_precision precision)
{
    vkb_train_params params = quick;
    params.precision = precision;
    return params;
}

static const char *name_of(vkb_precision precision)
{
    return precision == VKB_FP16 ? "fp16" : precision == VKB_BF16 ? "bf16" : "fp32";
}

// Gradients of the first step's mean loss, [model->layout.elements], freed with free().
static float *first_gradients(lesson *l, const vkb_train_params *params, vkb_metrics *metrics)
{
    lesson_model(l);
    vkb_trainer *trainer = lesson_trainer(l, params);
    *metrics = lesson_steps(trainer, 1);
    const double unit = train_scaling(trainer).unit;
    const double scale = unit > 0 ? unit * metrics->loss_scale : 1;
    float *all = malloc(l->model->layout.elements * sizeof(*all)), *at = all;
    for (uint32_t i = 0; i < l->model->layout.tensor_count; i++) {
        const bert_tensor *t = &l->model->layout.tensors[i];
        CHECK_OK(gpu_download(device, bert_params_view(&trainer->grads, t), at));
        for (uint64_t k = 0; k < t->bytes / 4; k++)
            at[k] = (float)(at[k] / scale / (double)metrics->masked_tokens);
        at += t->bytes / 4;
    }
    vkb_trainer_destroy(&trainer);
    return all;
}

// Sum of squared differences over that of squares.
static double error_of(const float *a, const float *b, uint64_t count)
{
    double difference = 0, size = 0;
    for (uint64_t i = 0; i < count; i++) {
        difference += pow((double)a[i] - b[i], 2);
        size += pow(b[i], 2);
    }
    return difference / size;
}

static void check_gradients(void)
{
    // A rounding is 2^-12 or 2^-9 of a value, squared 6e-8 or 4e-6, and some dozens of them follow each
    // other: 1.7e-6 and 9.2e-5 were measured on llvmpipe.
    static const double LIMITS[] = {[VKB_FP16] = 1e-5, [VKB_BF16] = 6e-4};
    lesson l = lesson_open(16, false, 40);
    l.config.initializer_range = 0.15f;
    const vkb_train_params whole = in(VKB_FP32);
    vkb_metrics exact, rounded;
    lesson_model(&l);
    float *expected = first_gradients(&l, &whole, &exact);
    for (vkb_precision p = VKB_FP16; p <= VKB_BF16; p++) {
        const vkb_train_params params = in(p);
        float *found = first_gradients(&l, &params, &rounded);
        const double error = error_of(found, expected, l.model->layout.elements);
        printf("  %s: loss %.5f for %.5f, gradients off by %.2g, norm %.5f for %.5f\n", name_of(p),
               rounded.loss, exact.loss, error, rounded.grad_norm, exact.grad_norm);
        CHECK(error < LIMITS[p]);
        CHECK_NEAR(rounded.loss, exact.loss, 10 * sqrt(LIMITS[p]));
        CHECK_NEAR(rounded.grad_norm / exact.grad_norm, 1, 10 * sqrt(LIMITS[p]));
        CHECK_INT(rounded.masked_tokens, exact.masked_tokens);
        CHECK(rounded.loss_scale == (p == VKB_FP16 ? 65536 : 0));
        free(found);
    }
    free(expected);
    lesson_close(&l);
}

TEST(gradients_are_those_of_fp32)
{
    check_gradients();
}

// Where the driver has cooperative matrices, products go by them then.
TEST(so_they_are_by_kernels_for_gpus)
{
    op_force_variant(OP_VARIANT_GPU);
    check_gradients();
    op_force_variant(OP_VARIANT_CHOSEN);
}

// The copy that products read is that of the weights as they are now.
static void check_halves(const vkb_trainer *t)
{
    const bert_layout *layout = &t->model->layout;
    const gpu_type type = bert_gpu_type(t->params.precision);
    for (uint32_t i = 0; i < layout->slab_count; i++) {
        const gpu_view half = bert_halves_slab(&t->halves, i, type);
        if (!half.buffer)
            continue;
        const uint64_t count = layout->slabs[i].bytes / 4;
        float *weights = malloc(count * sizeof(*weights));
        uint16_t *halves = malloc(count * sizeof(*halves));
        uint64_t wrong = 0;
        CHECK_OK(gpu_download(device, gpu_whole(t->model->weights.slabs[i]), weights));
        CHECK_OK(gpu_download(device, half, halves));
        for (uint64_t k = 0; k < count; k++) // how a driver rounds to fp16 is left to it
            wrong += type == GPU_F16 ? fabs(half_to_float(halves[k]) - weights[k]) >
                                           1e-3 * fabs(weights[k]) + 6e-8
                                     : halves[k] != bfloat_from_float(weights[k]);
        CHECK_INT(wrong, 0);
        free(weights);
        free(halves);
    }
}

static void learns(vkb_precision precision)
{
    lesson l = lesson_open(16, false, 6);
    l.config.initializer_range = 0.15f;
    lesson_model(&l);
    vkb_train_params params = in(precision);
    params.max_steps = 300;
    params.learning_rate = 5e-3;
    params.warmup_steps = 40;
    params.mask.mask_replace_prob = 1;
    params.mask.random_replace_prob = -1;
    params.adam_beta2 = 0.98;
    vkb_trainer *trainer = lesson_trainer(&l, &params);
    const double before = lesson_loss(&l, 0.15); // in fp32: it is the masters that have learnt
    const vkb_metrics last = lesson_steps(trainer, params.max_steps);
    check_halves(trainer);
    const double after = lesson_loss(&l, 0.15);
    printf("  %s: loss %.3f -> %.3f, %d steps skipped\n", name_of(precision), before, after,
           (int)last.skipped_steps);
    CHECK(before > 3.0);
    CHECK(after < 0.15);
    vkb_trainer_destroy(&trainer);
    lesson_close(&l);
}

TEST(one_batch_is_learnt_by_heart)
{
    learns(VKB_FP16);
    learns(VKB_BF16);
}

static void resumes(vkb_precision precision)
{
    lesson l = lesson_open(16, false, 40);
    l.config.hidden_dropout_prob = l.config.attention_probs_dropout_prob = 0.1f;
    const vkb_train_params params = in(precision);
    float *straight = lesson_weights_after(&l, &params, 8);
    float *again = lesson_weights_after(&l, &params, 8);
    float *resumed = lesson_weights_resumed(&l, &params, 5, 8);
    const size_t bytes = l.model->layout.elements * sizeof(float);
    CHECK(memcmp(straight, again, bytes) == 0);
    CHECK(memcmp(straight, resumed, bytes) == 0);
    free(straight);
    free(again);
    free(resumed);
    lesson_close(&l);
}

TEST(a_resumed_run_equals_an_uninterrupted_one)
{
    resumes(VKB_FP16);
    resumes(VKB_BF16);
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

// A scale at which the first gradients, of up to the scale, are beyond fp16.
TEST(an_overflow_skips_the_step_and_halves_the_scale)
{
    lesson l = lesson_open(16, false, 40);
    lesson_model(&l);
    const vkb_train_params params = in(VKB_FP16);
    vkb_trainer *trainer = lesson_trainer(&l, &params);
    const float scale = 0x1p30f;
    CHECK_OK(train_scale_set(trainer, &(train_scale_state){.bits = bits_of(scale), .good = 7}));
    float *before = lesson_weights(&l);
    const vkb_metrics first = lesson_steps(trainer, 1);
    float *after = lesson_weights(&l);
    CHECK(first.loss_scale == scale);
    CHECK_INT(first.skipped_steps, 1);
    CHECK(isfinite(first.loss));
    CHECK(memcmp(before, after, l.model->layout.elements * sizeof(float)) == 0);

    train_scale_state state;
    CHECK_OK(train_scale_get(trainer, &state));
    CHECK_INT(state.bits, bits_of(scale / 2));
    CHECK_INT(state.good, 0);

    // It travels with the checkpoint, and an fp32 run has none.
    CHECK_OK(vkb_trainer_save(trainer, l.folder));
    CHECK_OK(train_scale_set(trainer, &(train_scale_state){.skipped = 9}));
    CHECK_OK(vkb_trainer_resume(trainer, l.folder));
    CHECK_OK(train_scale_get(trainer, &state));
    CHECK_INT(state.bits, bits_of(scale / 2));
    CHECK_INT(state.skipped, 1);
    vkb_trainer_destroy(&trainer);
    const vkb_train_params whole = in(VKB_FP32);
    trainer = lesson_trainer(&l, &whole);
    CHECK_OK(vkb_trainer_resume(trainer, l.folder));
    CHECK_INT(lesson_steps(trainer, 3).skipped_steps, 0);
    vkb_trainer_destroy(&trainer);
    free(before);
    free(after);
    lesson_close(&l);
}

TEST(shapes_that_are_no_fours_are_refused)
{
    lesson l = lesson_open(16, false, 40);
    l.config.hidden_size = 30;
    l.config.num_attention_heads = 3;
    lesson_model(&l);
    vkb_trainer *trainer = NULL;
    const vkb_train_params params = in(VKB_FP16);
    CHECK_INT(vkb_trainer_create(l.model, l.tok, l.data, &params, &trainer), VKB_BAD_ARGUMENT);
    CHECK_HAS(vkb_error(gpu_context(device)), "multiples of 4");
    CHECK(trainer == NULL);
    lesson_close(&l);
}

static void run_all(vkb_device *dev)
{
    device = dev;
    RUN(gradients_are_those_of_fp32);
    RUN(so_they_are_by_kernels_for_gpus);
    RUN(one_batch_is_learnt_by_heart);
    RUN(a_resumed_run_equals_an_uninterrupted_one);
    RUN(an_overflow_skips_the_step_and_halves_the_scale);
    RUN(shapes_that_are_no_fours_are_refused);
}

int main(void)
{
    return devices_run(run_all) ? check_report() : 77;
}
