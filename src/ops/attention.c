// Self-attention: context = dropout(softmax(q k^T / sqrt(d) + mask)) v for each head of each row. Head
// h is columns h*d .. h*d + d-1 of [tokens][H], so its matrices are [length][d], H apart. Two ways:
//
//   fused  for GPUs: scores live in a workgroup; kept are two numbers a query
//   plain  products with a softmax between them; kept are the probabilities before dropout
//
// What dropout drops is drawn again in the backward, the same by both.
#include "ops/internal.h"

#include <math.h>

enum { DROPPED = 2, DELTA = 2 }; // scratch slots: the products use 0 and 1
enum { FUSED_SIZE = 128, FUSED_ROWS = 64, FUSED_WIDEST = 128 }; // shaders/attention_tile.glsl

static uint64_t probs_count(const op_attention *a)
{
    return (uint64_t)a->rows * a->heads * a->length * a->length;
}

static float score_scale(const op_attention *a)
{
    return 1 / sqrtf((float)a->hidden / (float)a->heads);
}

static bool is_fused(const op_attention *a)
{
    return a->stats.buffer != NULL;
}

static bool has_all(gpu_stream *s, const char *op, const op_attention *a, bool backward)
{
    const bool fused = is_fused(a);
    uint64_t tokens = (uint64_t)a->rows * a->length, count = tokens * a->hidden;
    const struct {
        const char *name;
        gpu_view view;
        uint64_t elements;
        bool needed;
    } views[] = {
        {"q", a->q, count, true},
        {"k", a->k, count, true},
        {"v", a->v, count, true},
        {"segments", a->segments, tokens, fused || !backward},
        {"probs", a->probs, probs_count(a), !fused},
        {"stats", a->stats, 2 * tokens * a->heads, fused},
        {"context", a->context, count, fused || !backward},
        {"dcontext", a->dcontext, count, backward},
        {"dq", a->dq, count, backward},
        {"dk", a->dk, count, backward},
        {"dv", a->dv, count, backward},
        {"dropout.step", a->dropout.step, sizeof(struct step_in) / 4, a->dropout.p > 0},
    };
    if (!op_must(s, a->heads > 0 && a->hidden % a->heads == 0, op,
                 "hidden is not a multiple of heads") ||
        !op_must(s, !fused || a->hidden / a->heads <= FUSED_WIDEST, op,
                 "stats were given, but heads are wider than 128") ||
        !op_must(s, a->dropout.p >= 0 && a->dropout.p < 1, op, "dropout is not in [0, 1)") ||
        !op_must(s, probs_count(a) <= UINT32_MAX, op, "there are more than 2^32 probabilities"))
        return false;
    for (size_t i = 0; i < BASE_COUNT(views); i++)
        if (views[i].needed && !op_has(s, op, views[i].name, views[i].view, views[i].elements))
            return false;
    return true;
}

// ---- Fused ----

bool op_attention_is_fused(const vkb_device_info *device, uint32_t heads, uint32_t hidden)
{
    return !op_info_is_software(device) && hidden / heads <= FUSED_WIDEST;
}

static uint32_t fused_width(uint32_t head_size)
{
    uint32_t width = 32;
    while (width < head_size)
        width *= 2;
    return width;
}

// Steps of a product unrolled: software drivers, where these kernels are only tested, would compile
// them for seconds.
static uint32_t fused_unroll(const gpu_stream *s)
{
    return vkb_device_get_info(gpu_stream_device(s))->type == VKB_SOFTWARE ? 1 : 8;
}

enum { FUSED_OTHERS = 5 };

// Records one of the fused kernels. products: how many it has of [length][length][head size]; others:
// its views behind those that all have, empty ones last.
static void fused_run(gpu_stream *s, const op_attention *a, gpu_kernel kernel, double products,
                      const gpu_view others[FUSED_OTHERS])
{
    const uint32_t head_size = a->hidden / a->heads;
    const bool drop = a->dropout.p > 0;
    const struct attention_params push = {.rows = a->rows,
                                          .row_length = a->length,
                                          .heads = a->heads,
                                          .hidden = a->hidden,
                                          .site = a->dropout.site,
                                          .keep = 1 - a->dropout.p,
                                          .scale = score_scale(a)};
    gpu_run_params run = {
        .bind = {drop ? a->dropout.step : a->segments, a->segments, a->q, a->k, a->v},
        .push = &push,
        .spec = {FUSED_SIZE, fused_width(head_size), head_size % 4 == 0, drop, fused_unroll(s)},
        .spec_count = 5,
        .groups = gpu_items((uint64_t)a->rows * a->heads * op_div_up(a->length, FUSED_ROWS)),
        .flops = 2 * products * (double)probs_count(a) * head_size,
    };
    for (size_t i = 0; i < FUSED_OTHERS; i++)
        run.bind[5 + i] = others[i];
    gpu_run_(s, kernel, &run);
}

static void fused_fwd(gpu_stream *s, const op_attention *a)
{
    fused_run(s, a, GPU_attention_fwd, 2, (const gpu_view[FUSED_OTHERS]){a->context, a->stats});
}

