// LayerNorm, forward and backward, on every device against the reference.
#include "check.h"
#include "devices.h"
#include "harness.h"
#include "ref.h"

static vkb_device *device;
static gpu_type act; // of the activations

static const struct {
    uint32_t rows, cols;
} SHAPES[] = {{1, 3},  {3, 17},  {5, 31},  {4, 33},   {1, 64},  {7, 65},
              {9, 63}, {3, 100}, {2, 127}, {130, 48}, {3, 768}, {70, 256}};

enum { SHAPE_COUNT = sizeof SHAPES / sizeof *SHAPES };

typedef struct layernorm {
    tensor *x, *gain, *bias, *y, *stat, *dy, *dx, *gain_grad, *bias_grad;
    uint32_t rows, cols;
    float eps;
    bool accumulate;
} layernorm;

static void record_fwd(gpu_stream *s, void *user)
{
    const layernorm *l = user;
    op_layernorm_fwd(s, l->x->view, l->gain->view, l->bias->view, l->rows, l->cols, l->eps,
                     l->y->view, l->stat->view);
}

static void record_bwd(gpu_stream *s, void *user)
{
    const layernorm *l = user;
    op_layernorm_bwd(s, l->x->view, l->gain->view, l->stat->view, l->dy->view, l->rows, l->cols,
                     l->accumulate, l->dx->view, l->gain_grad->view, l->bias_grad->view);
}

// Values near 300 have 2e-5 of rounding where the normalised ones are near 1: 1e-5 or so off for
// the whole row, 1e-10 squared, and a mean that is summed in fp32 some times that. A variance from
// E[x^2] - mean^2 would be off by 5e-3.
static double limit(values kind)
{
    return kind == VALUES_FAR ? 1e-8 : LIMIT_FP32;
}

static void forward(uint32_t rows, uint32_t cols, values kind, float eps)
{
    trial *t = trial_open(device, "layernorm_fwd %ux%u values %d type %d", rows, cols, kind, act);
    layernorm l = {.rows = rows, .cols = cols, .eps = eps};
    l.x = trial_input(t, "x", (size_t)rows * cols, kind);
    l.gain = trial_input(t, "gain", cols, VALUES_NORMAL);
    l.bias = trial_input(t, "bias", cols, VALUES_NORMAL);
    l.y = trial_output(t, "y", (size_t)rows * cols, limit(kind));
    l.stat = trial_output(t, "stat", 2 * rows, limit(kind));
    tensor_as(l.x, act);
    tensor_as(l.y, act);
    ref_layernorm_fwd(l.x->ref, l.gain->ref, l.bias->ref, rows, cols, eps, l.y->ref, l.stat->ref);
    trial_run(t, record_fwd, &l);
    CHECK(trial_close(&t));
}

TEST(forward)
{
    for (size_t i = 0; i < SHAPE_COUNT; i++) {
        // BERT's eps, and one that shows
        forward(SHAPES[i].rows, SHAPES[i].cols, VALUES_NORMAL, i % 2 ? 1e-12f : 0.1f);
        forward(SHAPES[i].rows, SHAPES[i].cols, VALUES_FAR, 1e-5f);
    }
    forward(3, 1, VALUES_NORMAL, 1e-5f); // nothing varies: y is the bias
}

