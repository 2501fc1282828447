// Products with a small result and a long sum, as gradients of weights are: too few tiles to keep a large
// GPU busy. Parts of the sum are products of a batch, in scratch; a second kernel adds them in their order.
// Any family computes the parts: to it they are a batch whose operands lie along k.
#include "ops/matmul.h"

enum {
    TILE = 128,         // the largest tiles of any family
    ENOUGH_TILES = 192, // no more workgroups than that are wanted: figures of one H100, 132 units
    LEAST_K = 512,      // of a part
    MOST_PARTS = 16,
};

uint32_t matmul_parts(const vkb_device_info *info, const matmul_product *x)
{
    const uint64_t tiles = (uint64_t)op_div_up(x->p.m, TILE) * op_div_up(x->p.n, TILE);
    uint32_t parts = 1;
    if (op_info_is_software(info) || x->batch != 1)
        return 1;
    while (2 * parts <= MOST_PARTS && 2 * parts * tiles <= ENOUGH_TILES &&
           x->p.k / (2 * parts) >= LEAST_K && x->p.k % (2 * parts * 8) == 0)
        parts *= 2;
    return parts;
}

matmul_product matmul_part(const matmul_product *x, uint32_t parts)
{
    matmul_product y = *x;
    op_matmul_params *p = &y.p;
    const bool a_k_major = p->layout == OP_TN, b_k_major = p->layout != OP_NT;
    p->k /= parts;
    p->alpha = 1;
    p->accumulate = false;
    p->bias = (gpu_view){0};
    p->lda = x->a.ld;
    p->ldb = x->b.ld;
    p->ldc = p->n;
    p->c = (gpu_view){0};
    p->batch.outer = 1;
    p->batch.inner = parts;
    p->batch.a_inner = a_k_major ? p->k * p->lda : p->k;
    p->batch.b_inner = b_k_major ? p->k * p->ldb : p->k;
    p->batch.c_inner = p->m * p->n;
    return matmul_product_of(p);
}

void matmul_run_parts(gpu_stream *s, const matmul_product *x, const matmul_family *family,
                      const uint32_t *numbers)
{
    const op_matmul_params *p = &x->p;
    const uint32_t parts = numbers[MATMUL_PARTS], size = 128;
    matmul_product y = matmul_part(x, parts);
    y.p.c = y.c.view = gpu_scratch(s, MATMUL_SCRATCH_C, 4ull * parts * p->m * p->n);
    family->run(s, &y, numbers);
    gpu_run(s, matmul_sum, .bind = {y.c.view, p->bias, x->c.view},
            .push = &(struct matmul_sum_params){p->m, p->n, x->c.ld, parts, p->alpha, p->accumulate,
                                                p->bias.buffer != NULL},
            .spec = {size, matmul_format(&x->c)}, .spec_count = 2,
            .groups = gpu_items(op_div_up((uint64_t)p->m * op_div_up(p->n, 4), size)));
}
