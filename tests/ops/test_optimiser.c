// The global gradient norm with clipping, and AdamW, on every device against the reference.
#include "check.h"
#include "devices.h"
#include "harness.h"
#include "ref.h"

static vkb_device *device;

// ---- Gradient norm ----

enum { SLABS = 4 };

typedef struct norm {
    tensor *grads[SLABS], *step, *step_out, *scaling; // scaling NULL: none
    uint32_t count;
    float unit;
    bool of_pairs;
} norm;

static void record_norm(gpu_stream *s, void *user)
{
    const norm *n = user;
    gpu_view grads[SLABS];
    for (uint32_t i = 0; i < n->count; i++)
        grads[i] = n->grads[i]->view;
    const op_scaling scaling = {n->scaling ? n->scaling->view : (gpu_view){0}, n->unit};
    op_grad_norm(s, grads, n->count, n->of_pairs, &scaling, n->step->view, n->step_out->view);
}

static void grad_norm_of(const uint32_t *counts, uint32_t slabs, values kind, uint32_t predictions,
                         float max_grad_norm, bool of_pairs)
{
    static const char *const names[SLABS] = {"grads 0", "grads 1", "grads 2", "grads 3"};
    trial *t = trial_open(device, "grad_norm of %u slabs, values %d, %u %s, max %g", slabs, kind,
                          predictions, of_pairs ? "pairs" : "predictions", max_grad_norm);
    norm n = {.count = slabs, .of_pairs = of_pairs};
    const double *grads[SLABS];
    size_t sizes[SLABS];
    for (uint32_t i = 0; i < slabs; i++) {
        n.grads[i] = trial_input(t, names[i], counts[i], kind);
        grads[i] = n.grads[i]->ref;
        sizes[i] = counts[i];
    }
    struct step_in step = {.lr = 1, .max_grad_norm = max_grad_norm};
    struct step_out before = {.predictions = predictions, .top1 = 3, .loss_sum = 4, .grad_norm = 5};
    if (of_pairs) {
        before.predictions = 99;
        before.pairs = predictions;
    }
    n.step = trial_words(t, "step", sizeof step / 4, &step);
    n.step_out = trial_free_words(t, "step_out", sizeof before / 4, &before);
    double expected_norm, expected_scale;
    ref_grad_norm(grads, sizes, slabs, predictions, max_grad_norm, &expected_norm, &expected_scale);
    trial_run(t, record_norm, &n);

    struct step_out after;
    memcpy(&after, n.step_out->seen, sizeof after);
    // some roundings of 6e-8 each; the sum's own stay near sqrt of the count of its partial sums
    if (!(fabs(after.grad_norm - expected_norm) <= 1e-6 * expected_norm))
        trial_wrong(t, "grad_norm is %.9g, expected %.9g", after.grad_norm, expected_norm);
    if (!(fabs(after.grad_scale - expected_scale) <= 1e-6 * expected_scale))
        trial_wrong(t, "grad_scale is %.9g, expected %.9g", after.grad_scale, expected_scale);
    if (after.predictions != before.predictions || after.pairs != before.pairs || after.top1 != 3 ||
        after.loss_sum != 4)
        trial_wrong(t, "step_out was changed where it should not");
    CHECK(trial_close(&t));
}

static void grad_norm(const uint32_t *counts, uint32_t slabs, values kind, uint32_t predictions,
                      float max_grad_norm)
{
    grad_norm_of(counts, slabs, kind, predictions, max_grad_norm, false);
    grad_norm_of(counts, slabs, kind, predictions, max_grad_norm, true);
}

TEST(norm_and_clipping)
{
    const uint32_t one[] = {1}, few[] = {33, 1, 4097, 127}, many[] = {300001, 65536};
    const uint32_t *slabs[] = {one, few, many};
    const uint32_t counts[] = {1, 4, 2};
    for (size_t i = 0; i < 3; i++) {
        grad_norm(slabs[i], counts[i], VALUES_NORMAL, 5, 0.25f); // clips all but luck
        grad_norm(slabs[i], counts[i], VALUES_NORMAL, 5, 1e6f);  // does not
        grad_norm(slabs[i], counts[i], VALUES_FAR, 1, 0);        // must not
        grad_norm(slabs[i], counts[i], VALUES_SMALL, 1000, -1);
        grad_norm(slabs[i], counts[i], VALUES_SMALL, 7, 1e-3f); // so small that torch's 1e-6 shows
    }
}

TEST(norm_without_predictions_or_gradients)
{
    const uint32_t few[] = {33, 1, 4097, 127};
    grad_norm(few, 4, VALUES_NORMAL, 0, 1);
    grad_norm(few, 4, VALUES_ZERO, 5, 1);
}

