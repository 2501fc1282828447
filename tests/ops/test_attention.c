// Attention with padding mask and dropout, forward and backward, on every device against the
// reference: the plain way with both kinds of kernels, the fused way with the GPUs', of both families.
#include "check.h"
#include "devices.h"
#include "harness.h"
#include "ops/attention.h"
#include "ref.h"

static vkb_device *device;
static bool fused;                                    // which way the trials go, and
static const char *fwd_by = "tile", *bwd_by = "tile"; // by which of its families
static gpu_type act;                                  // of q, k, v, context and their gradients

enum { TOKENS = 1024 };

typedef enum mask_kind {
    MASK_NONE,
    MASK_PADDING,
    MASK_HOLES,
    MASK_WHOLE_ROW,
    MASK_SEGMENTS, // texts of random lengths, padding behind the last
} mask_kind;

typedef struct shape {
    uint32_t rows, length, heads, d;
} shape;

typedef struct attention {
    shape shape;
    tensor *q, *k, *v, *mask, *probs, *stats, *context, *dcontext, *dq, *dk, *dv, *step;
    tensor *qkv, *dqkv; // instead of q, k, v and of their gradients: columns of one
    float dropout;
    uint32_t hidden, ld;
} attention;

static gpu_view view_of(const tensor *x)
{
    return x ? x->view : (gpu_view){0};
}

// Columns i * hidden .. of three times as many, or the tensor of its own.
static gpu_view third(const attention *a, const tensor *all, const tensor *own, uint32_t i)
{
    if (!all)
        return view_of(own);
    const uint64_t columns = (uint64_t)gpu_type_bytes(all->type) * a->hidden;
    return gpu_part(all->view, i * columns, all->view.bytes - 2 * columns);
}

static op_attention views(const attention *a)
{
    return (op_attention){
        .q = third(a, a->qkv, a->q, 0),
        .k = third(a, a->qkv, a->k, 1),
        .v = third(a, a->qkv, a->v, 2),
        .segments = a->mask->view,
        .probs = view_of(a->probs),
        .stats = view_of(a->stats),
        .context = a->context->view,
        .dcontext = view_of(a->dcontext),
        .dq = third(a, a->dqkv, a->dq, 0),
        .dk = third(a, a->dqkv, a->dk, 1),
        .dv = third(a, a->dqkv, a->dv, 2),
        .ld = a->ld,
        .rows = a->shape.rows,
        .length = a->shape.length,
        .heads = a->shape.heads,
        .hidden = a->hidden,
        .dropout = {.step = view_of(a->step), .site = 9, .p = a->dropout},
    };
}

static void record_fwd(gpu_stream *s, void *user)
{
    op_attention all = views(user);
    op_force_attention(fwd_by);
    op_attention_fwd(s, &all);
    op_force_attention(NULL);
}

static void record_bwd(gpu_stream *s, void *user)
{
    op_attention all = views(user);
    op_force_attention(bwd_by);
    op_attention_bwd(s, &all);
    op_force_attention(NULL);
}

static void record_both(gpu_stream *s, void *user)
{
    record_fwd(s, user);
    record_bwd(s, user);
}

static void draw_mask(random_source *r, shape n, mask_kind kind, uint32_t *mask)
{
    uint32_t segment = 0;
    for (uint32_t row = 0; row < n.rows; row++)
        for (uint32_t i = 0; i < n.length; i++) {
            bool keep = true;
            if (kind == MASK_PADDING)
                keep = i < n.length - row * n.length / (2 * n.rows);
            else if (kind == MASK_HOLES)
                keep = random_below(r, 3) > 0;
            else if (kind == MASK_WHOLE_ROW)
                keep = row != n.rows - 1;
            segment = i == 0 ? 1 : segment + (random_below(r, 4) == 0);
            if (kind == MASK_SEGMENTS)
                mask[row * n.length + i] = i + 2 < n.length || row == 0 ? segment : 0;
            else
                mask[row * n.length + i] = keep;
        }
}

