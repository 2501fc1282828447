// y[i] = x[index[i]]; zeros for OP_NONE.
//
//   0  index  u32[rows]        in         constants: 0 local size, 2 FORMAT (row4.glsl)
//   1  x      act[any][cols]   in         grid: one workgroup a row
//   2  y      act[rows][cols]  out
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "index.glsl"
#include "row4.glsl"

layout(local_size_x_id = 0) in;
layout(set = 0, binding = 0) readonly buffer index_buffer { uint index[]; };
ACT4_IN(1, x)
ACT4_OUT(2, y)
layout(push_constant) uniform push { rows_params p; };

void main()
{
    uint row = group_index();
    if (row >= p.rows)
        return;
    uint from = index[row];
    for (uint c = 4 * gl_LocalInvocationID.x; c < p.cols; c += 4 * gl_WorkGroupSize.x) {
        vec4 value = vec4(0);
        if (from != OP_NONE)
            value = x_at(from * p.cols + c, (from + 1) * p.cols);
        y_put(row * p.cols + c, (row + 1) * p.cols, value);
    }
}
