// Products by cooperative matrices of a workgroup (VK_NV_cooperative_matrix2), fp16 operands, fp32 sums.
// Prototypes on an H100 were no faster this way than by matmul_coop's, and no software driver has what
// this kernel needs: so it goes behind the plain family, for tuning to measure, once it has found its
// numbers right.
#include "ops/matmul.h"

enum { TILE_M, TILE_N, TILE_K }; // a variant's numbers
enum { SIZE = 256, BAND = 4 };   // SIZE: matmul_nv.comp says so

static const struct {
    uint32_t m, n, k;
} tiles[] = {{128, 256, 64}, {128, 128, 64}, {64, 128, 64}, {64, 64, 64}};

static int rank(const vkb_device_info *info, const matmul_product *x)
{
    const gpu_type c = x->c.view.type;
    return info->matrix_workgroup && x->a.view.type == GPU_F16 && x->b.view.type == GPU_F16 &&
                   c != GPU_BF16 && matmul_aligned(&x->a, 8) && matmul_aligned(&x->b, 8) &&
                   matmul_aligned(&x->c, 8)
               ? 5
               : 0;
}

static void variants(const vkb_device_info *info, const matmul_product *x, matmul_list *list)
{
    (void)info, (void)x;
    for (size_t i = 0; i < BASE_COUNT(tiles); i++)
        matmul_offer(list, &matmul_nv, tiles[i].m, tiles[i].n, tiles[i].k);
}

static void run(gpu_stream *s, const matmul_product *x, const uint32_t *v)
{
    const op_matmul_params *p = &x->p;
    struct matmul_params push = matmul_push(x);
    gpu_run(s, matmul_nv, .bind = {x->a.view, x->b.view, p->bias, x->c.view}, .push = &push,
            .spec = {SIZE, p->layout == OP_TN, p->layout != OP_NT, x->c.view.type == GPU_F16,
                     v[TILE_M], v[TILE_N], v[TILE_K], BAND},
            .spec_count = 8,
            .groups = {op_div_up(p->n, v[TILE_N]), op_div_up(p->m, v[TILE_M]), x->batch},
            .flops = matmul_flops(x), .bytes = matmul_bytes(x));
}

const matmul_family matmul_nv = {"nv", rank, variants, run, NULL};
