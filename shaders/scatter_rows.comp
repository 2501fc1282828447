// dx[index[i]] += dy[i], the backward of gather_rows. Rows that no index names are not touched.
//
//   0  index  u32[rows]        in, each at most once; OP_NONE: no row
//   1  dy     f32[rows][cols]  in         constants: 0 local size
//   2  dx     f32[any][cols]   added to   grid: one workgroup a row
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "index.glsl"

layout(local_size_x_id = 0) in;
layout(set = 0, binding = 0) readonly buffer index_buffer { uint index[]; };
layout(set = 0, binding = 1) readonly buffer dy_buffer { float dy[]; };
layout(set = 0, binding = 2) buffer dx_buffer { float dx[]; };
layout(push_constant) uniform push { rows_params p; };

void main()
{
    uint row = group_index();
    if (row >= p.rows)
        return;
    uint to = index[row];
    if (to == OP_NONE)
        return;
    for (uint c = gl_LocalInvocationID.x; c < p.cols; c += gl_WorkGroupSize.x)
        dx[to * p.cols + c] += dy[row * p.cols + c];
}
