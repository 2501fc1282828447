// Matrix products, by one of two families of kernels: tiles in shared memory for GPUs, lanes that
// broadcast for software drivers, where barriers are ruinous (shaders/README.md has the numbers).
// Those have a third kernel for weights that were packed for it.
#include "ops/internal.h"

// ---- Checks ----

// A matrix of a batch, as stored.
typedef struct operand {
    const char *name;
    gpu_view view;
    uint32_t rows, cols, ld, outer, inner;
} operand;

static bool operand_fits(gpu_stream *s, const operand *o, uint32_t outer, uint32_t inner)
{
    if (!op_must(s, o->ld >= o->cols, "op_matmul", "rows overlap, lda, ldb or ldc is too small"))
        return false;
    if (o->rows == 0 || o->cols == 0)
        return true;
    uint64_t last = (uint64_t)(outer - 1) * o->outer + (uint64_t)(inner - 1) * o->inner +
                    (uint64_t)(o->rows - 1) * o->ld + o->cols;
    return op_must(s, last <= UINT32_MAX, "op_matmul", "an operand has more than 2^32 elements") &&
           op_has(s, "op_matmul", o->name, o->view, last);
}

// Fills in the defaults of p and checks it; false: the stream has failed.
static bool prepare(gpu_stream *s, op_matmul_params *p, operand *a, operand *b)
{
    if (p->batch.outer == 0)
        p->batch.outer = 1;
    if (p->batch.inner == 0)
        p->batch.inner = 1;
    if (p->alpha == 0)
        p->alpha = 1;
    if (p->ldc == 0)
        p->ldc = p->n;
    bool a_k_major = p->layout == OP_TN, b_k_major = p->layout != OP_NT;
    *a = (operand){"a",
                   p->a,
                   a_k_major ? p->k : p->m,
                   a_k_major ? p->m : p->k,
                   p->lda,
                   p->batch.a_outer,
                   p->batch.a_inner};
    *b = (operand){"b",
                   p->b,
                   b_k_major ? p->k : p->n,
                   b_k_major ? p->n : p->k,
                   p->ldb,
                   p->batch.b_outer,
                   p->batch.b_inner};
    if (a->ld == 0)
        a->ld = a->cols;
    if (b->ld == 0)
        b->ld = b->cols;
    operand c = {"c", p->c, p->m, p->n, p->ldc, p->batch.c_outer, p->batch.c_inner};
    uint32_t outer = p->batch.outer, inner = p->batch.inner;
    return op_must(s, (uint64_t)outer * inner <= 65535 && p->m <= 65535 * 16 && p->n <= 65535 * 16,
                   "op_matmul",
                   "more than 65,535 workgroups on an axis: batch, m or n is too large") &&
           operand_fits(s, a, outer, inner) && operand_fits(s, b, outer, inner) &&
           operand_fits(s, &c, outer, inner) &&
           (!p->bias.buffer || op_has(s, "op_matmul", "bias", p->bias, p->n));
}

// ---- Kernels ----

static struct matmul_params push_of(const op_matmul_params *p, const operand *a, const operand *b)
{
    return (struct matmul_params){.m = p->m,
                                  .n = p->n,
                                  .k = p->k,
                                  .lda = a->ld,
                                  .ldb = b->ld,
                                  .ldc = p->ldc,
                                  .inner = p->batch.inner,
                                  .a_outer = a->outer,
                                  .a_inner = a->inner,
                                  .b_outer = b->outer,
                                  .b_inner = b->inner,
                                  .c_outer = p->batch.c_outer,
                                  .c_inner = p->batch.c_inner,
                                  .alpha = p->alpha,
                                  .accumulate = p->accumulate,
                                  .has_bias = p->bias.buffer != NULL};
}

static double flops_of(const op_matmul_params *p)
{
    return 2.0 * p->m * p->n * p->k * p->batch.outer * p->batch.inner;
}

// c is read only where it is added to.
static double bytes_of(const op_matmul_params *p, const operand *a, const operand *b)
{
    return (double)a->view.bytes + (double)b->view.bytes + (double)p->bias.bytes +
           (double)p->c.bytes * (p->accumulate ? 2 : 1);
}

static void run_tile(gpu_stream *s, const op_matmul_params *p, const operand *a, const operand *b)
{
    const vkb_device_info *info = vkb_device_get_info(gpu_stream_device(s));
    uint32_t tile_m = info->max_workgroup_invocations >= 256 ? 64 : 32; // Vulkan promises 128
    struct matmul_params push = push_of(p, a, b);
    gpu_run(
        s, matmul_tile, .bind = {a->view, b->view, p->bias, p->c}, .push = &push,
        .spec = {4 * tile_m, tile_m, p->layout == OP_TN, p->layout != OP_NT}, .spec_count = 4,
        .groups = {op_div_up(p->n, 64), op_div_up(p->m, tile_m), p->batch.outer * p->batch.inner},
        .flops = flops_of(p), .bytes = bytes_of(p, a, b));
}

