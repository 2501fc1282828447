// tanh, pointwise: the pooler's activation.
#include "ops/internal.h"

enum { FLOPS_AN_ELEMENT = 20 };

void op_tanh_fwd(gpu_stream *s, gpu_view x, uint32_t count, gpu_view y)
{
    static const char op[] = "op_tanh_fwd";
    if (!op_has_act(s, op, "x", x, 1, count) || !op_has_act(s, op, "y", y, 1, count) ||
        !op_same_type(s, op, x, y))
        return;
    op_flat f = op_flat_for(s, count, x.type);
    gpu_run(s, tanh_fwd, .bind = {x, y}, .push = &(struct gelu_params){count},
            .spec = {f.size, f.turns, f.format}, .spec_count = 3, .groups = f.groups,
            .flops = (double)FLOPS_AN_ELEMENT * count);
}

void op_tanh_bwd(gpu_stream *s, gpu_view y, gpu_view dy, uint32_t count, gpu_view dx)
{
    static const char op[] = "op_tanh_bwd";
    if (!op_has_act(s, op, "y", y, 1, count) || !op_has_act(s, op, "dy", dy, 1, count) ||
        !op_has_act(s, op, "dx", dx, 1, count) || !op_same_type(s, op, y, dy) ||
        !op_same_type(s, op, y, dx))
        return;
    op_flat f = op_flat_for(s, count, y.type);
    gpu_run(s, tanh_bwd, .bind = {y, dy, dx}, .push = &(struct gelu_params){count},
            .spec = {f.size, f.turns, f.format}, .spec_count = 3, .groups = f.groups,
            .flops = 4.0 * count);
}
