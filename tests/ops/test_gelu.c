// GELU in both forms, forward and backward with the bias gradient, on every device against the
// reference.
#include "check.h"
#include "devices.h"
#include "harness.h"
#include "ref.h"

static vkb_device *device;
static gpu_type act; // of the activations

typedef struct gelu {
    tensor *x, *y, *dy, *dx, *bias_grad;
    uint32_t count, rows; // rows divide count
    bool accumulate;
    vkb_activation form;
} gelu;

static void record_fwd(gpu_stream *s, void *user)
{
    const gelu *g = user;
    op_gelu_fwd(s, g->x->view, g->count, g->form, g->y->view);
}

static void record_bwd(gpu_stream *s, void *user)
{
    const gelu *g = user;
    op_gelu_bwd(s, g->x->view, g->dy->view, g->rows, g->count / g->rows, g->form, g->accumulate,
                g->dx->view, g->bias_grad->view);
}

static void forward(uint32_t count, vkb_activation form, values kind)
{
    trial *t = trial_open(device, "gelu_fwd %u form %d values %d type %d", count, form, kind, act);
    gelu g = {.count = count, .form = form};
    g.x = trial_input(t, "x", count, kind);
    g.y = trial_output(t, "y", count, LIMIT_FP32);
    tensor_as(g.x, act);
    tensor_as(g.y, act);
    ref_gelu_fwd(g.x->ref, count, form, g.y->ref);
    trial_run(t, record_fwd, &g);
    CHECK(trial_close(&t));
}

static void backward(uint32_t rows, uint32_t cols, vkb_activation form, values kind, bool in_place)
{
    trial *t = trial_open(device, "gelu_bwd %ux%u form %d values %d type %d%s", rows, cols, form,
                          kind, act, in_place ? " in place" : "");
    const uint32_t count = rows * cols;
    gelu g = {.count = count, .rows = rows, .form = form, .accumulate = in_place};
    g.x = trial_input(t, "x", count, kind);
    if (in_place) {
        g.dy = g.dx = trial_inout(t, "dy", count, VALUES_NORMAL, LIMIT_FP32);
    } else {
        g.dy = trial_input(t, "dy", count, VALUES_NORMAL);
        g.dx = trial_output(t, "dx", count, LIMIT_FP32);
    }
    tensor_as(g.x, act);
    tensor_as(g.dx, act);
    if (!in_place)
        tensor_as(g.dy, act);
    g.bias_grad = trial_inout(t, "bias_grad", cols, VALUES_NORMAL, LIMIT_FP32);
    ref_gelu_bwd(g.x->ref, g.dy->ref, count, form, g.dx->ref);
    ref_sum_columns(g.dx->ref, rows, cols, NULL, 0, g.accumulate, g.bias_grad->ref);
    trial_run(t, record_bwd, &g);
    CHECK(trial_close(&t));
}

static const uint32_t COUNTS[] = {1, 2, 3, 4, 5, 17, 31, 33, 63, 64, 65, 100, 127, 2049, 100003};

static const struct {
    uint32_t rows, cols;
} SHAPES[] = {{1, 1},  {1, 5},   {3, 17},   {4, 33},   {17, 64},  {9, 63},
              {2, 99}, {31, 12}, {130, 48}, {3, 2052}, {257, 516}};

enum { COUNT_COUNT = sizeof COUNTS / sizeof *COUNTS };

static void both(vkb_activation form)
{
    for (size_t i = 0; i < COUNT_COUNT; i++) {
        // Few values of N(0, 30) may all be in the left tail, 1e-20 and without relative precision.
        bool many = COUNTS[i] > 30;
        forward(COUNTS[i], form, many && i % 2 ? VALUES_WIDE : VALUES_NORMAL);
    }
    forward(1000, form, VALUES_SMALL);
    forward(1000, form, VALUES_FAR); // tanh(x^3) must saturate, not overflow
    for (size_t i = 0; i < BASE_COUNT(SHAPES); i++)
        backward(SHAPES[i].rows, SHAPES[i].cols, form,
                 SHAPES[i].rows > 30 && i % 2 ? VALUES_WIDE : VALUES_NORMAL, i % 3 == 0);
    backward(10, 100, form, VALUES_FAR, false);
    forward(10, form, VALUES_ZERO);
}

TEST(erf_form)
{
    both(VKB_GELU);
}

TEST(tanh_form)
{
    both(VKB_GELU_TANH);
}

TEST(activations_of_16_bits)
{
    for (act = GPU_F16; act <= GPU_BF16; act++) {
        static const uint32_t FOURS[] = {4, 100, 2052, 100004};
        for (size_t i = 0; i < BASE_COUNT(FOURS); i++) {
            forward(FOURS[i], i % 2 ? VKB_GELU : VKB_GELU_TANH, VALUES_NORMAL);
            backward(7, FOURS[i], i % 2 ? VKB_GELU : VKB_GELU_TANH, VALUES_NORMAL, i % 2);
        }
    }
    act = GPU_F32;
}

TEST(wrong_views_are_refused)
{
    trial *t = trial_open(device, "gelu with wrong views");
    gelu g = {.count = 9, .rows = 3};
    g.x = trial_free_words(t, "x", 9, NULL);
    g.y = trial_free_words(t, "y", 9, NULL);
    g.dy = trial_free_words(t, "dy", 9, NULL);
    g.dx = trial_free_words(t, "dx", 9, NULL);
    g.bias_grad = trial_free_words(t, "bias_grad", 3, NULL);
    trial_needs_all(t, g.x, record_fwd, &g);
    trial_needs_all(t, g.y, record_fwd, &g);
    trial_needs_all(t, g.x, record_bwd, &g);
    trial_needs_all(t, g.dy, record_bwd, &g);
    trial_needs_all(t, g.dx, record_bwd, &g);
    trial_needs_all(t, g.bias_grad, record_bwd, &g);
    CHECK(trial_close(&t));
}

static void on_device(vkb_device *dev)
{
    device = dev;
    RUN(erf_form);
    RUN(tanh_form);
    RUN(activations_of_16_bits);
    RUN(wrong_views_are_refused);
}

int main(void)
{
    return trial_devices(on_device) ? check_report() : 77;
}
