// Weights that were packed for the device: products with them on every device that wants any, and
// the packing itself.
#include "check.h"
#include "devices.h"
#include "harness.h"
#include "ref.h"

static vkb_device *device;

typedef struct product {
    tensor *a, *b, *bias, *c; // bias: NULL where there is none
    op_matmul_params params;
} product;

static void record(gpu_stream *s, void *user)
{
    product *x = user;
    x->params.a = x->a->view;
    x->params.b = x->b->view;
    x->params.c = x->c->view;
    x->params.bias = x->bias ? x->bias->view : (gpu_view){0};
    op_matmul_(s, &x->params);
}

static void packed(uint32_t m, uint32_t n, uint32_t k, uint32_t lda, values kind)
{
    trial *t = trial_open(device, "matmul packed %ux%ux%u lda %u", m, n, k, lda);
    const uint32_t panel = op_panel(device), ld = lda ? lda : k;
    product x = {.params = {.m = m, .n = n, .k = k, .lda = lda, .b_panel = panel, .alpha = 0.5f}};
    x.a = trial_input(t, "a", (size_t)(m - 1) * ld + k, kind);
    x.b = trial_input(t, "b", (size_t)n * k, VALUES_NORMAL);
    x.bias = m % 2 ? trial_input(t, "bias", n, VALUES_NORMAL) : NULL;
    x.c = trial_output(t, "c", (size_t)m * n, LIMIT_FP32);
    for (size_t i = 0; i < x.a->count; i++) // what lies between rows is not the operand's
        if (i % ld >= k)
            x.a->start[i] = NAN;
    ref_matmul(&x.params, x.a->ref, x.b->ref, x.bias ? x.bias->ref : NULL, x.c->ref);
    tensor_start_packed(x.b, n, k, panel);
    trial_run(t, record, &x);
    CHECK(trial_close(&t));
}

TEST(packed_weights)
{
    if (!op_panel(device))
        SKIP("this device's products want no packed weights");
    packed(1, 1, 4, 0, VALUES_NORMAL);
    packed(1, 64, 8, 0, VALUES_NORMAL);
    packed(3, 65, 4, 8, VALUES_NORMAL);
    packed(16, 127, 36, 0, VALUES_FAR);
    packed(17, 31, 100, 104, VALUES_NORMAL);
    packed(40, 300, 768, 0, VALUES_SMALL);
}

TEST(parts_of_what_is_beyond_one_binding)
{
    if (!op_panel(device))
        SKIP("this device's products want no packed weights");
    gpu_test_limit_binding(device, 96 << 10); // of whole panels
    packed(5, 1000, 64, 0, VALUES_NORMAL);
    gpu_test_limit_binding(device, 0);
}

// What a panel must keep: its bytes in another order, and all of them on the way back.
TEST(packing_is_undone)
{
    float from[5 * 8], there[5 * 8], back[5 * 8] = {0};
    for (int i = 0; i < 5 * 8; i++)
        from[i] = (float)i;
    op_pack(from, 5, 8, there);
    CHECK(there[4] == 8 &&
          there[5 * 4] == 4); // the second row's first, the first row's second four
    op_unpack(there, 5, 8, back);
    CHECK(memcmp(from, back, sizeof(from)) == 0);
}

static void on_device(vkb_device *dev)
{
    device = dev;
    RUN(packed_weights);
    RUN(parts_of_what_is_beyond_one_binding);
    RUN(packing_is_undone);
}

int main(void)
{
    return trial_devices(on_device) ? check_report() : 77;
}
