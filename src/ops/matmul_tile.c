// Products by tiles in shared memory: the plain family, for every device and shape.
#include "ops/matmul.h"

static int rank(const vkb_device_info *info, const matmul_product *x)
{
    (void)info, (void)x;
    return 10;
}

// Numbers: rows of a tile.
static void variants(const vkb_device_info *info, const matmul_product *x, matmul_list *list)
{
    (void)x;
    if (info->max_workgroup_invocations >= 256)
        matmul_offer(list, &matmul_tile, 64);
    matmul_offer(list, &matmul_tile, 32); // Vulkan promises workgroups of 128
}

static void run(gpu_stream *s, const matmul_product *x, const uint32_t *numbers)
{
    const op_matmul_params *p = &x->p;
    const uint32_t tile_m = numbers[0];
    const matmul_fused f = matmul_fuse(s, x, tile_m);
    struct matmul_params push = matmul_push(x);
    const gpu_run_params run = {
        .bind = {x->a.view, x->b.view, f.bias, x->c.view, f.step, f.beside, f.second, f.partial},
        .push = &push,
        .spec = {4 * tile_m, tile_m, p->layout == OP_TN, p->layout != OP_NT, matmul_format(&x->a),
                 matmul_format(&x->b), matmul_format(&x->c), f.constant},
        .spec_count = f.constant ? 8 : 7,
        .groups = {op_div_up(p->n, 64), op_div_up(p->m, tile_m), x->batch},
        .flops = matmul_flops(x),
        .bytes = matmul_bytes(x) + matmul_fused_bytes(x, &f),
    };
    gpu_run_(s, f.constant ? GPU_matmul_tile_then : GPU_matmul_tile, &run);
    matmul_fused_end(s, x, &f);
}

static bool fuses(const vkb_device_info *info, const matmul_product *x, const uint32_t *numbers)
{
    (void)info, (void)x, (void)numbers;
    return true;
}

const matmul_family matmul_tile = {"tile", rank, variants, run, fuses};
