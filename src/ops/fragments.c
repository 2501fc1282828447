// Fragments of cooperative matrices (VK_KHR_cooperative_matrix), of 16-bit operands with fp32 sums: what a
// device has of them, and by subgroups of which size.
#include "ops/internal.h"

#include <string.h>

// Integrated GPUs with subgroups as small as 8, Intel's before Xe2, have no units: the driver makes loops
// of them, which compile for minutes.
bool op_has_fragments(const vkb_device_info *info, gpu_type type)
{
    return type != GPU_F32 && info->full_subgroups &&
           (info->type != VKB_INTEGRATED || info->min_subgroup_size > 8) &&
           (type == GPU_F16 ? info->matrix_fp16 : info->matrix_bf16);
}

bool op_fragment_fits(const vkb_cooperative_matrix *f, gpu_type type)
{
    const char *element = type == GPU_F16 ? "f16" : "bf16";
    return strcmp(f->a, element) == 0 && strcmp(f->b, element) == 0 && strcmp(f->c, "f32") == 0 &&
           strcmp(f->result, "f32") == 0 && f->m % 8 == 0 && f->n % 8 == 0 && f->k % 8 == 0;
}

// Larger subgroups hold less an invocation; but where they may be as small as 8 or 16, drivers have been
// seen to keep matrices by the smallest only.
op_lanes op_fragment_lanes(const vkb_device_info *info)
{
    const uint32_t least = info->min_subgroup_size, usual = info->subgroup_size;
    return (op_lanes){{least < 32 ? least : usual, least < 32 ? usual : least}};
}
