// Rows picked by an index, and put back: the MLM head works on the masked tokens only.
#include "ops/internal.h"

void op_gather(gpu_stream *s, gpu_view index, gpu_view x, uint32_t count, uint32_t cols, gpu_view y)
{
    if (!op_has(s, "gather", "index", index, count) || !op_has(s, "gather", "x", x, cols) ||
        !op_has(s, "gather", "y", y, (uint64_t)count * cols))
        return;
    gpu_run(s, gather_rows, .bind = {index, x, y},
            .push = &(struct rows_params){.rows = count, .cols = cols},
            .spec = {op_group_for(s, cols).size}, .spec_count = 1, .groups = gpu_items(count),
            .bytes = 4.0 * count * (1 + 2.0 * cols)); // index, rows in, rows out
}

void op_scatter(gpu_stream *s, gpu_view index, gpu_view dy, uint32_t count, uint32_t rows,
                uint32_t cols, bool accumulate, gpu_view dx)
{
    if (!op_has(s, "scatter", "index", index, count) ||
        !op_has(s, "scatter", "dy", dy, (uint64_t)count * cols) ||
        !op_has(s, "scatter", "dx", dx, (uint64_t)rows * cols))
        return;
    dx.bytes = 4ull * rows * cols;
    if (!accumulate)
        gpu_fill(s, dx, 0);
    gpu_run(s, scatter_rows, .bind = {index, dy, dx},
            .push = &(struct rows_params){.rows = count, .cols = cols},
            .spec = {op_group_for(s, cols).size}, .spec_count = 1, .groups = gpu_items(count),
            .bytes = 4.0 * count * (1 + 3.0 * cols)); // index, rows in, rows added to
}
