// Weights packed for software drivers: how many rows of W a panel has on a device, and the way there
// and back on the host.
#include "ops/internal.h"

#include <string.h>

uint32_t op_panel(const vkb_device *dev)
{
    const uint32_t subgroup = vkb_device_get_info(dev)->subgroup_size;
    return op_device_wants_lanes(dev) && OP_PACKED_ROWS % subgroup == 0
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
