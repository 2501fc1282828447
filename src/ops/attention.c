// Self-attention: context = dropout(softmax(q k^T / sqrt(d) + mask)) v for each head of each row. Head
// h is columns h*d .. h*d + d-1 of [tokens][H], so its matrices are [length][d], H apart; those of q, k, v
// and their gradients ld apart. Two ways:
//
//   fused  for GPUs: scores live in a workgroup; kept are two numbers a query
//   plain  products with a softmax between them; kept are the probabilities before dropout
//
// What dropout drops is drawn again in the backward, the same by both. Activations may be of 16 bits: scores,
// probabilities, sums, and what is kept are fp32 all the same.
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

// Elements between rows of q, k, v and their gradients.
static uint32_t row_stride(const op_attention *a)
{
    return a->ld ? a->ld : a->hidden;
}

static bool is_fused(const op_attention *a)
{
    return a->stats.buffer != NULL;
}

// Heads of 16 bits, and rows, are of fours: that is how they are read.
static bool has_fours(gpu_stream *s, const char *op, const op_attention *a)
{
    const uint32_t head_size = a->hidden / a->heads;
    return op_must(s, a->q.type == GPU_F32 || (head_size % 4 == 0 && row_stride(a) % 4 == 0), op,
                   "heads of 16 bits, or ld, are no multiples of 4");
}