// ---- Loss scaling ----

// One step's norm of gradients that all have `value` but for one; in and out: the state.
static struct step_out scaled_step(float value, float odd, struct step_in step,
                                   struct loss_scale *state)
{
    enum { COUNT = 5000 };
    trial *t = trial_open(device, "grad_norm of %g and %g, scaled by %g", value, odd, state->scale);
    norm n = {.count = 1, .unit = 1.0f / 16};
    n.grads[0] = trial_input(t, "grads", COUNT, VALUES_ZERO);
    for (int i = 0; i < COUNT; i++)
        n.grads[0]->start[i] = i == 4321 ? odd : value;
    struct step_out out = {.predictions = 10};
    n.step = trial_words(t, "step", sizeof step / 4, &step);
    n.step_out = trial_free_words(t, "step_out", sizeof out / 4, &out);
    n.scaling = trial_free_words(t, "loss_scale", sizeof *state / 4, state);
    trial_run(t, record_norm, &n);
    trial_needs_all(t, n.scaling, record_norm, &n);
    memcpy(&out, n.step_out->seen, sizeof out);
    memcpy(state, n.scaling->seen, sizeof *state);
    CHECK(trial_close(&t));
    return out;
}

static struct step_in step_number(uint32_t number)
{
    return (struct step_in){.update = number,
                            .bias_correction1 = (float)(1 - pow(0.9, number)),
                            .bias_correction2 = (float)(1 - pow(0.999, number)),
                            .max_grad_norm = 1};
}

TEST(a_scaled_gradient_is_as_if_it_were_not)
{
    struct loss_scale state = {.scale = 64, .good = 5};
    // 64 / 16 times a gradient of 0.01, of 10 predictions: the mean's norm is sqrt(5000) * 0.001
    struct step_out out = scaled_step(0.04f, 0.04f, step_number(7), &state);
    CHECK_NEAR(out.grad_norm, sqrt(5000) * 1e-3, 1e-6);
    CHECK_NEAR(out.grad_scale * 4, 0.1, 1e-7); // not clipped
    CHECK(out.skip == 0 && out.skipped == 0 && out.loss_scale == 64);
    CHECK(state.scale == 64 && state.good == 6 && state.skipped == 0);
    CHECK(out.bias_correction1 == step_number(7).bias_correction1);
}

TEST(gradients_that_are_not_finite_skip_the_step)
{
    static const float ODD[] = {INFINITY, -INFINITY, NAN};
    struct loss_scale state = {.scale = 64, .good = 5};
    for (uint32_t i = 0; i < BASE_COUNT(ODD); i++) {
        struct step_out out = scaled_step(0.04f, ODD[i], step_number(i + 1), &state);
        CHECK(out.skip == 1 && out.skipped == i + 1);
        CHECK(state.good == 0 && state.skipped == i + 1);
    }
    CHECK(state.scale == 8); // halved each time
}

TEST(the_scale_doubles_after_2000_good_steps)
{
    struct loss_scale state = {.scale = 64, .good = 1998};
    scaled_step(1, 1, step_number(3000), &state);
    CHECK(state.scale == 64 && state.good == 1999);
    struct step_out out = scaled_step(1, 1, step_number(3001), &state);
    CHECK(out.loss_scale == 64 && state.scale == 128 && state.good == 0);
}

// Skipped updates are none for AdamW: its corrections are those of the updates that were made.
TEST(corrections_leave_skipped_updates_out)
{
    static const uint32_t STEPS[][2] = {{2, 1}, {5, 4}, {40, 3}, {1000, 17}, {100000, 50}};
    for (size_t i = 0; i < BASE_COUNT(STEPS); i++) {
        struct loss_scale state = {.scale = 1, .skipped = STEPS[i][1]};
        struct step_out out = scaled_step(1, 1, step_number(STEPS[i][0]), &state);
        const struct step_in made = step_number(STEPS[i][0] - STEPS[i][1]);
        // from a number of the host's that is rounded once, 6e-8, and some roundings more
        CHECK_NEAR(out.bias_correction1 / made.bias_correction1, 1, 1e-6);
        CHECK_NEAR(out.bias_correction2 / made.bias_correction2, 1, 1e-6);
    }
}

// ---- AdamW ----

typedef struct adamw {
    tensor *step, *step_out, *weights, *grads, *m, *v, *copy; // copy NULL: none
    uint32_t count;
    float weight_decay;
} adamw;

