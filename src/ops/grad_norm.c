// The global gradient norm and the clipping factor: squares are summed in chunks, then the chunks'
// sums, both in a fixed order.
#include "ops/internal.h"

enum {
    GRAD_NORM_SCRATCH = 3,
    GRAD_NORM_CHUNK =
        32768, // elements: enough chunks for a GPU, few enough for one workgroup to add
};

// A slab that is larger than one binding is summed in parts, each in chunks of its own.
static uint64_t chunks_of(const gpu_stream *s, uint32_t count)
{
    const uint32_t part = op_rows_bound(s, count, 1);
    return part ? (uint64_t)(count / part) * op_div_up(part, GRAD_NORM_CHUNK) +
                      op_div_up(count % part, GRAD_NORM_CHUNK)
                : 0;
}

void op_grad_norm(gpu_stream *s, const gpu_view *grads, uint32_t grad_count, bool of_pairs,
                  const op_scaling *scaling, gpu_view step, gpu_view step_out)
{
    static const char op[] = "grad_norm";
    uint64_t chunks = 0;
    for (uint32_t i = 0; i < grad_count; i++) {
        if (!op_has(s, op, "a slab of gradients", grads[i], 1) ||
            !op_must(s, grads[i].bytes / 4 <= UINT32_MAX, op, "a slab is too large"))
            return;
        chunks += chunks_of(s, (uint32_t)(grads[i].bytes / 4));
    }
    if (!op_must(s, chunks > 0 && chunks <= UINT32_MAX, op, "there are no gradients") ||
        !op_has(s, op, "step", step, sizeof(struct step_in) / 4) ||
        !op_has(s, op, "step_out", step_out, sizeof(struct step_out) / 4) ||
        !op_has_scaling(s, op, scaling))
        return;

    gpu_view partial = gpu_scratch(s, GRAD_NORM_SCRATCH, 4 * chunks);
    op_group g = op_group_for(s, GRAD_NORM_CHUNK);
    uint32_t first = 0;
    for (uint32_t i = 0; i < grad_count; i++) {
        const uint32_t all = (uint32_t)(grads[i].bytes / 4), part = op_rows_bound(s, all, 1);
        for (uint32_t at = 0, count; at < all; at += count) {
            count = all - at < part ? all - at : part;
            struct sum_params push = {count, GRAD_NORM_CHUNK, first};
            const uint32_t here = op_div_up(count, GRAD_NORM_CHUNK);
            gpu_run(s, square_sum, .bind = {op_part(grads[i], at, count), partial}, .push = &push,
                    .spec = {g.size, g.one_subgroup}, .spec_count = 2, .groups = gpu_items(here),
                    .flops = 2.0 * count);
            first += here;
        }
    }
    gpu_run(s, grad_norm, .bind = {step, partial, step_out, scaling->state},
            .push =
                &(struct sum_params){.count = first, .of_pairs = of_pairs, .unit = scaling->unit},
            .spec = {g.size, g.one_subgroup}, .spec_count = 2, .groups = gpu_items(1));
}
