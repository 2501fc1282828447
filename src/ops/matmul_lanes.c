// Products by lanes that broadcast, for software drivers, where barriers are ruinous. The kernel wants
// the reduction's axis outermost in both operands, and fp32: what is otherwise is transposed or widened
// into scratch.
#include "ops/matmul.h"

static int rank(const vkb_device_info *info, const matmul_product *x)
{
    (void)x;
    return op_info_wants_lanes(info) ? 20 : 0;
}

static const struct {
    uint32_t rows;
    double cost; // of a row, measured: shaders/README.md
} choice[] = {{64, 1}, {48, 1}, {32, 1.15}, {16, 1.45}};

// Rows an invocation sums: the more the fewer loads, but rows beyond m are wasted.
static uint32_t best_rows(uint32_t m, uint32_t subgroup)
{
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

// Numbers: rows an invocation sums.
static void variants(const vkb_device_info *info, const matmul_product *x, matmul_list *list)
{
    const uint32_t subgroup = info->subgroup_size;
    const uint32_t best = best_rows(x->p.m, subgroup);
    matmul_offer(list, &matmul_lanes, best);
    for (size_t i = 0; i < BASE_COUNT(choice); i++)
        if (choice[i].rows != best && choice[i].rows % subgroup == 0)
            matmul_offer(list, &matmul_lanes, choice[i].rows);
}

// The operand with its axes exchanged, densely, in scratch.
static void make_k_major(gpu_stream *s, const matmul_product *x, matmul_operand *o, uint32_t slot)
{
    uint32_t each = o->rows * o->cols;
    gpu_view to = gpu_scratch(s, slot, 4ull * each * x->batch);
    const uint32_t size = 16, columns = 128; // measured: shaders/README.md
    gpu_run(s, transpose, .bind = {o->view, to},
            .push = &(struct transpose_params){o->rows, o->cols, o->ld, x->p.batch.inner, o->outer,
                                               o->inner},
            .spec = {size, columns, matmul_format(o), o->rows % 4 == 0}, .spec_count = 4,
            .groups = {op_div_up(o->rows, 4 * size), op_div_up(o->cols, columns), x->batch});
    *o = (matmul_operand){o->name, to, o->cols, o->rows, o->rows, each * x->p.batch.inner, each};
}

// The operand's elements, densely, as fp32 in scratch.
static matmul_operand wide(gpu_stream *s, const matmul_product *x, const matmul_operand *o,
                           uint32_t slot)
{
    uint32_t each = o->rows * o->cols;
    return (matmul_operand){o->name, gpu_scratch(s, slot, 4ull * each * x->batch),
                            o->rows, o->cols,
                            o->cols, each * x->p.batch.inner,
                            each};
}

// Both of one shape, in fours.
static void convert(gpu_stream *s, const matmul_product *x, const matmul_operand *from,
                    const matmul_operand *to)
{
    op_convert(s, from->view, to->view,
               &(struct convert_params){from->rows, from->cols, x->p.batch.inner, from->ld,
                                        from->outer, from->inner, to->ld, to->outer, to->inner},
               x->batch);
}

static void widen(gpu_stream *s, const matmul_product *x, matmul_operand *o, uint32_t slot)
{
    matmul_operand to = wide(s, x, o, slot);
    convert(s, x, o, &to);
    *o = to;
}

static void run(gpu_stream *s, const matmul_product *product, const uint32_t *numbers)
{
    matmul_product x = *product;
    const op_matmul_params *p = &x.p;
    if (p->layout != OP_TN)
        make_k_major(s, &x, &x.a, MATMUL_SCRATCH_A);
    else if (x.a.view.type != GPU_F32)
        widen(s, &x, &x.a, MATMUL_SCRATCH_A);
    if (p->layout == OP_NT)
        make_k_major(s, &x, &x.b, MATMUL_SCRATCH_B);
    else if (x.b.view.type != GPU_F32)
        widen(s, &x, &x.b, MATMUL_SCRATCH_B);
    const bool narrow = x.c.view.type != GPU_F32;
    if (narrow)
        x.c = wide(s, &x, &x.c, MATMUL_SCRATCH_C);
    if (narrow && p->accumulate)
        convert(s, &x, &product->c, &x.c);
    uint32_t subgroup = vkb_device_get_info(gpu_stream_device(s))->subgroup_size;
    // One subgroup of llvmpipe's: 32 columns, which narrow heads fill.
    uint32_t size = subgroup > 8 ? subgroup : 8, columns = 4, rows = numbers[0];
    struct matmul_params push = matmul_push(&x);
    const uint32_t used = !p->used.buffer ? 0 : p->layout == OP_TN ? 2 : 1;
    gpu_run(s, matmul_lanes, .bind = {x.a.view, x.b.view, p->bias, x.c.view, p->used},
            .push = &push, .spec = {size, subgroup, rows, columns, p->accumulate, used},
            .spec_count = 6,
            .groups = {op_div_up(p->n, size * columns), op_div_up(p->m, rows), x.batch},
            .flops = matmul_flops(&x), .bytes = matmul_bytes(&x));
    if (narrow)
        convert(s, &x, &x.c, &product->c);
}

const matmul_family matmul_lanes = {"lanes", rank, variants, run, NULL};
