// y[i] = x[index[i]]; zeros for OP_NONE.
//
//   0  index  u32[rows]        in         constants: 0 local size
//   1  x      f32[any][cols]   in         grid: one workgroup a row
//   2  y      f32[rows][cols]  out
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "index.glsl"

layout(local_size_x_id = 0) in;
layout(set = 0, binding = 0) readonly buffer index_buffer { uint index[]; };
layout(set = 0, binding = 1) readonly buffer x_buffer { float x[]; };
layout(set = 0, binding = 2) writeonly buffer y_buffer { float y[]; };
layout(push_constant) uniform push { rows_params p; };

void main()
{
    uint row = group_index();
    if (row >= p.rows)
        return;
    uint from = index[row];
    for (uint c = gl_LocalInvocationID.x; c < p.cols; c += gl_WorkGroupSize.x) {
        float value = 0;
        if (from != OP_NONE)
            value = x[from * p.cols + c];
        y[row * p.cols + c] = value;
    }
}
