// Weights packed for software drivers: how many rows of W a panel has on a device, and the way there
// and back on the host, and the products that read them.
#include "ops/matmul.h"

#include <string.h>

uint32_t op_panel(const vkb_device *dev)
{
    const uint32_t subgroup = vkb_device_get_info(dev)->subgroup_size;
    return op_info_wants_lanes(vkb_device_get_info(dev)) && OP_PACKED_ROWS % subgroup == 0
               ? OP_PACKED_COLUMNS * subgroup
               : 0;
}

void op_pack(const float *from, uint32_t rows, uint32_t cols, float *to)
{
    for (uint32_t four = 0; four < cols / 4; four++)
        for (uint32_t row = 0; row < rows; row++, to += 4)
            memcpy(to, from + (size_t)row * cols + 4 * (size_t)four, 4 * sizeof(*to));
}

void op_unpack(const float *from, uint32_t rows, uint32_t cols, float *to)
{
    for (uint32_t four = 0; four < cols / 4; four++)
        for (uint32_t row = 0; row < rows; row++, from += 4)
            memcpy(to + (size_t)row * cols + 4 * (size_t)four, from, 4 * sizeof(*to));
}

void matmul_run_packed(gpu_stream *s, const matmul_product *x)
{
    const op_matmul_params *p = &x->p;
    const uint32_t subgroup = vkb_device_get_info(gpu_stream_device(s))->subgroup_size;
    if (!op_must(s, p->b_panel == op_panel(gpu_stream_device(s)), "op_matmul",
                 "b is packed for another device") ||
        !op_must(s,
                 x->a.view.type == GPU_F32 && x->b.view.type == GPU_F32 &&
                     x->c.view.type == GPU_F32 && p->layout == OP_NT && p->k % 4 == 0 &&
                     x->a.ld % 4 == 0 && x->b.ld == p->k && !p->accumulate && x->batch == 1,
                 "op_matmul",
                 "b is packed: only one dense product x W^T of fours in fp32 can be had"))
        return;
    struct matmul_params push = matmul_push(x);
    gpu_run(s, matmul_packed, .bind = {x->a.view, x->b.view, p->bias, x->c.view}, .push = &push,
            .spec = {subgroup, subgroup, OP_PACKED_ROWS, OP_PACKED_COLUMNS}, .spec_count = 4,
            .groups = {op_div_up(p->n, p->b_panel), op_div_up(p->m, OP_PACKED_ROWS), 1},
            .flops = matmul_flops(x), .bytes = matmul_bytes(x));
}
