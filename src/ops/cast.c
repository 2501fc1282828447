// Between fp32 and 16 bits: the weights that products read, and operands of kernels that know fp32
// alone.
#include "ops/internal.h"

void op_convert(gpu_stream *s, gpu_view from, gpu_view to, const struct convert_params *params,
                uint32_t batch)
{
    const uint32_t size = 64, turns = 8;
    gpu_groups groups =
        gpu_items(op_div_up((uint64_t)params->rows * params->cols, 4 * size * turns));
    groups.z = batch;
    gpu_run(s, convert, .bind = {from, to}, .push = params,
            .spec = {size, op_format(from.type, 4), op_format(to.type, 4), turns}, .spec_count = 4,
            .groups = groups);
}

void op_cast(gpu_stream *s, gpu_view x, uint64_t count, gpu_view y)
{
    static const char op[] = "op_cast";
    if (!op_must(s, (x.type == GPU_F32) != (y.type == GPU_F32), op,
                 "one side must be fp32, the other 16 bits") ||
        !op_must(s, count % 4 == 0 && count <= UINT32_MAX, op,
                 "the count is no multiple of 4, or beyond 2^32") ||
        !op_has_act(s, op, "x", x, 1, count) || !op_has_act(s, op, "y", y, 1, count))
        return;
    const uint32_t all = (uint32_t)count, part = op_rows_bound(s, all, 1);
    for (uint32_t first = 0, here; first < all; first += here) {
        here = all - first < part ? all - first : part;
        op_convert(s, op_part(x, first, here), op_part(y, first, here),
                   &(struct convert_params){1, here, 1, .from_ld = here, .to_ld = here}, 1);
    }
}