// The operand with its axes exchanged, densely, in scratch.
static void make_k_major(gpu_stream *s, const op_matmul_params *p, operand *o, uint32_t slot)
{
    uint32_t batch = p->batch.outer * p->batch.inner, each = o->rows * o->cols;
    gpu_view to = gpu_scratch(s, slot, 4ull * each * batch);
    const uint32_t size = 64;
    gpu_run(s, transpose, .bind = {o->view, to},
            .push = &(struct transpose_params){o->rows, o->cols, o->ld, p->batch.inner, o->outer,
                                               o->inner},
            .spec = {size}, .spec_count = 1,
            .groups = {op_div_up(o->rows, size), op_div_up(o->cols, 16), batch});
    *o = (operand){o->name, to, o->cols, o->rows, o->rows, each * p->batch.inner, each};
}

// Rows an invocation sums: the more the fewer loads, but rows beyond m are wasted.
static uint32_t lanes_rows(uint32_t m, uint32_t subgroup)
{
    static const struct {
        uint32_t rows;
        double cost; // of a row, measured: shaders/README.md
    } choice[] = {{64, 1}, {48, 1}, {32, 1.15}, {16, 1.45}};
    uint32_t best = 64;
    double least = 0;
    for (size_t i = 0; i < BASE_COUNT(choice); i++) {
        uint32_t rows = choice[i].rows;
        double cost = choice[i].cost * rows * op_div_up(m, rows);
        if (rows % subgroup == 0 && (least == 0 || cost < least)) {
            least = cost;
            best = rows;
        }
    }
    return best;
}

static void run_lanes(gpu_stream *s, const op_matmul_params *p, operand *a, operand *b)
{
    if (p->layout != OP_TN)
        make_k_major(s, p, a, 0);
    if (p->layout == OP_NT)
        make_k_major(s, p, b, 1);
    uint32_t subgroup = vkb_device_get_info(gpu_stream_device(s))->subgroup_size;
    uint32_t size = subgroup > 16 ? subgroup : 16, columns = 4, rows = lanes_rows(p->m, subgroup);
    struct matmul_params push = push_of(p, a, b);
    gpu_run(s, matmul_lanes, .bind = {a->view, b->view, p->bias, p->c}, .push = &push,
            .spec = {size, subgroup, rows, columns, p->accumulate}, .spec_count = 5,
            .groups = {op_div_up(p->n, size * columns), op_div_up(p->m, rows),
                       p->batch.outer * p->batch.inner},
            .flops = flops_of(p), .bytes = bytes_of(p, a, b));
}

static void run_packed(gpu_stream *s, const op_matmul_params *p, const operand *a, const operand *b)
{
    const uint32_t subgroup = vkb_device_get_info(gpu_stream_device(s))->subgroup_size;
    if (!op_must(s, p->b_panel == op_panel(gpu_stream_device(s)), "op_matmul",
                 "b is packed for another device") ||
        !op_must(s,
                 p->layout == OP_NT && p->k % 4 == 0 && a->ld % 4 == 0 && b->ld == p->k &&
                     !p->accumulate && p->batch.outer * p->batch.inner == 1,
                 "op_matmul", "b is packed: only one dense product x W^T of fours can be had"))
        return;
    struct matmul_params push = push_of(p, a, b);
    gpu_run(s, matmul_packed, .bind = {a->view, b->view, p->bias, p->c}, .push = &push,
            .spec = {subgroup, subgroup, OP_PACKED_ROWS, OP_PACKED_COLUMNS}, .spec_count = 4,
            .groups = {op_div_up(p->n, p->b_panel), op_div_up(p->m, OP_PACKED_ROWS), 1},
            .flops = flops_of(p), .bytes = bytes_of(p, a, b));
}

void op_matmul_bound(gpu_stream *s, const op_matmul_params *params)
{
    op_matmul_params p = *params;
    operand a, b;
    if (!prepare(s, &p, &a, &b) || p.m == 0 || p.n == 0)
        return;
    if (p.b_panel)
        run_packed(s, &p, &a, &b);
    else if (op_wants_lanes(s))
        run_lanes(s, &p, &a, &b);
    else
        run_tile(s, &p, &a, &b);
}
