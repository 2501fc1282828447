// The three embeddings added up, with the LayerNorm and dropout behind them, and their gradients.
//
// Backward: many tokens share a row of a table. Word and position rows are summed over the tokens sorted
// by their keys, see shaders/scatter.glsl; the few types as sums over columns.
#include "ops/internal.h"

#include <math.h>

enum {
    PARTIAL = 0, // scratch slots
    SORTED = 3,
    TYPE_ROW = 3,
};

static bool embedding_checks(gpu_stream *s, const char *op, const op_embedding *e)
{
    return op_has(s, op, "ids", e->ids, e->tokens) && op_has(s, op, "types", e->types, e->tokens) &&
           op_has(s, op, "positions", e->positions, e->tokens);
}

// A table may be larger than what the device binds at once.
static uint32_t table_rows(const op_embedding *e, gpu_view table)
{
    return (uint32_t)(table.bytes / 4 / e->hidden);
}

static gpu_view table_part(const op_embedding *e, gpu_view table, uint32_t first, uint32_t count)
{
    return op_part(table, (uint64_t)first * e->hidden, (uint64_t)count * e->hidden);
}

static bool norm_checks(gpu_stream *s, const char *op, const op_embedding *e,
                        const op_embedding_norm *n)
{
    return op_dropout_checks(s, op, n->dropout) && op_has(s, op, "gain", n->gain, e->hidden) &&
           op_has(s, op, "bias", n->bias, e->hidden) &&
           op_has_act(s, op, "sum", n->sum, e->tokens, e->hidden) &&
           op_has_act(s, op, "y", n->y, e->tokens, e->hidden) &&
           op_same_type(s, op, n->sum, n->y) && op_has(s, op, "stat", n->stat, 2ull * e->tokens);
}

void op_embedding_fwd(gpu_stream *s, const op_embedding *e, const op_embedding_norm *n)
{
    static const char op[] = "embedding_fwd";
    if (!embedding_checks(s, op, e) || !op_has(s, op, "word", e->word, e->hidden) ||
        !op_has(s, op, "type", e->type, (uint64_t)e->type_count * e->hidden) ||
        !op_has(s, op, "position", e->position, e->hidden) || !norm_checks(s, op, e, n) ||
        !op_must(s, !e->word_panel || e->hidden % 4 == 0, op,
                 "a packed word table has rows of fours"))
        return;
    const uint32_t rows = table_rows(e, e->word), bound = op_rows_bound(s, rows, e->hidden);
    const uint32_t part = bound < rows && e->word_panel ? bound - bound % e->word_panel : bound;
    const bool drops = n->dropout.p > 0;
    const op_rows r = op_rows_for(s, e->tokens, e->hidden, n->y.type);
    for (uint32_t first = 0, count; first < rows; first += count) { // each token is of one part
        count = rows - first < part ? rows - first : part;
        const double share = (double)e->tokens * count / rows; // tokens of this part
        gpu_run(s, embedding_fwd,
                .bind = {drops ? n->dropout.step : e->ids, e->ids, e->types, e->positions,
                         table_part(e, e->word, first, count), e->type, e->position, n->gain,
                         n->bias, n->sum, n->y, n->stat},
                .push =
                    &(struct embedding_params){e->tokens, e->hidden, first, count, e->word_panel,
                                               n->eps, n->dropout.site, 1 - n->dropout.p},
                .spec = {r.size, r.shared_by, r.format, drops, e->word_panel != 0}, .spec_count = 5,
                .groups = r.groups,
                // A token reads a row of the word table; the rows of the others are few.
                .bytes = 12.0 * e->tokens +
                         share * (8 + (4.0 + 2 * gpu_type_bytes(n->y.type)) * e->hidden));
    }
}

// Who sums what: shaders/scatter.glsl.
typedef struct scatter_plan {
    uint32_t size, fours; // specialisation constants 0 and 3
    uint32_t chunk, chunks;
    gpu_groups groups;
} scatter_plan;