static void fused_bwd(gpu_stream *s, const op_attention *a)
{
    gpu_view delta = gpu_scratch(s, DELTA, 4ull * a->rows * a->length * a->heads);
    fused_run(s, a, GPU_attention_bwd_q, 3,
              (const gpu_view[FUSED_OTHERS]){a->context, a->stats, a->dcontext, delta, a->dq});
    fused_run(s, a, GPU_attention_bwd_kv, 4,
              (const gpu_view[FUSED_OTHERS]){a->stats, a->dcontext, delta, a->dk, a->dv});
}

// ---- Plain ----

// A product for each head of each row. Matrices of heads lie in [tokens][H]; those of scores,
// [length][length], one behind the other.
static void heads_matmul(gpu_stream *s, const op_attention *a, op_layout layout, gpu_view x,
                         gpu_view y, gpu_view result, float alpha)
{
    uint32_t d = a->hidden / a->heads, head = a->length * a->length, row = head * a->heads;
    op_matmul_params p = {.layout = layout,
                          .a = x,
                          .b = y,
                          .c = result,
                          .alpha = alpha,
                          .m = a->length,
                          .n = a->length,
                          .k = a->length,
                          .lda = a->hidden,
                          .ldb = a->hidden,
                          .ldc = a->hidden};
    p.batch.outer = a->rows;
    p.batch.inner = a->heads;
    p.batch.a_outer = p.batch.b_outer = p.batch.c_outer = a->length * a->hidden;
    p.batch.a_inner = p.batch.b_inner = p.batch.c_inner = d;
    if (layout == OP_NT) { // scores = x y^T
        p.k = d;
        p.ldc = a->length;
        p.batch.c_outer = row;
        p.batch.c_inner = head;
    } else { // scores y, or scores^T y
        p.n = d;
        p.lda = a->length;
        p.batch.a_outer = row;
        p.batch.a_inner = head;
    }
    op_matmul_(s, &p);
}

static struct softmax_params softmax_push(const op_attention *a)
{
    return (struct softmax_params){.rows = a->rows * a->heads * a->length,
                                   .cols = a->length,
                                   .rows_per_mask = a->heads * a->length,
                                   .site = a->dropout.site,
                                   .keep = 1 - a->dropout.p};
}

static void plain_fwd(gpu_stream *s, const op_attention *a)
{
    heads_matmul(s, a, OP_NT, a->q, a->k, a->probs, score_scale(a));

    bool drop = a->dropout.p > 0;
    gpu_view dropped = drop ? gpu_scratch(s, DROPPED, 4 * probs_count(a)) : a->probs;
    struct softmax_params push = softmax_push(a);
    op_rows r = op_rows_for(s, push.rows, push.cols, GPU_F32);
    gpu_run(s, softmax_fwd,
            .bind = {drop ? a->dropout.step : a->segments, a->segments, a->probs, dropped},
            .push = &push, .spec = {r.size, r.shared_by, r.format, drop}, .spec_count = 4,
            .groups = r.groups, .flops = 20.0 * (double)probs_count(a));

    heads_matmul(s, a, OP_NN, dropped, a->v, a->context, 1);
}

static void plain_bwd(gpu_stream *s, const op_attention *a)
{
    bool drop = a->dropout.p > 0;
    uint32_t count = (uint32_t)probs_count(a);

    // dv = dropped^T dcontext
    gpu_view dropped = a->probs;
    if (drop) {
        dropped = gpu_scratch(s, DROPPED, 4ull * count);
        op_dropout_apply(s, a->dropout, a->probs, count, dropped);
    }
    heads_matmul(s, a, OP_TN, dropped, a->dcontext, a->dv, 1);

    // dscores = softmax's backward of dcontext v^T
    gpu_view dscores = gpu_scratch(s, DROPPED, 4ull * count);
    heads_matmul(s, a, OP_NT, a->dcontext, a->v, dscores, 1);
    struct softmax_params push = softmax_push(a);
    op_rows r = op_rows_for(s, push.rows, push.cols, GPU_F32);
    gpu_run(s, softmax_bwd, .bind = {drop ? a->dropout.step : a->probs, a->probs, dscores},
            .push = &push, .spec = {r.size, r.shared_by, r.format, drop}, .spec_count = 4,
            .groups = r.groups, .flops = 10.0 * count);

    // dq = dscores k, dk = dscores^T q
    float scale = score_scale(a);
    heads_matmul(s, a, OP_NN, dscores, a->k, a->dq, scale);
    heads_matmul(s, a, OP_TN, dscores, a->q, a->dk, scale);
}

// ---- Either ----

void op_attention_fwd(gpu_stream *s, const op_attention *a)
{
    if (!has_all(s, "op_attention_fwd", a, false))
        return;
    if (is_fused(a))
        fused_fwd(s, a);
    else
        plain_fwd(s, a);
}

void op_attention_bwd(gpu_stream *s, const op_attention *a)
{
    if (!has_all(s, "op_attention_bwd", a, true))
        return;
    if (is_fused(a))
        fused_bwd(s, a);
    else
        plain_bwd(s, a);
}