static bool has_all(gpu_stream *s, const char *op, const op_attention *a, bool backward)
{
    const bool fused = is_fused(a);
    uint64_t tokens = (uint64_t)a->rows * a->length, count = tokens * a->hidden;
    // The last row of columns of a wider tensor ends before the next one would begin.
    uint64_t strided = tokens ? (tokens - 1) * row_stride(a) + a->hidden : 0;
    const struct {
        const char *name;
        gpu_view view;
        uint64_t elements;
        bool needed, activation; // of q's type
    } views[] = {
        {"q", a->q, strided, true, true},
        {"k", a->k, strided, true, true},
        {"v", a->v, strided, true, true},
        {"segments", a->segments, tokens, fused || !backward, false},
        {"probs", a->probs, probs_count(a), !fused, false},
        {"stats", a->stats, 2 * tokens * a->heads, fused, false},
        {"context", a->context, count, fused || !backward, true},
        {"dcontext", a->dcontext, count, backward, true},
        {"dq", a->dq, strided, backward, true},
        {"dk", a->dk, strided, backward, true},
        {"dv", a->dv, strided, backward, true},
        {"dropout.step", a->dropout.step, sizeof(struct step_in) / 4, a->dropout.p > 0, false},
    };
    if (!op_must(s, a->heads > 0 && a->hidden % a->heads == 0, op,
                 "hidden is not a multiple of heads") ||
        !op_must(s, row_stride(a) >= a->hidden, op, "rows overlap, ld is smaller than hidden") ||
        !op_must(s, !fused || a->hidden / a->heads <= FUSED_WIDEST, op,
                 "stats were given, but heads are wider than 128") ||
        !op_must(s, a->dropout.p >= 0 && a->dropout.p < 1, op, "dropout is not in [0, 1)") ||
        !op_must(s, probs_count(a) <= UINT32_MAX, op, "there are more than 2^32 probabilities") ||
        !has_fours(s, op, a))
        return false;
    for (size_t i = 0; i < BASE_COUNT(views); i++) {
        const gpu_view view = views[i].view;
        if (views[i].needed &&
            !(views[i].activation ? op_has_act(s, op, views[i].name, view, 1, views[i].elements) &&
                                        op_same_type(s, op, a->q, view)
                                  : op_has(s, op, views[i].name, view, views[i].elements)))
            return false;
    }
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

// Records one of the fused kernels. products: how many it has of [length][length][head size]; tensors: of
// [rows * length][H], touched; others: its views behind those that all have, empty ones last.
static void fused_run(gpu_stream *s, const op_attention *a, gpu_kernel kernel, double products,
                      double tensors, const gpu_view others[FUSED_OTHERS])
{
    const uint32_t head_size = a->hidden / a->heads;
    const bool drop = a->dropout.p > 0, fours = head_size % 4 == 0 && row_stride(a) % 4 == 0;
    const uint32_t format = op_format(a->q.type, fours ? 4 : 1);
    const struct attention_params push = {.rows = a->rows,
                                          .row_length = a->length,
                                          .heads = a->heads,
                                          .hidden = a->hidden,
                                          .ld = row_stride(a),
                                          .site = a->dropout.site,
                                          .keep = 1 - a->dropout.p,
                                          .scale = score_scale(a)};
    gpu_run_params run = {
        .bind = {drop ? a->dropout.step : a->segments, a->segments, a->q, a->k, a->v},
        .push = &push,
        .spec = {FUSED_SIZE, fused_width(head_size), format, drop, fused_unroll(s)},
        .spec_count = 5,
        .groups = gpu_items((uint64_t)a->rows * a->heads * op_div_up(a->length, FUSED_ROWS)),
        .flops = 2 * products * (double)probs_count(a) * head_size,
        .bytes = gpu_type_bytes(a->q.type) * tensors * a->rows * a->length * a->hidden,
    };
    for (size_t i = 0; i < FUSED_OTHERS; i++)
        run.bind[5 + i] = others[i];
    gpu_run_(s, kernel, &run);
}

static void fused_fwd(gpu_stream *s, const op_attention *a)
{
    fused_run(s, a, GPU_attention_fwd, 2, 4, (const gpu_view[FUSED_OTHERS]){a->context, a->stats});
}

static void fused_bwd(gpu_stream *s, const op_attention *a)
{
    gpu_view delta = gpu_scratch(s, DELTA, 4ull * a->rows * a->length * a->heads);
    fused_run(s, a, GPU_attention_bwd_q, 3, 6,
              (const gpu_view[FUSED_OTHERS]){a->context, a->stats, a->dcontext, delta, a->dq});
    fused_run(s, a, GPU_attention_bwd_kv, 4, 6,
              (const gpu_view[FUSED_OTHERS]){a->stats, a->dcontext, delta, a->dk, a->dv});
}

// ---- Plain ----

// An operand of a product for each head of each row.
typedef struct matrices {
    gpu_view view;
    uint32_t ld, outer, inner; // elements between rows, rows of the batch, heads
} matrices;

// [length][d], columns of rows ld apart.
static matrices heads_of(const op_attention *a, gpu_view view, uint32_t ld)
{
    return (matrices){view, ld, a->length * ld, a->hidden / a->heads};
}

// q, k, v or a gradient of theirs
static matrices apart(const op_attention *a, gpu_view view)
{
    return heads_of(a, view, row_stride(a));
}

// [length][length], one behind the other
static matrices scores_of(const op_attention *a, gpu_view view)
{
    const uint32_t head = a->length * a->length;
    return (matrices){view, a->length, a->heads * head, head};
}

// OP_NT: scores = alpha x y^T; else result = alpha scores y, or scores^T y.
static void heads_matmul(gpu_stream *s, const op_attention *a, op_layout layout, matrices x,
                         matrices y, matrices result, float alpha)
{
    const uint32_t d = a->hidden / a->heads;
    op_matmul(s, .layout = layout, .a = x.view, .b = y.view, .c = result.view, .alpha = alpha,
              .m = a->length, .n = layout == OP_NT ? a->length : d,
              .k = layout == OP_NT ? d : a->length, .lda = x.ld, .ldb = y.ld, .ldc = result.ld,
              .batch = {.outer = a->rows,
                        .inner = a->heads,
                        .a_outer = x.outer,
                        .a_inner = x.inner,
                        .b_outer = y.outer,
                        .b_inner = y.inner,
                        .c_outer = result.outer,
                        .c_inner = result.inner});
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
    heads_matmul(s, a, OP_NT, apart(a, a->q), apart(a, a->k), scores_of(a, a->probs),
                 score_scale(a));

    bool drop = a->dropout.p > 0;
    gpu_view dropped = drop ? gpu_scratch(s, DROPPED, 4 * probs_count(a)) : a->probs;
    struct softmax_params push = softmax_push(a);
    op_rows r = op_rows_for(s, push.rows, push.cols, GPU_F32);
    gpu_run(s, softmax_fwd,
            .bind = {drop ? a->dropout.step : a->segments, a->segments, a->probs, dropped},
            .push = &push, .spec = {r.size, r.shared_by, r.format, drop}, .spec_count = 4,
            .groups = r.groups, .flops = 20.0 * (double)probs_count(a));

    heads_matmul(s, a, OP_NN, scores_of(a, dropped), apart(a, a->v),
                 heads_of(a, a->context, a->hidden), 1);
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
    const matrices dcontext = heads_of(a, a->dcontext, a->hidden);
    heads_matmul(s, a, OP_TN, scores_of(a, dropped), dcontext, apart(a, a->dv), 1);

    // dscores = softmax's backward of dcontext v^T
    gpu_view dscores = gpu_scratch(s, DROPPED, 4ull * count);
    heads_matmul(s, a, OP_NT, dcontext, apart(a, a->v), scores_of(a, dscores), 1);
    struct softmax_params push = softmax_push(a);
    op_rows r = op_rows_for(s, push.rows, push.cols, GPU_F32);
    gpu_run(s, softmax_bwd, .bind = {drop ? a->dropout.step : a->probs, a->probs, dscores},
            .push = &push, .spec = {r.size, r.shared_by, r.format, drop}, .spec_count = 4,
            .groups = r.groups, .flops = 10.0 * count);

    // dq = dscores k, dk = dscores^T q
    float scale = score_scale(a);
    heads_matmul(s, a, OP_NN, scores_of(a, dscores), apart(a, a->k), apart(a, a->dq), scale);
    heads_matmul(s, a, OP_TN, scores_of(a, dscores), apart(a, a->q), apart(a, a->dk), scale);
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
