// Attention by products with a softmax between them, the probabilities kept: for software drivers, and for
// heads that are too wide for the fused kernels.
#include "ops/attention.h"

enum { DROPPED = ATTENTION_SCRATCH };

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
    return heads_of(a, view, attention_stride(a));
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

void attention_plain_fwd(gpu_stream *s, const op_attention *a)
{
    heads_matmul(s, a, OP_NT, apart(a, a->q), apart(a, a->k), scores_of(a, a->probs),
                 attention_scale(a));

    bool drop = a->dropout.p > 0;
    gpu_view dropped = drop ? gpu_scratch(s, DROPPED, 4 * attention_probs(a)) : a->probs;
    struct softmax_params push = softmax_push(a);
    op_rows r = op_rows_for(s, push.rows, push.cols, GPU_F32);
    gpu_run(s, softmax_fwd,
            .bind = {drop ? a->dropout.step : a->segments, a->segments, a->probs, dropped},
            .push = &push, .spec = {r.size, r.shared_by, r.format, drop}, .spec_count = 4,
            .groups = r.groups, .flops = 20.0 * (double)attention_probs(a));

    heads_matmul(s, a, OP_NN, scores_of(a, dropped), apart(a, a->v),
                 heads_of(a, a->context, a->hidden), 1);
}

void attention_plain_bwd(gpu_stream *s, const op_attention *a)
{
    bool drop = a->dropout.p > 0;
    uint32_t count = (uint32_t)attention_probs(a);

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
    float scale = attention_scale(a);
    heads_matmul(s, a, OP_NN, scores_of(a, dscores), apart(a, a->k), apart(a, a->dq), scale);
    heads_matmul(s, a, OP_TN, scores_of(a, dscores), apart(a, a->q), apart(a, a->dk), scale);
}
