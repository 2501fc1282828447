// Products by lanes that broadcast, for software drivers, where barriers are ruinous. The kernel wants
// the reduction's axis outermost in both operands: what lacks it is transposed into scratch.
#include "ops/matmul.h"

static int rank(const vkb_device *dev, const matmul_product *x)
{
    (void)x;
    return op_device_wants_lanes(dev) ? 20 : 0;
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
static void variants(const vkb_device *dev, const matmul_product *x, matmul_list *list)
{
    const uint32_t subgroup = vkb_device_get_info(dev)->subgroup_size;
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
    const uint32_t size = 64;
    gpu_run(s, transpose, .bind = {o->view, to},
            .push = &(struct transpose_params){o->rows, o->cols, o->ld, x->p.batch.inner, o->outer,
                                               o->inner},
            .spec = {size}, .spec_count = 1,
            .groups = {op_div_up(o->rows, size), op_div_up(o->cols, 16), x->batch});
    *o = (matmul_operand){o->name, to, o->cols, o->rows, o->rows, each * x->p.batch.inner, each};
}

static void run(gpu_stream *s, const matmul_product *product, const uint32_t *numbers)
{
    matmul_product x = *product;
    const op_matmul_params *p = &x.p;
    if (p->layout != OP_TN)
        make_k_major(s, &x, &x.a, 0);
    if (p->layout == OP_NT)
        make_k_major(s, &x, &x.b, 1);
    uint32_t subgroup = vkb_device_get_info(gpu_stream_device(s))->subgroup_size;
    uint32_t size = subgroup > 16 ? subgroup : 16, columns = 4, rows = numbers[0];
    struct matmul_params push = matmul_push(&x);
    gpu_run(s, matmul_lanes, .bind = {x.a.view, x.b.view, p->bias, x.c.view}, .push = &push,
            .spec = {size, subgroup, rows, columns, p->accumulate}, .spec_count = 5,
            .groups = {op_div_up(p->n, size * columns), op_div_up(p->m, rows), x.batch},
            .flops = matmul_flops(&x), .bytes = matmul_bytes(&x));
}

const matmul_family matmul_lanes = {"lanes", rank, variants, run};
