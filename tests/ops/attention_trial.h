// Trials of attention against the reference, of either way and, fused, of either family of kernels: what
// test_attention and test_attention_coop share.
#ifndef VKB_ATTENTION_TRIAL_H
#define VKB_ATTENTION_TRIAL_H

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

#endif
