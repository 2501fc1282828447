// Sums over rows, in two passes of fixed order: chunks of rows, then the chunks; see
// shaders/columns.glsl.
#include "ops/columns.h"

columns_plan columns_plan_for(const gpu_stream *s, uint32_t rows, uint32_t cols, gpu_type type)
{
    bool software = op_is_software(s);
    columns_plan plan = {.size = software ? 64 : 128, .format = op_format(type, cols)};
    plan.blocks = op_div_up(cols, 4 * plan.size);
    // Work for all cores: a software driver has few, a GPU thousands. But a chunk costs a partial
    // sum, written and read again, so it has at least 16 rows.
    uint32_t wanted = op_div_up(software ? 32 : 1024, plan.blocks);
    plan.rows_per_chunk = op_div_up(rows, wanted);
    if (plan.rows_per_chunk < 16)
        plan.rows_per_chunk = 16;
    plan.chunks = op_div_up(rows, plan.rows_per_chunk);
    return plan;
}

void columns_finish(gpu_stream *s, gpu_view partial, uint32_t chunks, uint32_t cols,
                    bool accumulate, const gpu_view *sums, uint32_t count)
{
    const bool shared = !op_is_software(s);
    const uint32_t size = shared ? op_group_for(s, 256).size : 64;
    const uint32_t fours = shared ? COLUMN_FOURS : size;
    gpu_run(s, columns_finish,
            .bind = {partial, sums[0], sums[count > 1 ? 1 : 0], sums[count > 2 ? 2 : 0]},
            .push = &(struct columns_finish_params){cols, chunks, count, accumulate},
            .spec = {size, shared, op_format(GPU_F32, cols)}, .spec_count = 3,
            .groups = gpu_items((uint64_t)count * op_div_up(cols, 4ull * fours)),
            .flops = (double)count * chunks * cols,
            .bytes = 4.0 * count * cols * (chunks + (accumulate ? 2 : 1)));
}

static void sum_columns(gpu_stream *s, const char *op, gpu_view x, gpu_view keys,
                        struct columns_params p, bool accumulate, gpu_view sums)
{
    if (!op_has_act(s, op, "x", x, p.rows, p.cols) || !op_has(s, op, "sums", sums, p.cols) ||
        (p.use_keys && !op_has(s, op, "keys", keys, p.rows)))
        return;
    columns_plan plan = columns_plan_for(s, p.rows, p.cols, x.type);
    gpu_view partial = gpu_scratch(s, 0, 4ull * plan.chunks * p.cols);
    p.rows_per_chunk = plan.rows_per_chunk;
    p.chunks = plan.chunks;
    gpu_run(s, columns_partial, .bind = {x, keys, partial}, .push = &p,
            .spec = {plan.size, 0, plan.format}, .spec_count = 3,
            .groups = gpu_items((uint64_t)plan.blocks * plan.chunks),
            .flops = (double)p.rows * p.cols);
    columns_finish(s, partial, plan.chunks, p.cols, accumulate, &sums, 1);
}

void op_sum_columns(gpu_stream *s, gpu_view x, uint32_t rows, uint32_t cols, bool accumulate,
                    gpu_view sums)
{
    static const char op[] = "op_sum_columns";
    const uint32_t part = op_rows_bound(s, rows, cols);
    if (!op_has_act(s, op, "x", x, rows, cols))
        return;
    uint32_t first = 0;
    do { // also of no rows, whose sums are zeros
        const uint32_t count = rows - first < part ? rows - first : part;
        sum_columns(s, op,
                    part == rows ? x : op_part(x, (uint64_t)first * cols, (uint64_t)count * cols),
                    (gpu_view){0}, (struct columns_params){.rows = count, .cols = cols},
                    accumulate || first > 0, sums);
        first += count;
    } while (first < rows);
}

void op_sum_columns_where(gpu_stream *s, gpu_view x, uint32_t rows, uint32_t cols, gpu_view keys,
                          uint32_t select, bool accumulate, gpu_view sums)
{
    struct columns_params p = {.rows = rows, .cols = cols, .select = select, .use_keys = 1};
    sum_columns(s, "op_sum_columns_where", x, keys, p, accumulate, sums);
}