static size_t probs_count(shape n)
{
    return (size_t)n.rows * n.heads * n.length * n.length;
}

static size_t stats_count(shape n)
{
    return (size_t)n.rows * n.heads * n.length * 2;
}

// With dropout, q, k and v are columns of one tensor, as a step of training has them, where the device can
// bind those.
static bool is_joined(shape n, values sharpness, float dropout)
{
    return dropout > 0 && sharpness == VALUES_NORMAL &&
           (uint64_t)gpu_type_bytes(act) * n.heads * n.d % gpu_alignment(device) == 0;
}

static size_t context_count(shape n)
{
    return (size_t)n.rows * n.length * n.heads * n.d;
}

static tensor *act_input(trial *t, const char *name, size_t count, values kind)
{
    tensor *x = trial_input(t, name, count, kind);
    tensor_as(x, act);
    return x;
}

static tensor *act_output(trial *t, const char *name, size_t count, double within)
{
    tensor *x = trial_output(t, name, count, within);
    tensor_as(x, act);
    return x;
}

// Fills a with the inputs, and the reference with the same.
static ref_attention inputs(trial *t, attention *a, shape n, mask_kind kind, values sharpness,
                            float dropout, uint32_t *mask)
{
    const size_t count = context_count(n), hidden = n.heads * n.d;
    struct step_in step = {.seed_low = 0xDEADBEEF, .seed_high = 77, .step = 12};
    *a = (attention){.shape = n, .dropout = dropout, .hidden = n.heads * n.d};
    ref_attention ref = {
        .segments = mask,
        .rows = n.rows,
        .length = n.length,
        .heads = n.heads,
        .hidden = a->hidden,
        .dropout = {.step = step, .site = 9, .p = dropout},
    };
    if (is_joined(n, sharpness, dropout)) {
        a->qkv = act_input(t, "qkv", 3 * count, VALUES_NORMAL);
        ref.q = a->qkv->ref;
        ref.k = ref.q + hidden;
        ref.v = ref.k + hidden;
        ref.ld = a->ld = 3 * a->hidden;
    } else {
        ref.q = (a->q = act_input(t, "q", count, sharpness))->ref;
        ref.k = (a->k = act_input(t, "k", count, VALUES_NORMAL))->ref;
        ref.v = (a->v = act_input(t, "v", count, VALUES_NORMAL))->ref;
    }
    draw_mask(trial_random(t), n, kind, mask);
    a->mask = trial_words(t, "segments", n.rows * n.length, mask);
    if (dropout > 0)
        a->step = trial_words(t, "step", sizeof step / 4, &step);
    return ref;
}

// Makes the gradients of q, k and v, and the reference's.
static void gradients(trial *t, attention *a, const ref_attention *ref, double within)
{
    const size_t count = context_count(a->shape);
    if (a->qkv) {
        a->dqkv = act_output(t, "dqkv", 3 * count, within);
        double *dq = a->dqkv->ref, *dk = dq + a->hidden, *dv = dk + a->hidden;
        ref_attention_bwd(ref, a->dcontext->ref, dq, dk, dv);
        return;
    }
    a->dq = act_output(t, "dq", count, within);
    a->dk = act_output(t, "dk", count, within);
    a->dv = act_output(t, "dv", count, within);
    ref_attention_bwd(ref, a->dcontext->ref, a->dq->ref, a->dk->ref, a->dv->ref);
}