static void record_adamw(gpu_stream *s, void *user)
{
    const adamw *a = user;
    op_adamw_step(s, &(op_adamw){.step = a->step->view,
                                 .step_out = a->step_out->view,
                                 .weights = a->weights->view,
                                 .grads = a->grads->view,
                                 .m = a->m->view,
                                 .v = a->v->view,
                                 .copy = a->copy ? a->copy->view : (gpu_view){0},
                                 .count = a->count,
                                 .beta1 = 0.9f,
                                 .beta2 = 0.999f,
                                 .eps = 1e-8f,
                                 .weight_decay = a->weight_decay});
}

// lr 0.5 makes a step as large as the weights: an error of it cannot hide behind them.
static void step_with(uint32_t count, uint32_t number, float grad_scale, float weight_decay,
                      gpu_type copy)
{
    trial *t = trial_open(device, "adamw %u step %u scale %g decay %g", count, number, grad_scale,
                          weight_decay);
    adamw a = {.count = count, .weight_decay = weight_decay};
    struct step_in in = {.lr = 0.5f};
    in.bias_correction1 = (float)(1 - pow(0.9, number));
    in.bias_correction2 = (float)(1 - pow(0.999, number));
    struct step_out out = {.predictions = 3,
                           .grad_scale = grad_scale,
                           .bias_correction1 = in.bias_correction1,
                           .bias_correction2 = in.bias_correction2};
    a.step = trial_words(t, "step", sizeof in / 4, &in);
    a.step_out = trial_words(t, "step_out", sizeof out / 4, &out);
    values moments = number > 1 ? VALUES_NORMAL : VALUES_ZERO;
    a.weights = trial_inout(t, "weights", count, VALUES_NORMAL, LIMIT_FP32);
    a.grads = trial_input(t, "grads", count, VALUES_NORMAL);
    a.m = trial_inout(t, "m", count, moments, LIMIT_FP32);
    a.v = trial_inout(t, "v", count, moments, LIMIT_FP32);
    for (uint32_t i = 0; i < count; i++)
        a.v->ref[i] *= a.v->ref[i]; // of squares
    tensor_start_from_ref(a.v);
    ref_adamw ref = {
        .lr = in.lr,
        .beta1 = 0.9f,
        .beta2 = 0.999f,
        .eps = 1e-8f,
        .weight_decay = weight_decay,
        .grad_scale = grad_scale,
        .bias_correction1 = in.bias_correction1,
        .bias_correction2 = in.bias_correction2,
    };
    ref_adamw_step(&ref, a.grads->ref, count, a.weights->ref, a.m->ref, a.v->ref);
    if (copy != GPU_F32) {
        a.copy = trial_output(t, "copy", count, LIMIT_EXACT);
        tensor_as(a.copy, copy);
        memcpy(a.copy->ref, a.weights->ref, count * sizeof *a.copy->ref);
    }
    trial_run(t, record_adamw, &a);
    if (a.copy) {
        a.copy->view.bytes -= 8;
        trial_refuses(t, "copy", record_adamw, &a);
    }
    CHECK(trial_close(&t));
}

static void step(uint32_t count, uint32_t number, float grad_scale, float weight_decay)
{
    step_with(count, number, grad_scale, weight_decay, GPU_F32);
}

TEST(adamw_copies_the_weights_in_16_bits)
{
    for (gpu_type type = GPU_F16; type <= GPU_BF16; type++) {
        step_with(4, 1, 0.125f, 0.01f, type);
        step_with(100004, 7, 0.125f, 0.01f, type);
    }
}

static const uint32_t COUNTS[] = {1, 2, 3, 17, 33, 64, 65, 100, 127, 513, 4097, 100003};

TEST(adamw_steps)
{
    for (size_t i = 0; i < sizeof COUNTS / sizeof *COUNTS; i++) {
        step(COUNTS[i], 1, 0.125f, i % 2 ? 0.01f : 0);
        step(COUNTS[i], 1000, 1, i % 2 ? 0 : 0.01f);
    }
}

