// GELU, pointwise: forward and backward, in the erf and the tanh form (shaders/gelu.glsl).
#include "ops/internal.h"

enum { FLOPS_AN_ELEMENT = 30 };

void op_gelu_fwd(gpu_stream *s, gpu_view x, uint32_t count, vkb_activation form, gpu_view y)
{
    if (!op_has(s, "op_gelu_fwd", "x", x, count) || !op_has(s, "op_gelu_fwd", "y", y, count))
        return;
    op_flat f = op_flat_for(s, count);
    gpu_run(s, gelu_fwd, .bind = {x, y}, .push = &(struct gelu_params){count},
            .spec = {f.size, f.turns, f.aligned, form == VKB_GELU_TANH}, .spec_count = 4,
            .groups = f.groups, .flops = (double)FLOPS_AN_ELEMENT * count);
}

void op_gelu_bwd(gpu_stream *s, gpu_view x, gpu_view dy, uint32_t count, vkb_activation form,
                 gpu_view dx)
{
    if (!op_has(s, "op_gelu_bwd", "x", x, count) || !op_has(s, "op_gelu_bwd", "dy", dy, count) ||
        !op_has(s, "op_gelu_bwd", "dx", dx, count))
        return;
    op_flat f = op_flat_for(s, count);
    gpu_run(s, gelu_bwd, .bind = {x, dy, dx}, .push = &(struct gelu_params){count},
            .spec = {f.size, f.turns, f.aligned, form == VKB_GELU_TANH}, .spec_count = 4,
            .groups = f.groups, .flops = (double)FLOPS_AN_ELEMENT * count);
}
