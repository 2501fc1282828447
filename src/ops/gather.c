// Rows picked by an index, and put back: the MLM head works on the masked tokens only.
#include "ops/internal.h"

void op_index_used(gpu_stream *s, gpu_view index, uint32_t count, gpu_view used)
{
    static const char op[] = "index_used";
    if (!op_must(s, count < 1u << 24, op, "more than 2^24 entries cannot be counted in fp32") ||
        !op_has(s, op, "index", index, count) || !op_has(s, op, "used", used, 1))
        return;
    const op_group all = op_group_for(s, count);
    gpu_run(s, index_used, .bind = {index, used}, .push = &(struct rows_params){.rows = count},
            .spec = {all.size, all.one_subgroup}, .spec_count = 2, .groups = gpu_items(1));
}

void op_gather(gpu_stream *s, gpu_view index, gpu_view x, uint32_t count, uint32_t cols, gpu_view y)
{
    static const char op[] = "gather";
    if (!op_has(s, op, "index", index, count) || !op_has_act(s, op, "x", x, 1, cols) ||
        !op_has_act(s, op, "y", y, count, cols) || !op_same_type(s, op, x, y))
        return;
    gpu_run(s, gather_rows, .bind = {index, x, y},
            .push = &(struct rows_params){.rows = count, .cols = cols},
            .spec = {op_group_for(s, op_div_up(cols, 4)).size, 0, op_format(x.type, cols)},
            .spec_count = 3, .groups = gpu_items(count),
            // index, rows in, rows out
            .bytes = count * (4.0 + 2.0 * gpu_type_bytes(x.type) * cols));
}

void op_scatter(gpu_stream *s, gpu_view index, gpu_view dy, uint32_t count, uint32_t rows,
                uint32_t cols, bool accumulate, gpu_view dx)
{
    static const char op[] = "scatter";
    if (!op_has(s, op, "index", index, count) || !op_has_act(s, op, "dy", dy, count, cols) ||
        !op_has_act(s, op, "dx", dx, rows, cols) || !op_same_type(s, op, dy, dx))
        return;
    dx.bytes = gpu_type_bytes(dx.type) * rows * cols;
    if (!accumulate)
        gpu_fill(s, dx, 0);
    gpu_run(s, scatter_rows, .bind = {index, dy, dx},
            .push = &(struct rows_params){.rows = count, .cols = cols},
            .spec = {op_group_for(s, op_div_up(cols, 4)).size, 0, op_format(dx.type, cols)},
            .spec_count = 3, .groups = gpu_items(count),
            // index, rows in, rows added to
            .bytes = count * (4.0 + 3.0 * gpu_type_bytes(dx.type) * cols));
}
