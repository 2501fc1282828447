// Attention's fused kernels by cooperative matrices, forward and backward, against the reference: what tiles
// of 64 rows by 32 or 16 columns, and heads in steps of 32, can do wrong.
#include "attention_trial.h"

static bool by_coop(gpu_type type)
{
    const op_attention a = {.q.type = type, .heads = 1, .hidden = 64};
    return attention_has_coop(vkb_device_get_info(device), &a);
}

TEST(coop_is_admitted)
{
    if (!by_coop(act))
        SKIP("the device has no cooperative matrices of %s, or too small limits",
             act == GPU_F16 ? "fp16" : "bf16");
}

// Few kinds: llvmpipe compiles each for seconds, and heads of 128 for a minute. Those, of 96 and 124,
// were tried by hand.
TEST(coop_around_tiles)
{
    static const uint32_t lengths[] = {2, 15, 17, 32, 33, 63, 64, 65, 97, 130};
    forward((shape){2, 1, 2, 32}, MASK_NONE, VALUES_NORMAL, 0.1f);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        both((shape){1, lengths[i], 2, i % 2 ? 32 : 24}, MASK_PADDING, VALUES_NORMAL, 0.1f);
}

TEST(coop_masks)
{
    for (mask_kind kind = MASK_NONE; kind <= MASK_SEGMENTS; kind++)
        both((shape){3, 31, 2, 8}, kind, VALUES_NORMAL, 0.25f);
    both((shape){2, 66, 2, 16}, MASK_HOLES, VALUES_NORMAL, 0);
}

TEST(coop_heads_of_fours)
{
    both((shape){2, 37, 2, 20}, MASK_HOLES, VALUES_NORMAL, 0.1f);
    both((shape){1, 70, 1, 4}, MASK_SEGMENTS, VALUES_NORMAL, 0.1f);
}

TEST(coop_long_rows)
{
    both((shape){1, 512, 2, 64}, MASK_SEGMENTS, VALUES_NORMAL, 0.1f);
    both((shape){1, 510, 1, 64}, MASK_PADDING, VALUES_NORMAL, 0.1f);
}

TEST(coop_sharp_scores)
{
    both((shape){1, 70, 2, 64}, MASK_HOLES, VALUES_WIDE, 0.1f);
}

// What the one family keeps is what the other one wants.
TEST(coop_with_the_plain_twin)
{
    bwd_by = "tile";
    both((shape){2, 70, 2, 64}, MASK_SEGMENTS, VALUES_NORMAL, 0.1f);
    bwd_by = "coop";
    fwd_by = "tile";
    both((shape){2, 70, 2, 64}, MASK_SEGMENTS, VALUES_NORMAL, 0.1f);
    fwd_by = "coop";
}

static void all(gpu_type type)
{
    act = type;
    RUN(coop_is_admitted);
    if (!by_coop(type))
        return;
    fwd_by = bwd_by = "coop";
    RUN(coop_around_tiles);
    RUN(coop_masks);
    RUN(coop_long_rows);
    RUN(coop_heads_of_fours);
    RUN(coop_sharp_scores);
    RUN(coop_with_the_plain_twin);
    fwd_by = bwd_by = "tile";
    act = GPU_F32;
}

static void on_device(vkb_device *dev)
{
    device = dev;
    fused = op_attention_is_fused(vkb_device_get_info(dev), 1, 64);
    for (gpu_type type = GPU_F16; fused && type <= GPU_BF16; type++)
        all(type);
}

int main(void)
{
    return trial_devices(on_device) ? check_report() : 77;
}
