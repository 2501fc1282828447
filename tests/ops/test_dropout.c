// Dropout: kept where the host's Philox keeps, on every driver; p = 0 copies and reads no step; the
// share kept is within 4 sigma; addition agrees with its formula.
#include "check.h"
#include "devices.h"
#include "ops/harness.h"
#include "ref.h"

#include <math.h>
#include <stdlib.h>

static vkb_device *device;
static gpu_type act; // of the activations

typedef struct args {
    tensor *step, *x, *y; // y NULL: in place
    op_dropout dropout;
    uint32_t count;
} args;

static void record(gpu_stream *s, void *user)
{
    const args *a = user;
    op_dropout d = a->dropout;
    d.step = a->step ? a->step->view : (gpu_view){0};
    op_dropout_apply(s, d, a->x->view, a->count, a->y ? a->y->view : a->x->view);
}

static struct step_in step_of(uint64_t seed, uint32_t step)
{
    return (struct step_in){
        .seed_low = (uint32_t)seed, .seed_high = (uint32_t)(seed >> 32), .step = step};
}

static bool host_keeps(struct step_in step, op_dropout d, size_t element)
{
    return ref_dropout_scale(&(ref_dropout){step, d.site, d.p}, element) > 0;
}

static void check_dropout(uint32_t count, float p, bool in_place)
{
    struct step_in step = step_of(0xFEDCBA9876543210ull, 77);
    args a = {.dropout = {.site = 3, .p = p}, .count = count};
    trial *t = trial_open(device, "dropout of %u, type %d, p %g%s", count, act, p,
                          in_place ? ", in place" : "");
    if (p > 0)
        a.step = trial_words(t, "step", sizeof step / 4, &step);
    a.x = in_place ? trial_inout(t, "x", count, VALUES_FAR, LIMIT_FP32)
                   : trial_input(t, "x", count, VALUES_FAR);
    if (!in_place)
        a.y = trial_output(t, "y", count, LIMIT_FP32);
    tensor *y = in_place ? a.x : a.y;
    tensor_as(a.x, act);
    if (!in_place)
        tensor_as(a.y, act);
    for (size_t i = 0; i < count; i++)
        y->ref[i] = ref_dropout_scale(&(ref_dropout){step, a.dropout.site, p}, i) * a.x->start[i];
    trial_run(t, record, &a);
    for (size_t i = 0; i < count; i++) // x is far from 0
        if ((tensor_seen(y, i) == 0) != (y->ref[i] == 0)) {
            trial_wrong(t, "element %zu is %s, on the host not so", i,
                        y->ref[i] == 0 ? "kept" : "dropped");
            break;
        }
    CHECK(trial_close(&t));
}

// ---- Tests ----

TEST(device_keeps_what_the_host_keeps)
{
    static const uint32_t COUNTS[] = {1, 3, 4, 5, 63, 256, 1023, 4099, 100003};
    static const float SHARES[] = {0, 0.1f, 0.5f};
    for (size_t i = 0; i < BASE_COUNT(COUNTS); i++)
        for (size_t j = 0; j < BASE_COUNT(SHARES); j++)
            check_dropout(COUNTS[i], SHARES[j], false);
    check_dropout(1023, 0.1f, true);
    check_dropout(1023, 0, true);
}

TEST(p_1_drops_everything)
{
    struct step_in step = step_of(1, 1);
    trial *t = trial_open(device, "dropout p 1");
    args a = {.step = trial_words(t, "step", sizeof step / 4, &step),
              .x = trial_input(t, "x", 777, VALUES_FAR),
              .y = trial_output(t, "y", 777, LIMIT_EXACT),
              .dropout = {.p = 1},
              .count = 777};
    memset(a.y->ref, 0, 777 * sizeof *a.y->ref);
    trial_run(t, record, &a);
    CHECK(trial_close(&t));
}

// Sites, steps and seeds draw apart: two of them keep the same element with keep^2.
TEST(a_million_draws_have_the_share)
{
    enum { COUNT = 1 << 20 };
    op_dropout one = {.site = 1, .p = 0.1f}, other = {.site = 2, .p = 0.1f};
    struct step_in now = step_of(42, 5), later = step_of(42, 6), seed = step_of(1ull << 32 | 42, 5);
    double kept = 0, site_too = 0, step_too = 0, seed_too = 0, next_too = 0;
    for (size_t i = 0; i < COUNT; i++)
        if (host_keeps(now, one, i)) {
            kept++;
            site_too += host_keeps(now, other, i);
            step_too += host_keeps(later, one, i);
            seed_too += host_keeps(seed, one, i);
            next_too += host_keeps(now, one, i + 1);
        }
    CHECK_NEAR(kept, COUNT * 0.9, 4 * sqrt(COUNT * 0.9 * 0.1));
    double within = 4 * sqrt(kept * 0.9 * 0.1);
    CHECK_NEAR(site_too, kept * 0.9, within);
    CHECK_NEAR(step_too, kept * 0.9, within);
    CHECK_NEAR(seed_too, kept * 0.9, within);
    CHECK_NEAR(next_too, kept * 0.9, within);
}

