// Checks and workgroup sizes: see internal.h.
#include "ops/internal.h"

static op_variant forced_variant = OP_VARIANT_CHOSEN;

void op_force_variant(op_variant variant)
{
    forced_variant = variant;
}

// The variants for software drivers count on subgroups that all have the size the device names.
bool op_info_is_software(const vkb_device_info *info)
{
    if (info->min_subgroup_size != info->max_subgroup_size || info->subgroup_size > 64)
        return false;
    return forced_variant == OP_VARIANT_CHOSEN ? info->type == VKB_SOFTWARE
                                               : forced_variant == OP_VARIANT_SOFTWARE;
}

bool op_is_software(const gpu_stream *s)
{
    return op_info_is_software(vkb_device_get_info(gpu_stream_device(s)));
}

// SwiftShader, whose subgroups are of 4, does not unroll loops: the lanes' sums then live in
// memory, and tiles are twice as fast in spite of their barriers.
bool op_info_wants_lanes(const vkb_device_info *info)
{
    return op_info_is_software(info) &&
           (info->subgroup_size >= 8 || forced_variant == OP_VARIANT_SOFTWARE);
}

static bool has(gpu_stream *s, const char *op, const char *what, gpu_view view, uint64_t elements)
{
    const uint64_t size = gpu_type_bytes(view.type);
    if (gpu_is_dry(s) || (view.buffer && view.bytes / size >= elements))
        return true;
    vkb_context *ctx = gpu_context(gpu_stream_device(s));
    gpu_stream_fail(s, view.buffer
                           ? vkb_fail(ctx, VKB_BAD_ARGUMENT,
                                      "%s: %s has %" PRIu64 " bytes, its shape needs "
                                      "%" PRIu64,
                                      op, what, view.bytes, size * elements)
                           : vkb_fail(ctx, VKB_BAD_ARGUMENT, "%s: %s is missing", op, what));
    return false;
}

// Fails the stream with "op: WHAT SENTENCE"; false.
static bool wrong(gpu_stream *s, const char *op, const char *what, const char *sentence)
{
    gpu_stream_fail(s, vkb_fail(gpu_context(gpu_stream_device(s)), VKB_BAD_ARGUMENT, "%s: %s %s",
                                op, what, sentence));
    return false;
}

bool op_has(gpu_stream *s, const char *op, const char *what, gpu_view view, uint64_t elements)
{
    if (view.type != GPU_F32)
        return wrong(s, op, what, "has elements of 16 bits, expected 32");
    return has(s, op, what, view, elements);
}

bool op_has_act(gpu_stream *s, const char *op, const char *what, gpu_view view, uint64_t rows,
                uint64_t cols)
{
    if (view.type != GPU_F32 && cols % 4)
        return wrong(s, op, what, "has 16-bit rows of a length that is no multiple of 4");
    return has(s, op, what, view, rows * cols);
}

bool op_same_type(gpu_stream *s, const char *op, gpu_view a, gpu_view b)
{
    return a.type == b.type || wrong(s, op, "its activations", "have different types");
}

bool op_has_scaling(gpu_stream *s, const char *op, const op_scaling *scaling)
{
    return scaling->unit == 0 ||
           op_has(s, op, "loss_scale", scaling->state, sizeof(struct loss_scale) / 4);
}

uint32_t op_format(gpu_type type, uint64_t cols)
{
    return type == GPU_F32 ? cols % 4 == 0 : type == GPU_F16 ? 2 : 3;
}

bool op_must(gpu_stream *s, bool ok, const char *op, const char *sentence)
{
    if (!ok)
        gpu_stream_fail(s, vkb_fail(gpu_context(gpu_stream_device(s)), VKB_BAD_ARGUMENT, "%s: %s",
                                    op, sentence));
    return ok;
}

uint32_t op_rows_bound(const gpu_stream *s, uint32_t rows, uint64_t cols)
{
    const uint64_t most = gpu_binding_limit(gpu_stream_device(s)) / (4 * cols);
    return rows <= most || most < 64 ? rows : (uint32_t)(most - most % 64);
}

op_group op_group_for(const gpu_stream *s, uint32_t items)
{
    const vkb_device_info *info = vkb_device_get_info(gpu_stream_device(s));
    if (op_is_software(s))
        return (op_group){info->subgroup_size, 1};
    uint32_t size = 32;
    while (size < items && size * 2 <= 256 && size * 2 <= info->max_workgroup_invocations)
        size *= 2;
    return (op_group){size, 0};
}

// On software drivers an invocation has its row alone, and pointwise kernels loop:
// shaders/README.md.
op_rows op_rows_for(const gpu_stream *s, uint32_t rows, uint32_t cols, gpu_type type)
{
    const uint32_t format = op_format(type, cols);
    if (op_is_software(s))
        return (op_rows){16, 2, format, gpu_items(op_div_up(rows, 16))};
    op_group g = op_group_for(s, op_div_up(cols, 4));
    return (op_rows){g.size, g.one_subgroup, format, gpu_items(rows)};
}

op_flat op_flat_for(const gpu_stream *s, uint64_t count, gpu_type type)
{
    const vkb_device_info *info = vkb_device_get_info(gpu_stream_device(s));
    op_flat f = {.size = info->max_workgroup_invocations < 256 ? 128 : 256, // 128: Vulkan's least
                 .turns = op_is_software(s) ? 8 : 1,
                 .format = op_format(type, count)};
    f.groups = gpu_items(op_div_up(count, 4ull * f.size * f.turns));
    return f;
}
