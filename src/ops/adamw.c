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
        !op_has(s, op, "v", a->v, a->count) ||
        (a->copy.buffer && !op_has_act(s, op, "copy", a->copy, 1, a->count)))
        return;
    const uint32_t all = (uint32_t)a->count, part = op_rows_bound(s, all, 1);
    for (uint32_t first = 0, count; first < all; first += count) {
        count = all - first < part ? all - first : part;
        op_flat f = op_flat_for(s, count, a->copy.type);
        gpu_run(s, adamw,
                .bind = {a->step, a->step_out, op_part(a->weights, first, count),
                         op_part(a->grads, first, count), op_part(a->m, first, count),
                         op_part(a->v, first, count),
                         a->copy.buffer ? op_part(a->copy, first, count) : a->copy},
                .push = &(struct adamw_params){.count = count,
                                               .beta1 = a->beta1,
                                               .beta2 = a->beta2,
                                               .eps = a->eps,
                                               .weight_decay = a->weight_decay},
                .spec = {f.size, f.turns, f.format}, .spec_count = 3, .groups = f.groups,
                .flops = 15.0 * count);
    }
}
