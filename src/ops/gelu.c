// GELU: forward, and backward with the bias gradient, in the erf and the tanh form
// (shaders/gelu.glsl).
#include "ops/columns.h"

enum { FLOPS_AN_ELEMENT = 30 };

void op_gelu_fwd(gpu_stream *s, gpu_view x, uint32_t count, vkb_activation form, gpu_view y)
{
    static const char op[] = "op_gelu_fwd";
    if (!op_has_act(s, op, "x", x, 1, count) || !op_has_act(s, op, "y", y, 1, count) ||
        !op_same_type(s, op, x, y))
        return;
    op_flat f = op_flat_for(s, count, x.type);
    gpu_run(s, gelu_fwd, .bind = {x, y}, .push = &(struct gelu_params){count},
            .spec = {f.size, f.turns, f.format, form == VKB_GELU_TANH}, .spec_count = 4,
            .groups = f.groups, .flops = (double)FLOPS_AN_ELEMENT * count);
}

void op_gelu_bwd(gpu_stream *s, gpu_view x, gpu_view dy, uint32_t rows, uint32_t cols,
                 vkb_activation form, bool accumulate, gpu_view dx, gpu_view bias_grad)
{
    static const char op[] = "op_gelu_bwd";
    if (!op_has_act(s, op, "x", x, rows, cols) || !op_has_act(s, op, "dy", dy, rows, cols) ||
        !op_has_act(s, op, "dx", dx, rows, cols) || !op_same_type(s, op, x, dy) ||
        !op_same_type(s, op, x, dx) || !op_has(s, op, "bias_grad", bias_grad, cols))
        return;
    columns_plan plan = columns_plan_for(s, rows, cols, x.type);
    gpu_view partial = gpu_scratch(s, 0, 4ull * plan.chunks * cols);
    gpu_run(s, gelu_bwd, .bind = {x, dy, dx, partial},
            .push = &(struct columns_params){.rows = rows,
                                             .cols = cols,
                                             .rows_per_chunk = plan.rows_per_chunk,
                                             .chunks = plan.chunks},
            .spec = {plan.size, 0, plan.format, form == VKB_GELU_TANH}, .spec_count = 4,
            .groups = gpu_items((uint64_t)plan.blocks * plan.chunks),
            .flops = (double)FLOPS_AN_ELEMENT * rows * cols);
    columns_finish(s, partial, plan.chunks, cols, accumulate, &bias_grad, 1);
}
