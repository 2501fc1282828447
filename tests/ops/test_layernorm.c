// LayerNorm, alone and as the end of a sub-layer, forward and backward, on every device against the
// reference.
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
    tensor *step, *x_bias, *residual, *sum, *dropped, *x_bias_grad; // NULL: none
    uint32_t rows, cols;
    float eps;
    bool accumulate;
    op_dropout above, below; // their step is set by the recording
} layernorm;

static gpu_view view_of(const tensor *x)
{
    return x ? x->view : (gpu_view){0};
}

static void record_fwd(gpu_stream *s, void *user)
{
    const layernorm *l = user;
    op_layernorm_fwd(s, l->x->view, l->gain->view, l->bias->view, l->rows, l->cols, l->eps,
                     l->y->view, l->stat->view);
}

static void record_end(gpu_stream *s, void *user)
{
    const layernorm *l = user;
    op_residual_norm_fwd(
        s, &(op_residual_norm){.x = l->x->view,
                               .x_bias = view_of(l->x_bias),
                               .residual = l->residual->view,
                               .gain = l->gain->view,
                               .bias = l->bias->view,
                               .sum = l->sum->view,
                               .y = l->y->view,
                               .stat = l->stat->view,
                               .rows = l->rows,
                               .cols = l->cols,
                               .eps = l->eps,
                               .dropout = {view_of(l->step), l->below.site, l->below.p}});
}