// A GPU hides its memory's latency behind many short sums; a software driver's core has one at a time,
// and reads more of a row at once.
static scatter_plan scatter_plan_for(const gpu_stream *s, uint32_t tokens, uint32_t cols)
{
    const bool software = op_is_software(s);
    scatter_plan plan = {.size = op_group_for(s, 64).size, .fours = 1, .chunk = software ? 64 : 32};
    while (software && 4 * plan.fours * plan.size < 128 && cols % (8 * plan.fours * plan.size) == 0)
        plan.fours *= 2;
    plan.chunks = op_div_up(tokens, plan.chunk);
    plan.groups = gpu_items((uint64_t)plan.chunks * op_div_up(cols, 4ull * plan.fours * plan.size));
    return plan;
}

// table[keys[t]] += dy[t]
static void scatter_add(gpu_stream *s, const op_embedding *e, gpu_view keys, gpu_view dy,
                        gpu_view table, bool use_skip, uint32_t skip)
{
    const uint32_t rows = table_rows(e, table), part = op_rows_bound(s, rows, e->hidden);
    const scatter_plan plan = scatter_plan_for(s, e->tokens, e->hidden);
    struct scatter_params push = {.tokens = e->tokens,
                                  .cols = e->hidden,
                                  .skip = skip,
                                  .use_skip = use_skip,
                                  .chunk = plan.chunk};
    const gpu_view sorted = gpu_scratch(s, SORTED, 8ull * e->tokens);
    op_sort_keys(s, keys, e->tokens, rows, sorted);

    const gpu_view partial = gpu_scratch(s, PARTIAL, 8ull * plan.chunks * e->hidden);
    for (; push.first < rows; push.first += push.count) {
        push.count = rows - push.first < part ? rows - push.first : part;
        const gpu_view to = table_part(e, table, push.first, push.count);
        const double share = (double)push.count / rows;
        // A table's row is read and written once, not once a token; the partial sums are few.
        gpu_run(s, scatter_sum, .bind = {sorted, dy, to, partial}, .push = &push,
                .spec = {plan.size, 0, op_format(dy.type, e->hidden), plan.fours}, .spec_count = 4,
                .groups = plan.groups, .flops = share * e->tokens * e->hidden,
                .bytes = e->tokens * (8 + share * gpu_type_bytes(dy.type) * e->hidden) +
                         8.0 * e->hidden * fmin(e->tokens, push.count));
        gpu_run(s, scatter_finish, .bind = {sorted, partial, to}, .push = &push,
                .spec = {plan.size, 0, op_format(GPU_F32, e->hidden), plan.fours}, .spec_count = 4,
                .groups = plan.groups, .bytes = plan.chunks * (8 + share * 4 * e->hidden));
    }
}

// A row of the table need not start where a kernel may bind it, so the sums are taken beside it. The
// row is no gpu_part: in the dry pass no view has been checked.
static void add_type(gpu_stream *s, const op_embedding *e, gpu_view dy, uint32_t type)
{
    uint64_t bytes = 4ull * e->hidden;
    gpu_view row = {e->type_grad.buffer, e->type_grad.offset + type * bytes, bytes};
    gpu_view sums = gpu_scratch(s, TYPE_ROW, bytes);
    gpu_copy(s, row, sums);
    op_sum_columns_where(s, dy, e->tokens, e->hidden, e->types, type, true, sums);
    gpu_copy(s, sums, row);
}

void op_embedding_bwd(gpu_stream *s, const op_embedding *e, gpu_view dy)
{
    static const char op[] = "embedding_bwd";
    if (!embedding_checks(s, op, e) || !op_has(s, op, "word_grad", e->word_grad, e->hidden) ||
        !op_has(s, op, "type_grad", e->type_grad, (uint64_t)e->type_count * e->hidden) ||
        !op_has(s, op, "position_grad", e->position_grad, e->hidden) ||
        !op_has_act(s, op, "dy", dy, e->tokens, e->hidden))
        return;
    scatter_add(s, e, e->ids, dy, e->word_grad, true, e->pad_id);
    scatter_add(s, e, e->positions, dy, e->position_grad, false, 0);
    for (uint32_t type = 0; type < e->type_count; type++)
        add_type(s, e, dy, type);
}
