// AdamW, one run over all parameters of a slab.
#include "ops/internal.h"

void op_adamw_step(gpu_stream *s, const op_adamw *a)
{
    static const char op[] = "adamw";
    if (!op_must(s, a->count <= UINT32_MAX, op, "more than 2^32 elements in one slab") ||
        !op_has(s, op, "step", a->step, sizeof(struct step_in) / 4) ||
        !op_has(s, op, "step_out", a->step_out, sizeof(struct step_out) / 4) ||
        !op_has(s, op, "weights", a->weights, a->count) ||
        !op_has(s, op, "grads", a->grads, a->count) || !op_has(s, op, "m", a->m, a->count) ||
        !op_has(s, op, "v", a->v, a->count))
        return;
    op_flat f = op_flat_for(s, a->count);
    gpu_run(s, adamw, .bind = {a->step, a->step_out, a->weights, a->grads, a->m, a->v},
            .push = &(struct adamw_params){.count = (uint32_t)a->count,
                                           .beta1 = a->beta1,
                                           .beta2 = a->beta2,
                                           .eps = a->eps,
                                           .weight_decay = a->weight_decay},
            .spec = {f.size, f.turns, f.aligned}, .spec_count = 3, .groups = f.groups,
            .flops = 15.0 * (double)a->count);
}
