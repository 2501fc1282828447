// to[batch][col][row] = from[row][col], for matmul_lanes.
//
//   0  from  f32, fp16 or bf16 [rows][ld], batches outer_stride and inner_stride apart  in
//   1  to    f32[batch][cols][rows]                                                     out
//
// Neighbouring invocations have neighbouring rows, so stores are contiguous; each reads 16 columns
// of its row, a cache line. Constants: 0 workgroup size; 1 FORMAT of `from`, as in row4.glsl.
// Grid: rows / workgroup size, cols / 16, batch.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "half.glsl"
#include "params.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint FORMAT = 0;
layout(set = 0, binding = 0) readonly buffer from_buffer { float from[]; };
layout(set = 0, binding = 0) readonly buffer from_halves { uvec2 from2[]; };
layout(set = 0, binding = 1) writeonly buffer to_buffer { float to[]; };
layout(push_constant) uniform push { transpose_params p; };

void main()
{
    uint row = gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    uint first = gl_WorkGroupID.y * 16, last = min(first + 16, p.cols), batch = gl_WorkGroupID.z;
    if (row >= p.rows)
        return;
    uint begin = batch / p.inner * p.outer_stride + batch % p.inner * p.inner_stride + row * p.ld;
    uint out_begin = batch * p.rows * p.cols + row;
    if (FORMAT >= 2)
        for (uint col = first; col < last; col += 4) {
            vec4 four = half_unpack(FORMAT, from2[(begin + col) / 4]);
            for (uint i = 0; i < 4; i++)
                to[out_begin + (col + i) * p.rows] = four[i];
        }
    else
        for (uint col = first; col < last; col++)
            to[out_begin + col * p.rows] = from[begin + col];
}
