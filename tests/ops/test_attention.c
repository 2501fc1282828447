// Attention with padding mask and dropout, forward and backward, on every device against the
// reference: the plain way with both kinds of kernels, the fused way with the GPUs'.
#include "attention_trial.h"

static const shape SHAPES[] = {{1, 3, 1, 3},  {2, 17, 2, 5},  {3, 31, 4, 8},
                               {2, 33, 1, 7}, {4, 64, 2, 16}, {1, 127, 2, 9}};

enum { SHAPE_COUNT = sizeof SHAPES / sizeof *SHAPES };

static void all_masks(float dropout)
{
    for (size_t i = 0; i < SHAPE_COUNT; i++)
        for (mask_kind kind = MASK_NONE; kind <= MASK_SEGMENTS; kind++)
            both(SHAPES[i], kind, VALUES_NORMAL, dropout);
}

TEST(without_dropout)
{
    all_masks(0);
}

TEST(with_dropout)
{
    all_masks(0.25f);
}

TEST(sharp_scores)
{
    for (size_t i = 1; i < SHAPE_COUNT; i++)
        both(SHAPES[i], MASK_HOLES, VALUES_WIDE, 0);
}

// One token, packed and padded rows; where the kernels' own reading is at work, heads of 64 too, and up to 512
// tokens. Few kinds, because each has pipelines of its own.
static void halves(gpu_type type)
{
    static const uint32_t lengths[] = {2, 130, 512};
    act = type;
    forward((shape){1, 1, 1, 32}, MASK_NONE, VALUES_NORMAL, 0.1f);
    both((shape){2, 33, 2, 32}, MASK_SEGMENTS, VALUES_NORMAL, 0.1f);
    both((shape){1, 70, 2, 20}, MASK_PADDING, VALUES_NORMAL, 0.1f);
    if (fused && type == GPU_F16) {
        both((shape){2, 19, 2, 12}, MASK_WHOLE_ROW, VALUES_NORMAL, 0.1f);
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
            both((shape){1, lengths[i], 2, 64}, MASK_SEGMENTS, VALUES_NORMAL, 0.1f);
    }
    act = GPU_F32;
}

TEST(halves_fp16)
{
    halves(GPU_F16);
}

TEST(halves_bf16)
{
    halves(GPU_BF16);
}

TEST(one_token_attends_to_itself)
{
    // Its probability is 1 whatever the score: the context is v, and q and k get no gradient. The
    // device may leave a rounding of it there, so only the forward is compared.
    forward((shape){2, 1, 3, 4}, MASK_NONE, VALUES_NORMAL, 0);
}

// Without any, the plain way is meant, which wants probs.
static void stats_are_needed(trial *t, gpu_record_fn record, attention *a)
{
    tensor *stats = a->stats;
    a->stats = NULL;
    trial_refuses(t, "probs", record, a);
    a->stats = stats;
    stats->view.bytes -= 4;
    trial_refuses(t, "stats", record, a);
    stats->view.bytes += 4;
}

TEST(wrong_arguments_are_refused)
{
    trial *t = trial_open(device, "attention with wrong arguments");
    shape n = {2, 3, 2, 4};
    attention a;
    uint32_t mask[TOKENS];
    inputs(t, &a, n, MASK_NONE, VALUES_WIDE, 0.5f, mask); // q, k and v each for themselves
    kept_tensors(t, &a, n, LIMIT_FP32);
    a.context = trial_free_words(t, "context", a.q->count, NULL);
    a.dcontext = trial_free_words(t, "dcontext", a.q->count, NULL);
    a.dq = trial_free_words(t, "dq", a.q->count, NULL);
    a.dk = trial_free_words(t, "dk", a.q->count, NULL);
    a.dv = trial_free_words(t, "dv", a.q->count, NULL);
    tensor *fwd[] = {a.q, a.k, a.v, a.mask, a.context, a.step};
    tensor *bwd[] = {a.q, a.k, a.v, a.dcontext, a.dq, a.dk, a.dv, a.step};
    for (size_t i = 0; i < sizeof fwd / sizeof *fwd; i++)
        trial_needs_all(t, fwd[i], record_fwd, &a);
    for (size_t i = 0; i < sizeof bwd / sizeof *bwd; i++)
        trial_needs_all(t, bwd[i], record_bwd, &a);
    if (fused) {
        trial_needs_all(t, a.context, record_bwd, &a);
        trial_needs_all(t, a.mask, record_bwd, &a);
        stats_are_needed(t, record_fwd, &a);
        stats_are_needed(t, record_bwd, &a);
    } else {
        trial_needs_all(t, a.probs, record_fwd, &a);
        trial_needs_all(t, a.probs, record_bwd, &a);
    }
    a.hidden = 7; // of two heads
    trial_refuses(t, "heads", record_fwd, &a);
    a.hidden = 8;
    a.ld = 7;
    trial_refuses(t, "ld", record_fwd, &a);
    a.ld = 9; // more than q has
    trial_refuses(t, "q has", record_fwd, &a);
    a.ld = 0;
    a.q->view.type = GPU_F16; // but not k
    trial_refuses(t, "different types", record_fwd, &a);
    a.ld = 10;
    trial_refuses(t, "no multiples of 4", record_fwd, &a);
    a.ld = 0;
    a.q->view.type = GPU_F32;
    a.dropout = 1; // nothing would be kept
    trial_refuses(t, "dropout", record_fwd, &a);
    CHECK(trial_close(&t));
}

