// The invocations that share a row go over it four elements a turn:
//
//     uint row = row_index();
//     if (row >= p.rows) return;                  // all that share it
//     ROW_LOOP(i, begin, end) ... x_at(i, end) ...
//         i: element of the tensor, end: that of the row's end
//
// Grid: op_rows_for (src/ops/internal.h).
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#include "index.glsl"
#include "reduce.glsl"
#include "row4.glsl"

layout(local_size_x_id = 0) in;

uint row_index()
{
    if (SHARED_BY == 2)
        return group_index() * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    return group_index();
}

uint row_first()
{
    return SHARED_BY == 2 ? 0 : 4 * gl_LocalInvocationID.x;
}

uint row_step()
{
    return SHARED_BY == 2 ? 4 : 4 * gl_WorkGroupSize.x;
}

#define ROW_LOOP(i, begin, end) for (uint i = (begin) + row_first(); i < (end); i += row_step())
