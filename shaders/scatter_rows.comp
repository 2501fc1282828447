// dx[index[i]] += dy[i], the backward of gather_rows. Rows that no index names are not touched.
//
//   0  index  u32[rows]        in, each at most once; OP_NONE: no row
//   1  dy     act[rows][cols]  in         constants: 0 local size, 2 FORMAT (row4.glsl)
//   2  dx     act[any][cols]   added to   grid: one workgroup a row
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "index.glsl"
#include "row4.glsl"

layout(local_size_x_id = 0) in;
layout(set = 0, binding = 0) readonly buffer index_buffer { uint index[]; };
ACT4_IN(1, dy)
ACT4_INOUT(2, dx)
layout(push_constant) uniform push { rows_params p; };

void main()
{
    uint row = group_index();
    if (row >= p.rows)
        return;
    uint to = index[row];
    if (to == OP_NONE)
        return;
    for (uint c = 4 * gl_LocalInvocationID.x; c < p.cols; c += 4 * gl_WorkGroupSize.x) {
        uint i = to * p.cols + c, end = (to + 1) * p.cols;
        dx_put(i, end, dx_at(i, end) + dy_at(row * p.cols + c, (row + 1) * p.cols));
    }
}
