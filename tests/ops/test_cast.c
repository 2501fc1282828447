// Between fp32 and 16 bits, on every device: as the host rounds, to the bit.
#include "base/half.h"
#include "check.h"
#include "devices.h"
#include "harness.h"

static vkb_device *device;

typedef struct cast {
    tensor *x, *y;
    uint64_t count;
} cast;

static void record(gpu_stream *s, void *user)
{
    const cast *c = user;
    op_cast(s, c->x->view, c->count, c->y->view);
}

static float rounded(gpu_type type, float value)
{
    return type == GPU_F16 ? half_to_float(half_from_float(value))
                           : bfloat_to_float(bfloat_from_float(value));
}

// narrow: to 16 bits, within what rounding once allows: Vulkan leaves to the driver how packHalf2x16
// rounds; else back, exactly.
static void cast_values(gpu_type type, uint32_t count, values kind, bool narrow)
{
    trial *t =
        trial_open(device, "cast %u values %d %s type %d", count, kind, narrow ? "to" : "of", type);
    cast c = {trial_input(t, "x", count, kind), trial_output(t, "y", count, LIMIT_EXACT), count};
    tensor_as(narrow ? c.y : c.x, type);
    for (uint32_t i = 0; i < count; i++)
        c.y->ref[i] = c.x->ref[i];
    trial_run(t, record, &c);
    CHECK(trial_close(&t));
}

static void both(gpu_type type, uint32_t count, values kind)
{
    cast_values(type, count, kind, true);
    cast_values(type, count, kind, false);
}

TEST(narrow_and_widen)
{
    for (gpu_type type = GPU_F16; type <= GPU_BF16; type++) {
        both(type, 4, VALUES_NORMAL);
        both(type, 100, VALUES_WIDE);
        both(type, 4100, VALUES_SMALL);
        both(type, 100004, VALUES_FAR);
        both(type, 8, VALUES_ZERO);
    }
}

// bf16 is rounded by our own arithmetic: ties, carries into the exponent, infinities.
TEST(bf16_is_rounded_as_on_the_host)
{
    static const uint32_t BITS[] = {0x3F808000, 0x3F818000, 0x3F808001, 0x3FFF8000,
                                    0x7F7FFFFF, 0xFF7FFFFF, 0x7F800000, 0xFF800000,
                                    0x00000001, 0x80008000, 0xBF7F7FFF, 0x477FE000};
    const size_t count = BASE_COUNT(BITS);
    trial *t = trial_open(device, "cast edges to bf16");
    cast c = {trial_input(t, "x", count, VALUES_ZERO), trial_output(t, "y", count, LIMIT_EXACT),
              count};
    memcpy(c.x->start, BITS, sizeof BITS);
    tensor_as(c.y, GPU_BF16);
    c.y->role = TENSOR_FREE; // compared to the bit below
    trial_run(t, record, &c);
    for (size_t i = 0; i < count; i++)
        if (tensor_seen(c.y, i) != rounded(GPU_BF16, c.x->start[i]))
            trial_wrong(t, "%08x becomes %g, expected %g", BITS[i], tensor_seen(c.y, i),
                        rounded(GPU_BF16, c.x->start[i]));
    CHECK(trial_close(&t));
}

TEST(parts_of_what_is_beyond_one_binding)
{
    gpu_test_limit_binding(device, 16 << 10);
    both(GPU_F16, 12004, VALUES_NORMAL);
    gpu_test_limit_binding(device, 0);
}

TEST(wrong_arguments_are_refused)
{
    trial *t = trial_open(device, "cast with wrong arguments");
    cast c = {trial_input(t, "x", 16, VALUES_NORMAL), trial_output(t, "y", 16, LIMIT_EXACT), 16};
    tensor_as(c.y, GPU_F16);
    trial_needs_all(t, c.x, record, &c);
    trial_needs_all(t, c.y, record, &c);
    c.count = 6;
    trial_refuses(t, "multiple of 4", record, &c);
    c.y->view.type = GPU_F32;
    trial_refuses(t, "one side must be fp32", record, &c);
    CHECK(trial_close(&t));
}

static void on_device(vkb_device *dev)
{
    device = dev;
    RUN(narrow_and_widen);
    RUN(bf16_is_rounded_as_on_the_host);
    RUN(parts_of_what_is_beyond_one_binding);
    RUN(wrong_arguments_are_refused);
}

int main(void)
{
    return trial_devices(on_device) ? check_report() : 77;
}
