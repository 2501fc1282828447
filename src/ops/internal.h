// What the operations share: checks before anything is recorded, and the choice of workgroups.
#ifndef VKB_OPS_INTERNAL_H
#define VKB_OPS_INTERNAL_H

#include "ops/ops.h"

#include <inttypes.h>

static inline uint32_t op_div_up(uint64_t count, uint64_t part)
{
    return (uint32_t)((count + part - 1) / part);
}

// Software drivers (llvmpipe, SwiftShader) want the reverse of what a GPU wants: shaders/README.md.
// True on them, or where op_force_variant says so.
bool op_is_software(const gpu_stream *s);
bool op_info_is_software(const vkb_device_info *info);

// Products by matmul_lanes rather than matmul_tile?
bool op_info_wants_lanes(const vkb_device_info *info);

// fragments.c: cooperative matrices of two operands of this type and fp32 sums. Does the device
// hold any; is f one, its sides multiples of eight; which sizes of subgroups are worth trying, the
// best guess first.
bool op_has_fragments(const vkb_device_info *info, gpu_type type);
bool op_fragment_fits(const vkb_cooperative_matrix *f, gpu_type type);
typedef struct op_lanes {
    uint32_t sizes[2]; // they may be the same
} op_lanes;
op_lanes op_fragment_lanes(const vkb_device_info *info);

// What a workgroup of matmul_packed, one subgroup, computes: rows of y, and columns a lane.
enum { OP_PACKED_ROWS = 16, OP_PACKED_COLUMNS = 8 };

// Fails the stream with "op: what has N bytes, its shape needs M" unless the view holds `elements`
// values of 4 bytes. In the dry pass, where scratch is not there yet, nothing is checked.
bool op_has(gpu_stream *s, const char *op, const char *what, gpu_view view, uint64_t elements);

// The same for an activation, [rows][cols] of any type: kernels read 16-bit ones in fours, so that
// their rows must be multiples of four.
bool op_has_act(gpu_stream *s, const char *op, const char *what, gpu_view view, uint64_t rows,
                uint64_t cols);
// Fails the stream unless both are of one type.
bool op_same_type(gpu_stream *s, const char *op, gpu_view a, gpu_view b);

// That the state is there if gradients are scaled.
bool op_has_scaling(gpu_stream *s, const char *op, const op_scaling *scaling);

// Specialisation constant 2 of kernels that go over activations in fours (shaders/row4.glsl): their
// type, and for fp32 whether rows of `cols` begin and end at a multiple of four.
uint32_t op_format(gpu_type type, uint64_t cols);

// Fails the stream with "op: " and the sentence, unless ok.
bool op_must(gpu_stream *s, bool ok, const char *op, const char *sentence);

// A probability within 0 and 1, and a step where it is not 0.
bool op_dropout_checks(gpu_stream *s, const char *op, op_dropout d);

// layernorm.c: the checks of op_residual_norm_fwd.
bool op_residual_norm_fits(gpu_stream *s, const op_residual_norm *n);

// Of `rows` rows of `cols` values of 4 bytes, how many a kernel may bind at once: all, or a
// multiple of 64, so that the next part starts where any device may bind it.
uint32_t op_rows_bound(const gpu_stream *s, uint32_t rows, uint64_t cols);
// The view of elements first .. first + count - 1, unchecked: in the dry pass no view is.
static inline gpu_view op_part(gpu_view view, uint64_t first, uint64_t count)
{
    const uint64_t size = gpu_type_bytes(view.type);
    return (gpu_view){view.buffer, view.offset + size * first, size * count, view.type};
}

// cast.c: a run of the kernel convert, of any types and strides, over `batch` matrices.
void op_convert(gpu_stream *s, gpu_view from, gpu_view to, const struct convert_params *params,
                uint32_t batch);

// matmul.c: a product each of whose operands can be bound at once.
void op_matmul_bound(gpu_stream *s, const op_matmul_params *params);

// Kernels with one workgroup a row or chunk, whose invocations share `items`: on software drivers
// the workgroup is one subgroup and needs no barrier, else a power of two up to 256. Specialisation
// constants 0 and 1 of such kernels (shaders/reduce.glsl):
//     .spec = {g.size, g.one_subgroup}, .spec_count = 2, .groups = gpu_items(rows)
typedef struct op_group {
    uint32_t size, one_subgroup;
} op_group;
op_group op_group_for(const gpu_stream *s, uint32_t items);

// Kernels of shaders/rows.glsl, over rows of `cols` activations: who shares a row, and the grid for
// `rows`. On software drivers an invocation has its row alone. Specialisation constants 0 to 2:
//     .spec = {r.size, r.shared_by, r.format}, .spec_count = 3, .groups = r.groups
typedef struct op_rows {
    uint32_t size, shared_by, format;
    gpu_groups groups;
} op_rows;
op_rows op_rows_for(const gpu_stream *s, uint32_t rows, uint32_t cols, gpu_type type);

// Pointwise kernels: an invocation works on `turns` vec4s, a workgroup's size apart (shaders/
// four.glsl). Specialisation constants 0 to 2 of such kernels:
//     .spec = {f.size, f.turns, f.format}, .spec_count = 3, .groups = f.groups
typedef struct op_flat {
    uint32_t size, turns, format;
    gpu_groups groups;
} op_flat;
op_flat op_flat_for(const gpu_stream *s, uint64_t count, gpu_type type);

#endif
