// LayerNorm over the last axis, forward and backward, with the dropouts and the addition beside it.
// Gains and biases get their gradients like column sums: chunks of rows, then the chunks.
#include "ops/columns.h"

void op_layernorm_fwd(gpu_stream *s, gpu_view x, gpu_view gain, gpu_view bias, uint32_t rows,
                      uint32_t cols, float eps, gpu_view y, gpu_view stat)
{
    const char *op = "op_layernorm_fwd";
    if (!op_has_act(s, op, "x", x, rows, cols) || !op_has(s, op, "gain", gain, cols) ||
        !op_has(s, op, "bias", bias, cols) || !op_has_act(s, op, "y", y, rows, cols) ||
        !op_has(s, op, "stat", stat, 2ull * rows) || !op_same_type(s, op, x, y))
        return;
    op_rows r = op_rows_for(s, rows, cols, x.type);
    gpu_run(s, layernorm_fwd, .bind = {x, gain, bias, y, stat},
            .push = &(struct layernorm_params){rows, cols, eps},
            .spec = {r.size, r.shared_by, r.format}, .spec_count = 3, .groups = r.groups,
            .flops = 8.0 * rows * cols);
}

bool op_residual_norm_fits(gpu_stream *s, const op_residual_norm *n)
{
    static const char op[] = "op_residual_norm_fwd";
    return op_dropout_checks(s, op, n->dropout) && op_has_act(s, op, "x", n->x, n->rows, n->cols) &&
           (!n->x_bias.buffer || op_has(s, op, "x_bias", n->x_bias, n->cols)) &&
           op_has_act(s, op, "residual", n->residual, n->rows, n->cols) &&
           op_has(s, op, "gain", n->gain, n->cols) && op_has(s, op, "bias", n->bias, n->cols) &&
           op_has_act(s, op, "sum", n->sum, n->rows, n->cols) &&
           op_has_act(s, op, "y", n->y, n->rows, n->cols) &&
           op_has(s, op, "stat", n->stat, 2ull * n->rows) &&
           op_same_type(s, op, n->x, n->residual) && op_same_type(s, op, n->x, n->sum) &&
           op_same_type(s, op, n->x, n->y);
}

void op_residual_norm_fwd(gpu_stream *s, const op_residual_norm *n)
{
    if (!op_residual_norm_fits(s, n))
        return;
    const bool biased = n->x_bias.buffer != NULL;
    const bool drops = n->dropout.p > 0;
    const double elements = (double)n->rows * n->cols;
    op_rows r = op_rows_for(s, n->rows, n->cols, n->x.type);
    gpu_run(s, residual_norm_fwd,
            .bind = {drops ? n->dropout.step : n->x, n->x, biased ? n->x_bias : n->bias,
                     n->residual, n->gain, n->bias, n->sum, n->y, n->stat},
            .push = &(struct residual_norm_params){n->rows, n->cols, n->eps, n->dropout.site,
                                                   1 - n->dropout.p},
            .spec = {r.size, r.shared_by, r.format, drops, biased}, .spec_count = 5,
            .groups = r.groups, .flops = 10.0 * elements,
            // x, residual, sum and y once: what is read again is still in a cache.
            .bytes = 4 * gpu_type_bytes(n->x.type) * elements + 8.0 * n->rows);
}

static bool grad_checks(gpu_stream *s, const char *op, const op_layernorm_grad *g)
{
    const uint32_t rows = g->rows, cols = g->cols;
    const bool below = g->below.p > 0, sums = g->x_bias_grad.buffer != NULL;
    return op_dropout_checks(s, op, g->above) && op_dropout_checks(s, op, g->below) &&
           op_has_act(s, op, "x", g->x, rows, cols) && op_has(s, op, "gain", g->gain, cols) &&
           op_has(s, op, "stat", g->stat, 2ull * rows) &&
           op_has_act(s, op, "dy", g->dy, rows, cols) && op_same_type(s, op, g->x, g->dy) &&
           op_has_act(s, op, "dx", g->dx, rows, cols) && op_same_type(s, op, g->x, g->dx) &&
           (!below || (op_has_act(s, op, "dropped", g->dropped, rows, cols) &&
                       op_same_type(s, op, g->x, g->dropped))) &&
           op_has(s, op, "gain_grad", g->gain_grad, cols) &&
           op_has(s, op, "bias_grad", g->bias_grad, cols) &&
           (!sums || op_has(s, op, "x_bias_grad", g->x_bias_grad, cols));
}

void op_layernorm_bwd(gpu_stream *s, const op_layernorm_grad *g)
{
    if (!grad_checks(s, "op_layernorm_bwd", g))
        return;
    const bool above = g->above.p > 0, below = g->below.p > 0;
    const gpu_view step = above ? g->above.step : below ? g->below.step : g->x;
    const gpu_view sums[] = {g->gain_grad, g->bias_grad, g->x_bias_grad};
    const uint32_t count = g->x_bias_grad.buffer ? 3 : 2;
    // As many chunks as keep all cores of a GPU busy, but a chunk costs partial sums, written and
    // read again.
    uint32_t each = op_div_up(g->rows, op_is_software(s) ? 32 : 1024);
    each = each < 16 ? 16 : each > LAYERNORM_BWD_ROWS ? LAYERNORM_BWD_ROWS : each;
    const uint32_t chunks = op_div_up(g->rows, each);
    const gpu_view partial = gpu_scratch(s, 0, 4ull * count * chunks * g->cols);
    const op_group group = op_group_for(s, op_div_up(g->cols, 4));
    const double elements = (double)g->rows * g->cols;
    gpu_run(
        s, layernorm_bwd,
        .bind = {step, g->x, g->gain, g->stat, g->dy, g->dx, below ? g->dropped : partial, partial},
        .push = &(struct layernorm_bwd_params){.rows = g->rows,
                                               .cols = g->cols,
                                               .rows_per_chunk = each,
                                               .chunks = chunks,
                                               .site_above = g->above.site,
                                               .site_below = g->below.site,
                                               .keep_above = 1 - g->above.p,
                                               .keep_below = 1 - g->below.p},
        .spec = {group.size, group.one_subgroup, op_format(g->x.type, g->cols), above, below,
                 count},
        .spec_count = 6, .groups = gpu_items(chunks), .flops = 20.0 * elements,
        .bytes = gpu_type_bytes(g->x.type) * (below ? 4 : 3) * elements + 8.0 * g->rows +
                 4.0 * count * chunks * g->cols);
    columns_finish(s, partial, chunks, g->cols, g->accumulate, sums, count);
}
