// LayerNorm over the last axis, forward and backward. Gains and biases get their gradients like
// column sums: chunks of rows, then the chunks.
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

// The second half of the partial sums begins at a multiple of 256 bytes, the largest alignment that
// Vulkan allows a device to ask of a view (shaders/layernorm_bwd_sums.comp has the same rule).
static void gain_and_bias(gpu_stream *s, gpu_view x, gpu_view stat, gpu_view dy,
                          struct columns_params p, gpu_view gain_grad, gpu_view bias_grad)
{
    columns_plan plan = columns_plan_for(s, p.rows, p.cols, x.type);
    p.rows_per_chunk = plan.rows_per_chunk;
    p.chunks = plan.chunks;
    uint64_t half = 4ull * plan.chunks * p.cols, second = (half + 255) / 256 * 256;
    gpu_view partial = gpu_scratch(s, 0, second + half);
    gpu_run(s, layernorm_bwd_sums, .bind = {x, stat, dy, partial}, .push = &p,
            .spec = {plan.size, 0, plan.format}, .spec_count = 3,
            .groups = gpu_items((uint64_t)plan.blocks * plan.chunks),
            .flops = 5.0 * p.rows * p.cols);
    columns_finish(s, &plan, gpu_part(partial, 0, half), p.cols, p.accumulate, gain_grad);
    columns_finish(s, &plan, gpu_part(partial, second, half), p.cols, p.accumulate, bias_grad);
}

void op_layernorm_bwd(gpu_stream *s, gpu_view x, gpu_view gain, gpu_view stat, gpu_view dy,
                      uint32_t rows, uint32_t cols, bool accumulate, gpu_view dx,
                      gpu_view gain_grad, gpu_view bias_grad)
{
    const char *op = "op_layernorm_bwd";
    if (!op_has_act(s, op, "x", x, rows, cols) || !op_has(s, op, "gain", gain, cols) ||
        !op_has(s, op, "stat", stat, 2ull * rows) || !op_has_act(s, op, "dy", dy, rows, cols) ||
        !op_has_act(s, op, "dx", dx, rows, cols) || !op_same_type(s, op, x, dy) ||
        !op_same_type(s, op, x, dx) || !op_has(s, op, "gain_grad", gain_grad, cols) ||
        !op_has(s, op, "bias_grad", bias_grad, cols))
        return;
    // First the sums: dx may be dy.
    gain_and_bias(s, x, stat, dy,
                  (struct columns_params){.rows = rows, .cols = cols, .accumulate = accumulate},
                  gain_grad, bias_grad);
    op_rows r = op_rows_for(s, rows, cols, x.type);
    gpu_run(s, layernorm_bwd, .bind = {x, gain, stat, dy, dx},
            .push = &(struct layernorm_params){.rows = rows, .cols = cols},
            .spec = {r.size, r.shared_by, r.format}, .spec_count = 3, .groups = r.groups,
            .flops = 12.0 * rows * cols);
}
