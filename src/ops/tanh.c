// tanh, pointwise: the pooler's activation.
#include "ops/internal.h"

enum { FLOPS_AN_ELEMENT = 20 };

void op_tanh_fwd(gpu_stream *s, gpu_view x, uint32_t count, gpu_view y)
{
    if (!op_has(s, "op_tanh_fwd", "x", x, count) || !op_has(s, "op_tanh_fwd", "y", y, count))
        return;
    op_flat f = op_flat_for(s, count);
    gpu_run(s, tanh_fwd, .bind = {x, y}, .push = &(struct gelu_params){count},
            .spec = {f.size, f.turns, f.aligned}, .spec_count = 3, .groups = f.groups,
            .flops = (double)FLOPS_AN_ELEMENT * count);
}

void op_tanh_bwd(gpu_stream *s, gpu_view y, gpu_view dy, uint32_t count, gpu_view dx)
{
    if (!op_has(s, "op_tanh_bwd", "y", y, count) || !op_has(s, "op_tanh_bwd", "dy", dy, count) ||
        !op_has(s, "op_tanh_bwd", "dx", dx, count))
        return;
    op_flat f = op_flat_for(s, count);
    gpu_run(s, tanh_bwd, .bind = {y, dy, dx}, .push = &(struct gelu_params){count},
            .spec = {f.size, f.turns, f.aligned}, .spec_count = 3, .groups = f.groups,
            .flops = 4.0 * count);
}