// ---- The fused way: what its tiles, 64 rows by 32 columns, and its heads, up to 128 wide, can do wrong ----

// Few kinds of shape, because each kind builds pipelines: SwiftShader takes a second for them.
TEST(fused_masks)
{
    static const shape shapes[] = {{2, 17, 2, 5}, {3, 31, 2, 8}, {2, 65, 1, 16}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (mask_kind kind = MASK_NONE; kind <= MASK_SEGMENTS; kind++) {
            both(shapes[i], kind, VALUES_NORMAL, 0.25f);
            if (i > 0)
                both(shapes[i], kind, VALUES_NORMAL, 0);
        }
}

TEST(fused_around_tiles)
{
    static const uint32_t lengths[] = {2, 32, 33, 63, 64, 96, 97, 130};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        both((shape){1, lengths[i], 1, i % 2 ? 32 : 64}, MASK_PADDING, VALUES_NORMAL, 0.1f);
}

TEST(fused_long_rows)
{
    both((shape){1, 512, 1, 64}, MASK_SEGMENTS, VALUES_NORMAL, 0.1f);
    both((shape){1, 510, 1, 32}, MASK_PADDING, VALUES_NORMAL, 0.1f);
}

TEST(fused_heads_of_any_size)
{
    static const uint32_t sizes[] = {1, 7, 97, 127};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        both((shape){2, 37, 2, sizes[i]}, MASK_HOLES, VALUES_NORMAL, 0.1f);
}

TEST(fused_sharp_scores)
{
    both((shape){2, 31, 1, 8}, MASK_HOLES, VALUES_WIDE, 0);
    both((shape){1, 70, 2, 64}, MASK_HOLES, VALUES_WIDE, 0.1f);
}

TEST(wide_heads_are_refused)
{
    trial *t = trial_open(device, "attention, fused, with wide heads");
    shape n = {1, 2, 1, 129};
    attention a;
    uint32_t mask[TOKENS];
    inputs(t, &a, n, MASK_NONE, VALUES_NORMAL, 0, mask);
    kept_tensors(t, &a, n, LIMIT_FP32);
    a.context = trial_free_words(t, "context", a.q->count, NULL);
    trial_refuses(t, "wider than 128", record_fwd, &a);
    CHECK(trial_close(&t));
}

// ---- All ----

static void on_device(vkb_device *dev)
{
    device = dev;
    fused = false;
    RUN(without_dropout);
    RUN(with_dropout);
    RUN(sharp_scores);
    RUN(halves_fp16);
    RUN(halves_bf16);
    RUN(one_token_attends_to_itself);
    RUN(wrong_arguments_are_refused);
    fused = op_attention_is_fused(vkb_device_get_info(dev), 1, 64);
    if (!fused)
        return;
    RUN(one_token_attends_to_itself);
    RUN(wrong_arguments_are_refused);
    RUN(wide_heads_are_refused);
    RUN(fused_masks);
    RUN(fused_around_tiles);
    RUN(fused_long_rows);
    RUN(fused_heads_of_any_size);
    RUN(fused_sharp_scores);
    RUN(halves_fp16);
    RUN(halves_bf16);
}

int main(void)
{
    return trial_devices(on_device) ? check_report() : 77;
}