// Scores of N(0, 30) reach 150 and are 2e-5 off in fp32, and so is what exp makes of them: 4e-10
// squared. Where probabilities saturate, the backward's differences lose another digit or two.
//
// In 16 bits results are rounded once; the fused backward's with delta taken from a rounded context:
// dq and dk are off by about as much again; where probabilities saturate, they are small differences, and
// off by some times as much. By cooperative matrices probabilities and their gradients are rounded too.
static double limit(values sharpness, bool backward)
{
    if (act != GPU_F32) {
        const bool coop = fused && strcmp(fwd_by, "coop") == 0;
        const double more = !fused                     ? 1
                            : !backward                ? coop ? 2 : 1
                            : sharpness == VALUES_WIDE ? 12
                            : coop                     ? 3
                                                       : 2;
        return more * (act == GPU_F16 ? LIMIT_F16 : LIMIT_BF16);
    }
    return sharpness == VALUES_WIDE ? backward ? 1e-7 : 1e-8 : LIMIT_FP32;
}

static const char *way(void)
{
    static char text[64];
    snprintf(text, sizeof text, "fused, %s and %s", fwd_by, bwd_by);
    return fused ? text : "plain";
}

// What the forward keeps for the backward; the probabilities can be compared, stats are of the fused
// kernels alone.
static void kept_tensors(trial *t, attention *a, shape n, double within)
{
    if (fused)
        a->stats = trial_free_words(t, "stats", stats_count(n), NULL);
    else
        a->probs = trial_output(t, "probs", probs_count(n), within);
}

static void forward(shape n, mask_kind kind, values sharpness, float dropout)
{
    trial *t =
        trial_open(device, "attention_fwd %s %ux%ux%ux%u mask %d values %d dropout %g type %d",
                   way(), n.rows, n.length, n.heads, n.d, kind, sharpness, dropout, act);
    attention a;
    uint32_t mask[TOKENS];
    ref_attention ref = inputs(t, &a, n, kind, sharpness, dropout, mask);
    double within = limit(sharpness, false);
    kept_tensors(t, &a, n, act == GPU_F32 ? within : LIMIT_FP32);
    a.context = act_output(t, "context", context_count(n), within);
    ref_attention_fwd(&ref, fused ? NULL : a.probs->ref, a.context->ref);
    trial_run(t, record_fwd, &a);
    CHECK(trial_close(&t));
}

static void both(shape n, mask_kind kind, values sharpness, float dropout)
{
    trial *t = trial_open(device, "attention %s %ux%ux%ux%u mask %d values %d dropout %g type %d",
                          way(), n.rows, n.length, n.heads, n.d, kind, sharpness, dropout, act);
    attention a;
    uint32_t mask[TOKENS];
    ref_attention ref = inputs(t, &a, n, kind, sharpness, dropout, mask);
    double within = limit(sharpness, false), bwd_within = limit(sharpness, true);
    kept_tensors(t, &a, n, act == GPU_F32 ? within : LIMIT_FP32);
    a.context = act_output(t, "context", context_count(n), within);
    a.dcontext = act_input(t, "dcontext", context_count(n), VALUES_NORMAL);
    ref_attention_fwd(&ref, fused ? NULL : a.probs->ref, a.context->ref);
    gradients(t, &a, &ref, bwd_within);
    trial_run(t, record_both, &a);
    CHECK(trial_close(&t));
}

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

// ---- The family by cooperative matrices: 64 rows by 32 or 16 columns, widths of 32s, fp16 and bf16 ----

static bool by_coop(gpu_type type)
{
    const op_attention a = {.q.type = type, .heads = 1, .hidden = 64};
    return attention_has_coop(vkb_device_get_info(device), &a);
}

// Few kinds here too: llvmpipe compiles each for seconds, and heads of 128 for a minute. Those, of 96 and 124,
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

static void coop(gpu_type type)
{
    act = type;
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
    for (gpu_type type = GPU_F16; type <= GPU_BF16; type++)
        if (by_coop(type))
            coop(type);
        else
            printf("no attention by cooperative matrices of %s: the device has no such matrices, "
                   "or too small limits\n",
                   type == GPU_F16 ? "fp16" : "bf16");
}

int main(void)
{
    return trial_devices(on_device) ? check_report() : 77;
}