typedef struct sum {
    tensor *x, *y;
    uint32_t count;
} sum;

static void record_add(gpu_stream *s, void *user)
{
    const sum *a = user;
    op_add(s, a->x->view, a->count, a->y->view);
}

TEST(add_adds)
{
    static const uint32_t COUNTS[] = {1, 3, 4, 1023, 50001};
    for (size_t i = 0; i < BASE_COUNT(COUNTS); i++) {
        trial *t = trial_open(device, "add of %u", COUNTS[i]);
        sum a = {trial_input(t, "x", COUNTS[i], VALUES_NORMAL),
                 trial_inout(t, "y", COUNTS[i], VALUES_FAR, LIMIT_FP32), COUNTS[i]};
        for (size_t j = 0; j < COUNTS[i]; j++)
            a.y->ref[j] += a.x->ref[j];
        trial_run(t, record_add, &a);
        if (i == 0) {
            trial_needs_all(t, a.x, record_add, &a);
            trial_needs_all(t, a.y, record_add, &a);
        }
        CHECK(trial_close(&t));
    }
}

// A gradient that overflows has to be seen: it becomes infinite, on SwiftShader NaN, not the largest
// number.
TEST(what_is_too_large_for_16_bits_is_not_finite)
{
    for (act = GPU_F16; act <= GPU_BF16; act++) {
        const float large = act == GPU_F16 ? 40000 : 3e38f;
        trial *t = trial_open(device, "add of large values, type %d", act);
        sum a = {trial_input(t, "x", 4, VALUES_ZERO),
                 trial_inout(t, "y", 4, VALUES_ZERO, LIMIT_FP32), 4};
        a.y->role = TENSOR_FREE; // infinities have no error to compare
        for (int i = 0; i < 4; i++)
            a.x->start[i] = a.y->start[i] = i % 2 ? -large : large;
        tensor_as(a.x, act);
        tensor_as(a.y, act);
        trial_run(t, record_add, &a);
        for (size_t i = 0; i < 4; i++)
            if (isfinite(tensor_seen(a.y, i)))
                trial_wrong(t, "element %zu is %g", i, tensor_seen(a.y, i));
        CHECK(trial_close(&t));
    }
    act = GPU_F32;
}

TEST(wrong_types_are_refused)
{
    trial *t = trial_open(device, "add of wrong types");
    sum a = {trial_input(t, "x", 12, VALUES_NORMAL),
             trial_inout(t, "y", 12, VALUES_NORMAL, LIMIT_FP32), 12};
    CHECK(trial_ready(t));
    a.x->view.type = GPU_F16;
    a.count = 6;
    trial_refuses(t, "no multiple of 4", record_add, &a);
    a.count = 8;
    trial_refuses(t, "different types", record_add, &a);
    CHECK(trial_close(&t));
}

TEST(activations_of_16_bits)
{
    for (act = GPU_F16; act <= GPU_BF16; act++) {
        check_dropout(4100, 0.1f, false);
        check_dropout(4100, 0.1f, true);
        check_dropout(4100, 0, false);
    }
    act = GPU_F32;
}

TEST(wrong_arguments_are_refused)
{
    static const float WRONG[] = {-0.1f, 1.1f, NAN};
    struct step_in step = step_of(1, 1);
    trial *t = trial_open(device, "dropout with wrong arguments");
    args a = {.step = trial_words(t, "step", sizeof step / 4, &step),
              .x = trial_input(t, "x", 10, VALUES_NORMAL),
              .y = trial_free_words(t, "y", 10, NULL),
              .dropout = {.p = 0.1f},
              .count = 10};
    tensor *tensors[] = {a.step, a.x, a.y};
    for (size_t i = 0; i < BASE_COUNT(tensors); i++)
        trial_needs_all(t, tensors[i], record, &a);
    for (size_t i = 0; i < BASE_COUNT(WRONG); i++) {
        a.dropout.p = WRONG[i];
        trial_refuses(t, "dropout: ", record, &a);
    }
    CHECK(trial_close(&t));
}

static void on_device(vkb_device *dev)
{
    device = dev;
    RUN(device_keeps_what_the_host_keeps);
    RUN(p_1_drops_everything);
    RUN(add_adds);
    RUN(activations_of_16_bits);
    RUN(what_is_too_large_for_16_bits_is_not_finite);
    RUN(wrong_types_are_refused);
    RUN(wrong_arguments_are_refused);
}

int main(void)
{
    RUN(a_million_draws_have_the_share);
    int ran = trial_devices(on_device), failed = check_report();
    return failed || ran ? failed : 77;
}
