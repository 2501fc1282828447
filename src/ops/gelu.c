// GELU, pointwise: forward and backward, in the erf and the tanh form (shaders/gelu.glsl).
#include "ops/internal.h"

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

void op_gelu_bwd(gpu_stream *s, gpu_view x, gpu_view dy, uint32_t count, vkb_activation form,
                 gpu_view dx)
{
    static const char op[] = "op_gelu_bwd";
    if (!op_has_act(s, op, "x", x, 1, count) || !op_has_act(s, op, "dy", dy, 1, count) ||
        !op_has_act(s, op, "dx", dx, 1, count) || !op_same_type(s, op, x, dy) ||
        !op_same_type(s, op, x, dx))
        return;
    op_flat f = op_flat_for(s, count, x.type);
    gpu_run(s, gelu_bwd, .bind = {x, dy, dx}, .push = &(struct gelu_params){count},
            .spec = {f.size, f.turns, f.format, form == VKB_GELU_TANH}, .spec_count = 4,
            .groups = f.groups, .flops = (double)FLOPS_AN_ELEMENT * count);
}
