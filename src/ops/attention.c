// Self-attention: context = dropout(softmax(q k^T / sqrt(d) + mask)) v, a product for each head of
// each row. Head h is columns h*d .. h*d + d-1 of [tokens][H], so its matrices are [length][d], H
// apart.
//
// Kept for the backward are the probabilities before dropout; what dropout drops is drawn again.
#include "ops/internal.h"

#include <math.h>

enum { DROPPED = 2 }; // scratch slot: the products use 0 and 1

static uint64_t probs_count(const op_attention *a)
{
    return (uint64_t)a->rows * a->heads * a->length * a->length;
}

static bool has_all(gpu_stream *s, const char *op, const op_attention *a, bool backward)
{
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
        {"segments", a->segments, tokens, !backward},
        {"probs", a->probs, probs_count(a), true},
        {"context", a->context, count, !backward},
        {"dcontext", a->dcontext, count, backward},
        {"dq", a->dq, count, backward},
        {"dk", a->dk, count, backward},
        {"dv", a->dv, count, backward},
        {"dropout.step", a->dropout.step, sizeof(struct step_in) / 4, a->dropout.p > 0},
    };
    if (!op_must(s, a->heads > 0 && a->hidden % a->heads == 0, op,
                 "hidden is not a multiple of heads") ||
        !op_must(s, a->dropout.p >= 0 && a->dropout.p < 1, op, "dropout is not in [0, 1)") ||
        !op_must(s, probs_count(a) <= UINT32_MAX, op, "there are more than 2^32 probabilities"))
        return false;
    for (size_t i = 0; i < BASE_COUNT(views); i++)
        if (views[i].needed && !op_has(s, op, views[i].name, views[i].view, views[i].elements))
            return false;
    return true;
}

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

void op_attention_fwd(gpu_stream *s, const op_attention *a)
{
    if (!has_all(s, "op_attention_fwd", a, false))
        return;
    heads_matmul(s, a, OP_NT, a->q, a->k, a->probs, 1 / sqrtf((float)a->hidden / (float)a->heads));

    bool drop = a->dropout.p > 0;
    gpu_view dropped = drop ? gpu_scratch(s, DROPPED, 4 * probs_count(a)) : a->probs;
    struct softmax_params push = softmax_push(a);
    op_rows r = op_rows_for(s, push.rows, push.cols);
    gpu_run(s, softmax_fwd,
            .bind = {drop ? a->dropout.step : a->segments, a->segments, a->probs, dropped},
            .push = &push, .spec = {r.size, r.shared_by, r.aligned, drop}, .spec_count = 4,
            .groups = r.groups, .flops = 20.0 * (double)probs_count(a));

    heads_matmul(s, a, OP_NN, dropped, a->v, a->context, 1);
}

void op_attention_bwd(gpu_stream *s, const op_attention *a)
{
    if (!has_all(s, "op_attention_bwd", a, true))
        return;
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
    op_rows r = op_rows_for(s, push.rows, push.cols);
    gpu_run(s, softmax_bwd, .bind = {drop ? a->dropout.step : a->probs, a->probs, dscores},
            .push = &push, .spec = {r.size, r.shared_by, r.aligned, drop}, .spec_count = 4,
            .groups = r.groups, .flops = 10.0 * count);

    // dq = dscores k, dk = dscores^T q
    float scale = 1 / sqrtf((float)a->hidden / (float)a->heads);
    heads_matmul(s, a, OP_NN, dscores, a->k, a->dq, scale);
    heads_matmul(s, a, OP_TN, dscores, a->q, a->dk, scale);
}
