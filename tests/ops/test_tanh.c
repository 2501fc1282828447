// tanh, forward and backward, on every device against the reference.
#include "check.h"
#include "devices.h"
#include "harness.h"
#include "ref.h"

static vkb_device *device;
static gpu_type act; // of the activations

typedef struct op_case {
    tensor *x, *y, *dy, *dx;
    uint32_t count;
} op_case;

static void record_fwd(gpu_stream *s, void *user)
{
    const op_case *g = user;
    op_tanh_fwd(s, g->x->view, g->count, g->y->view);
}

static void record_bwd(gpu_stream *s, void *user)
{
    const op_case *g = user;
    op_tanh_bwd(s, g->y->view, g->dy->view, g->count, g->dx->view);
}

static void forward(uint32_t count, values kind)
{
    trial *t = trial_open(device, "tanh_fwd %u values %d type %d", count, kind, act);
    op_case g = {.count = count};
    g.x = trial_input(t, "x", count, kind);
    g.y = trial_output(t, "y", count, LIMIT_FP32);
    tensor_as(g.x, act);
    tensor_as(g.y, act);
    ref_tanh_fwd(g.x->ref, count, g.y->ref);
    trial_run(t, record_fwd, &g);
    CHECK(trial_close(&t));
}

static void backward(uint32_t count, values kind, bool in_place)
{
    trial *t = trial_open(device, "tanh_bwd %u values %d type %d%s", count, kind, act,
                          in_place ? " in place" : "");
    op_case g = {.count = count};
    g.y = trial_input(t, "y", count, kind);
    if (in_place) {
        g.dy = g.dx = trial_inout(t, "dy", count, VALUES_NORMAL, LIMIT_FP32);
    } else {
        g.dy = trial_input(t, "dy", count, VALUES_NORMAL);
        g.dx = trial_output(t, "dx", count, LIMIT_FP32);
    }
    tensor_as(g.y, act);
    tensor_as(g.dx, act);
    if (!in_place)
        tensor_as(g.dy, act);
    ref_tanh_bwd(g.y->ref, g.dy->ref, count, g.dx->ref);
    trial_run(t, record_bwd, &g);
    CHECK(trial_close(&t));
}

static const uint32_t COUNTS[] = {1, 2, 3, 4, 5, 17, 31, 33, 63, 64, 65, 100, 127, 2049, 100003};

enum { COUNT_COUNT = sizeof COUNTS / sizeof *COUNTS };

TEST(forward_and_backward)
{
    for (size_t i = 0; i < COUNT_COUNT; i++) {
        forward(COUNTS[i], i % 2 ? VALUES_WIDE : VALUES_NORMAL);
        backward(COUNTS[i], VALUES_NORMAL, i % 3 == 0);
    }
    forward(1000, VALUES_SMALL);
    forward(1000, VALUES_FAR); // exp(600) must saturate
    forward(10, VALUES_ZERO);
}

TEST(activations_of_16_bits)
{
    for (act = GPU_F16; act <= GPU_BF16; act++) {
        forward(100, VALUES_NORMAL);
        forward(2052, VALUES_WIDE);
        backward(100, VALUES_NORMAL, false);
        backward(2052, VALUES_NORMAL, true);
    }
    act = GPU_F32;
}

TEST(wrong_views_are_refused)
{
    trial *t = trial_open(device, "tanh with wrong views");
    op_case g = {.count = 9};
    g.x = trial_free_words(t, "x", 9, NULL);
    g.y = trial_free_words(t, "y", 9, NULL);
    g.dy = trial_free_words(t, "dy", 9, NULL);
    g.dx = trial_free_words(t, "dx", 9, NULL);
    trial_needs_all(t, g.x, record_fwd, &g);
    trial_needs_all(t, g.y, record_fwd, &g);
    trial_needs_all(t, g.y, record_bwd, &g);
    trial_needs_all(t, g.dy, record_bwd, &g);
    trial_needs_all(t, g.dx, record_bwd, &g);
    CHECK(trial_close(&t));
}

static void on_device(vkb_device *dev)
{
    device = dev;
    RUN(forward_and_backward);
    RUN(activations_of_16_bits);
    RUN(wrong_views_are_refused);
}

int main(void)
{
    return trial_devices(on_device) ? check_report() : 77;
}