static void record_bwd(gpu_stream *s, void *user)
{
    const layernorm *l = user;
    op_layernorm_bwd(s, &(op_layernorm_grad){.x = l->x->view,
                                             .gain = l->gain->view,
                                             .stat = l->stat->view,
                                             .dy = l->dy->view,
                                             .dx = l->dx->view,
                                             .gain_grad = l->gain_grad->view,
                                             .bias_grad = l->bias_grad->view,
                                             .rows = l->rows,
                                             .cols = l->cols,
                                             .accumulate = l->accumulate,
                                             .above = {view_of(l->step), l->above.site, l->above.p},
                                             .below = {view_of(l->step), l->below.site, l->below.p},
                                             .dropped = view_of(l->dropped),
                                             .x_bias_grad = view_of(l->x_bias_grad)});
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

static struct step_in now = {.seed_low = 0x76543210, .seed_high = 0xFEDCBA98, .step = 77};

static ref_dropout ref_of(op_dropout d)
{
    return (ref_dropout){now, d.site, d.p};
}

// sum = residual + dropout(x + x_bias) and its LayerNorm; `into` 1: sum is x, 2: it is the residual.
static void end_of_sublayer(uint32_t rows, uint32_t cols, values kind, float p, bool biased,
                            int into)
{
    trial *t = trial_open(device, "residual_norm %ux%u values %d type %d p %g%s sum %d", rows, cols,
                          kind, act, p, biased ? " bias" : "", into);
    const size_t count = (size_t)rows * cols;
    layernorm l = {.rows = rows, .cols = cols, .eps = 1e-5f, .below = {.site = 5, .p = p}};
    const ref_dropout dropout = ref_of(l.below);
    if (p > 0)
        l.step = trial_words(t, "step", sizeof now / 4, &now);
    l.x = into == 1 ? trial_inout(t, "x", count, VALUES_NORMAL, limit(kind))
                    : trial_input(t, "x", count, VALUES_NORMAL);
    l.residual = into == 2 ? trial_inout(t, "residual", count, kind, limit(kind))
                           : trial_input(t, "residual", count, kind);
    l.gain = trial_input(t, "gain", cols, VALUES_NORMAL);
    l.bias = trial_input(t, "bias", cols, VALUES_NORMAL);
    if (biased)
        l.x_bias = trial_input(t, "x_bias", cols, VALUES_NORMAL);
    l.sum = into == 0 ? trial_output(t, "sum", count, limit(kind)) : into == 1 ? l.x : l.residual;
    l.y = trial_output(t, "y", count, limit(kind));
    // of the sum as it is kept: rounded to 16 bits
    l.stat = trial_output(t, "stat", 2 * rows,
                          act == GPU_F32   ? limit(kind)
                          : act == GPU_F16 ? LIMIT_F16
                                           : LIMIT_BF16);
    tensor_as(l.x, act);
    tensor_as(l.residual, act);
    if (into == 0)
        tensor_as(l.sum, act);
    tensor_as(l.y, act);
    for (size_t i = 0; i < count; i++)
        l.sum->ref[i] =
            l.residual->ref[i] +
            ref_dropout_scale(&dropout, i) * (l.x->ref[i] + (biased ? l.x_bias->ref[i % cols] : 0));
    ref_layernorm_fwd(l.sum->ref, l.gain->ref, l.bias->ref, rows, cols, l.eps, l.y->ref,
                      l.stat->ref);
    trial_run(t, record_end, &l);
    CHECK(trial_close(&t));
}

TEST(end_of_sublayer)
{
    for (size_t i = 0; i < SHAPE_COUNT; i++) {
        end_of_sublayer(SHAPES[i].rows, SHAPES[i].cols, VALUES_NORMAL, i % 2 ? 0.1f : 0, i % 2,
                        (int)(i % 3));
        end_of_sublayer(SHAPES[i].rows, SHAPES[i].cols, VALUES_FAR, i % 2 ? 0 : 0.5f, !(i % 2),
                        (int)(i % 3));
    }
    end_of_sublayer(2, 1200, VALUES_NORMAL, 0.1f, true, 0); // more than 256 invocations' fours
}

// stat as the forward leaves it, rounded to fp32
static void stat_of_forward(trial *t, layernorm *l)
{
    double *y = trial_spare(t, (size_t)l->rows * l->cols);
    ref_layernorm_fwd(l->x->ref, l->gain->ref, l->gain->ref, l->rows, l->cols, l->eps, y,
                      l->stat->ref);
    tensor_start_from_ref(l->stat);
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

    stat_of_forward(t, &l);
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

// With a dropout behind the LayerNorm, one before the addition, and the sums for the product's bias.
static void backward_with_all(uint32_t rows, uint32_t cols, float above, float below, bool sums)
{
    trial *t = trial_open(device, "layernorm_bwd %ux%u type %d dropouts %g %g%s", rows, cols, act,
                          above, below, sums ? " sums" : "");
    const size_t count = (size_t)rows * cols;
    layernorm l = {.rows = rows,
                   .cols = cols,
                   .eps = 1e-5f,
                   .accumulate = rows % 2,
                   .above = {.site = 7, .p = above},
                   .below = {.site = 8, .p = below}};
    const ref_dropout behind = ref_of(l.above), before = ref_of(l.below);
    if (above > 0 || below > 0)
        l.step = trial_words(t, "step", sizeof now / 4, &now);
    l.x = trial_input(t, "x", count, VALUES_NORMAL);
    l.gain = trial_input(t, "gain", cols, VALUES_NORMAL);
    l.stat = trial_input(t, "stat", 2 * rows, VALUES_ZERO);
    l.dy = trial_input(t, "dy", count, VALUES_NORMAL);
    l.dx = trial_output(t, "dx", count, LIMIT_FP32);
    l.dropped = below > 0 ? trial_output(t, "dropped", count, LIMIT_FP32) : NULL;
    tensor_as(l.x, act);
    tensor_as(l.dy, act);
    tensor_as(l.dx, act);
    if (l.dropped)
        tensor_as(l.dropped, act);
    l.gain_grad = trial_inout(t, "gain_grad", cols, VALUES_NORMAL, LIMIT_FP32);
    l.bias_grad = trial_inout(t, "bias_grad", cols, VALUES_NORMAL, LIMIT_FP32);
    // Its terms differ by the roundings of dx, at 0.1 sums of a thousand of them may cancel.
    l.x_bias_grad = sums ? trial_inout(t, "x_bias_grad", cols, VALUES_NORMAL, LIMIT_FP32) : NULL;
    stat_of_forward(t, &l);

    double *dz = trial_spare(t, count), *into = l.dropped ? l.dropped->ref : trial_spare(t, count);
    ref_dropout_apply(&behind, l.dy->ref, count, dz);
    ref_layernorm_bwd(l.x->ref, l.gain->ref, l.stat->ref, dz, rows, cols, l.accumulate, l.dx->ref,
                      l.gain_grad->ref, l.bias_grad->ref);
    ref_dropout_apply(&before, l.dx->ref, count, into);
    if (sums)
        ref_sum_columns(into, rows, cols, NULL, 0, l.accumulate, l.x_bias_grad->ref);
    trial_run(t, record_bwd, &l);
    CHECK(trial_close(&t));
}

TEST(backward_with_dropouts_and_sums)
{
    for (size_t i = 0; i < SHAPE_COUNT; i++)
        if (i % 3 == 0) // as the layers have it, the embeddings, and layers without dropout
            backward_with_all(SHAPES[i].rows, SHAPES[i].cols, 0, 0.1f, true);
        else if (i % 3 == 1)
            backward_with_all(SHAPES[i].rows, SHAPES[i].cols, 0.5f, 0, false);
        else
            backward_with_all(SHAPES[i].rows, SHAPES[i].cols, 0, 0, true);
    backward_with_all(1500, 36, 0, 0.1f, true); // many chunks
    backward_with_all(3, 1200, 0.1f, 0, false); // more than 256 invocations' fours
    backward_with_all(5, 64, 0.1f, 0.1f, true);
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
            end_of_sublayer(SHAPES[i].rows, SHAPES[i].cols, VALUES_NORMAL, 0.1f, true,
                            (int)(i % 3));
            backward_with_all(SHAPES[i].rows, SHAPES[i].cols, 0, 0.1f, true);
        }
    }
    act = GPU_F32;
}