// torch 2: AdamW([1.], lr=1e-3), one step with gradient 0.5
TEST(adamw_one_step_as_torch)
{
    trial *t = trial_open(device, "adamw as torch");
    struct step_in in = {.lr = 1e-3f};
    struct step_out out = {
        .predictions = 1, .grad_scale = 1, .bias_correction1 = 0.1f, .bias_correction2 = 0.001f};
    adamw a = {.count = 1, .weight_decay = 0.01f};
    a.step = trial_words(t, "step", sizeof in / 4, &in);
    a.step_out = trial_words(t, "step_out", sizeof out / 4, &out);
    a.weights = trial_inout(t, "weights", 1, VALUES_ZERO, LIMIT_FP32);
    a.grads = trial_input(t, "grads", 1, VALUES_ZERO);
    a.m = trial_inout(t, "m", 1, VALUES_ZERO, LIMIT_FP32);
    a.v = trial_inout(t, "v", 1, VALUES_ZERO, 1e-9); // 1 - 0.999f is 0.99999e-3
    a.weights->start[0] = 1;
    a.weights->ref[0] = 0.99899000002;
    a.grads->start[0] = a.grads->ref[0] = 0.5f;
    a.m->ref[0] = 0.05;
    a.v->ref[0] = 0.00025;
    trial_run(t, record_adamw, &a);
    CHECK_NEAR(tensor_seen(a.weights, 0), 0.99899000002, 6e-8); // a rounding near 1
    CHECK(trial_close(&t));
}

TEST(adamw_without_predictions_moves_by_its_moments_only)
{
    step(100, 1, 0, 0.01f); // they are 0: only the decay is left
    step(100, 7, 0, 0.01f);
}

TEST(adamw_skips_the_step)
{
    trial *t = trial_open(device, "adamw, skipped");
    struct step_in in = {.lr = 1};
    struct step_out out = {
        .grad_scale = 1, .bias_correction1 = 1, .bias_correction2 = 1, .skip = 1};
    adamw a = {.count = 100, .weight_decay = 0.5f};
    a.step = trial_words(t, "step", sizeof in / 4, &in);
    a.step_out = trial_words(t, "step_out", sizeof out / 4, &out);
    a.weights = trial_inout(t, "weights", 100, VALUES_NORMAL, LIMIT_EXACT);
    a.grads = trial_input(t, "grads", 100, VALUES_NORMAL);
    a.m = trial_inout(t, "m", 100, VALUES_NORMAL, LIMIT_EXACT);
    a.v = trial_inout(t, "v", 100, VALUES_NORMAL, LIMIT_EXACT);
    trial_run(t, record_adamw, &a);
    CHECK(trial_close(&t));
}

TEST(parts_of_what_is_beyond_one_binding)
{
    const uint32_t counts[] = {300001, 65536, 5};
    gpu_test_limit_binding(device, 32 << 10);
    step(100003, 7, 0.125f, 0.01f);
    step_with(100004, 7, 0.125f, 0.01f, GPU_F16);
    grad_norm(counts, 3, VALUES_NORMAL, 5, 0.25f);
    gpu_test_limit_binding(device, 0);
}

TEST(wrong_views_are_refused)
{
    trial *t = trial_open(device, "optimiser with wrong views");
    norm n = {.count = 2};
    n.grads[0] = trial_free_words(t, "gradients", 5, NULL);
    n.grads[1] = trial_free_words(t, "gradients", 5, NULL);
    adamw a = {.count = 5};
    n.step = a.step = trial_free_words(t, "step", sizeof(struct step_in) / 4, NULL);
    n.step_out = a.step_out = trial_free_words(t, "step_out", sizeof(struct step_out) / 4, NULL);
    a.weights = trial_free_words(t, "weights", 5, NULL);
    a.grads = trial_free_words(t, "grads", 5, NULL);
    a.m = trial_free_words(t, "m", 5, NULL);
    a.v = trial_free_words(t, "v", 5, NULL);
    trial_needs(t, n.grads[1], record_norm, &n);
    trial_needs_all(t, n.step, record_norm, &n);
    trial_needs_all(t, n.step_out, record_norm, &n);
    tensor *adam[] = {a.step, a.step_out, a.weights, a.grads, a.m, a.v};
    for (size_t i = 0; i < sizeof adam / sizeof *adam; i++)
        trial_needs_all(t, adam[i], record_adamw, &a);
    CHECK(trial_close(&t));
}

static void on_device(vkb_device *dev)
{
    device = dev;
    RUN(norm_and_clipping);
    RUN(norm_without_predictions_or_gradients);
    RUN(a_scaled_gradient_is_as_if_it_were_not);
    RUN(gradients_that_are_not_finite_skip_the_step);
    RUN(the_scale_doubles_after_2000_good_steps);
    RUN(corrections_leave_skipped_updates_out);
    RUN(adamw_steps);
    RUN(adamw_copies_the_weights_in_16_bits);
    RUN(adamw_one_step_as_torch);
    RUN(adamw_without_predictions_moves_by_its_moments_only);
    RUN(adamw_skips_the_step);
    RUN(parts_of_what_is_beyond_one_binding);
    RUN(wrong_views_are_refused);
}

int main(void)
{
    return trial_devices(on_device) ? check_report() : 77;
}