static void backward(uint32_t rows, uint32_t cols, values kind, bool accumulate, bool in_place)
{
    trial *t = trial_open(device, "layernorm_bwd %ux%u values %d type %d%s%s", rows, cols, kind,
                          act, accumulate ? " accumulate" : "", in_place ? " in place" : "");
    size_t count = (size_t)rows * cols;
    layernorm l = {.rows = rows, .cols = cols, .eps = 1e-5f, .accumulate = accumulate};
    l.x = trial_input(t, "x", count, kind);
    l.gain = trial_input(t, "gain", cols, VALUES_NORMAL);
    l.stat = trial_input(t, "stat", 2 * rows, VALUES_ZERO);
    if (in_place) {
        l.dy = l.dx = trial_inout(t, "dy", count, VALUES_NORMAL, limit(kind));
    } else {
        l.dy = trial_input(t, "dy", count, VALUES_NORMAL);
        l.dx = trial_output(t, "dx", count, limit(kind));
    }
    tensor_as(l.x, act);
    tensor_as(l.dx, act);
    if (!in_place)
        tensor_as(l.dy, act);
    l.gain_grad = trial_inout(t, "gain_grad", cols, VALUES_NORMAL, limit(kind));
    l.bias_grad = trial_inout(t, "bias_grad", cols, VALUES_NORMAL, LIMIT_FP32);

    // stat as the forward leaves it, rounded to fp32
    double *y = trial_spare(t, count);
    ref_layernorm_fwd(l.x->ref, l.gain->ref, l.gain->ref, rows, cols, l.eps, y, l.stat->ref);
    tensor_start_from_ref(l.stat);
    ref_layernorm_bwd(l.x->ref, l.gain->ref, l.stat->ref, l.dy->ref, rows, cols, accumulate,
                      l.dx->ref, l.gain_grad->ref, l.bias_grad->ref);
    trial_run(t, record_bwd, &l);
    CHECK(trial_close(&t));
}

TEST(backward)
{
    for (size_t i = 0; i < SHAPE_COUNT; i++) {
        backward(SHAPES[i].rows, SHAPES[i].cols, VALUES_NORMAL, i % 2, i % 3 == 0);
        backward(SHAPES[i].rows, SHAPES[i].cols, VALUES_FAR, i % 3 == 0, i % 2);
    }
}

TEST(more_rows_than_workgroups_on_an_axis)
{
    forward(66000, 3, VALUES_NORMAL, 0.1f);
}

TEST(activations_of_16_bits)
{
    for (act = GPU_F16; act <= GPU_BF16; act++) {
        for (size_t i = 0; i < SHAPE_COUNT; i++) {
            if (SHAPES[i].cols % 4)
                continue;
            forward(SHAPES[i].rows, SHAPES[i].cols, VALUES_NORMAL, 1e-12f);
            forward(SHAPES[i].rows, SHAPES[i].cols, VALUES_FAR, 0.1f);
            backward(SHAPES[i].rows, SHAPES[i].cols, VALUES_NORMAL, i % 2, i % 3 == 0);
        }
    }
    act = GPU_F32;
}

TEST(wrong_views_are_refused)
{
    trial *t = trial_open(device, "layernorm with wrong views");
    layernorm l = {.rows = 3, .cols = 5, .eps = 1e-5f};
    tensor **all[] = {&l.x,  &l.gain, &l.bias,      &l.y,        &l.stat,
                      &l.dy, &l.dx,   &l.gain_grad, &l.bias_grad};
    const char *names[] = {"x", "gain", "bias", "y", "stat", "dy", "dx", "gain_grad", "bias_grad"};
    const size_t counts[] = {15, 5, 5, 15, 6, 15, 15, 5, 5};
    for (size_t i = 0; i < 9; i++)
        *all[i] = trial_free_words(t, names[i], counts[i], NULL);
    for (size_t i = 0; i < 5; i++)
        trial_needs_all(t, *all[i], record_fwd, &l);
    for (size_t i = 0; i < 9; i++)
        if (all[i] != &l.bias && all[i] != &l.y)
            trial_needs_all(t, *all[i], record_bwd, &l);
    CHECK(trial_close(&t));
}

static void on_device(vkb_device *dev)
{
    device = dev;
    RUN(forward);
    RUN(backward);
    RUN(more_rows_than_workgroups_on_an_axis);
    RUN(activations_of_16_bits);
    RUN(wrong_views_are_refused);
}

int main(void)
{
    return trial_devices(on_device) ? check_report() : 77;
}