TEST(wrong_views_are_refused)
{
    trial *t = trial_open(device, "layernorm with wrong views");
    layernorm l = {.rows = 3, .cols = 5, .eps = 1e-5f, .above.p = 0.1f, .below.p = 0.1f};
    struct {
        tensor **tensor;
        const char *name;
        size_t count;
        bool fwd, end, bwd; // read or written by
    } all[] = {
        {&l.step, "step", sizeof now / 4, false, true, true},
        {&l.x, "x", 15, true, true, true},
        {&l.x_bias, "x_bias", 5, false, false, false},
        {&l.residual, "residual", 15, false, true, false},
        {&l.gain, "gain", 5, true, true, true},
        {&l.bias, "bias", 5, true, true, false},
        {&l.sum, "sum", 15, false, true, false},
        {&l.y, "y", 15, true, true, false},
        {&l.stat, "stat", 6, true, true, true},
        {&l.dy, "dy", 15, false, false, true},
        {&l.dx, "dx", 15, false, false, true},
        {&l.dropped, "dropped", 15, false, false, true},
        {&l.gain_grad, "gain_grad", 5, false, false, true},
        {&l.bias_grad, "bias_grad", 5, false, false, true},
        {&l.x_bias_grad, "x_bias_grad", 5, false, false, false},
    };
    for (size_t i = 0; i < BASE_COUNT(all); i++)
        *all[i].tensor = trial_free_words(t, all[i].name, all[i].count, NULL);
    for (size_t i = 0; i < BASE_COUNT(all); i++) {
        if (all[i].fwd)
            trial_needs_all(t, *all[i].tensor, record_fwd, &l);
        if (all[i].end)
            trial_needs_all(t, *all[i].tensor, record_end, &l);
        if (all[i].bwd)
            trial_needs_all(t, *all[i].tensor, record_bwd, &l);
    }
    l.below.p = 1.5f;
    trial_refuses(t, "probability", record_end, &l);
    trial_refuses(t, "probability", record_bwd, &l);
    CHECK(trial_close(&t));
}

static void on_device(vkb_device *dev)
{
    device = dev;
    RUN(forward);
    RUN(backward);
    RUN(end_of_sublayer);
    RUN(backward_with_dropouts_and_sums);
    RUN(more_rows_than_workgroups_on_an_axis);
    RUN(activations_of_16_bits);
    RUN(wrong_views_are_refused);
}

int main(void)
{
    return trial_devices(on_device) ? check_report() : 77;
}
