// to[row][col] = from[row][col], of another type and with other strides: 16-bit operands for products
// that compute in fp32, and their results back.
//
//   0  from  f32, fp16 or bf16 [rows][from_ld], batches from_outer and from_inner apart  in
//   1  to    f32, fp16 or bf16 [rows][to_ld], batches to_outer and to_inner apart        out
//
// Columns and strides are multiples of four; an invocation does four elements, TURNS times.
// Constants: 0 workgroup size; 1, 2 FORMAT of `from` and `to`, as in row4.glsl, not 0; 3 TURNS.
// Grid: rows * cols / (4 * workgroup size * TURNS), folded into x and y, batch.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "half.glsl"
#include "params.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint FROM = 1;
layout(constant_id = 2) const uint TO = 1;
layout(constant_id = 3) const uint TURNS = 1;
layout(set = 0, binding = 0) readonly buffer from_fours { vec4 from4[]; };
layout(set = 0, binding = 0) readonly buffer from_halves { uvec2 from2[]; };
layout(set = 0, binding = 1) writeonly buffer to_fours { vec4 to4[]; };
layout(set = 0, binding = 1) writeonly buffer to_halves { uvec2 to2[]; };
layout(push_constant) uniform push { convert_params p; };

uint batch_start(uint outer_stride, uint inner_stride)
{
    return gl_WorkGroupID.z / p.inner * outer_stride + gl_WorkGroupID.z % p.inner * inner_stride;
}

void main()
{
    uint group = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x, fours = p.cols / 4;
    uint first = group * gl_WorkGroupSize.x * TURNS + gl_LocalInvocationID.x;
    for (uint turn = 0; turn < TURNS; turn++) {
        uint item = first + turn * gl_WorkGroupSize.x, row = item / fours;
        if (row >= p.rows)
            return;
        uint col = 4 * (item - row * fours);
        uint i = (batch_start(p.from_outer, p.from_inner) + row * p.from_ld + col) / 4;
        uint o = (batch_start(p.to_outer, p.to_inner) + row * p.to_ld + col) / 4;
        vec4 v;
        if (FROM >= 2)
            v = half_unpack(FROM, from2[i]);
        else
            v = from4[i];
        if (TO >= 2)
            to2[o] = half_pack(TO, v);
        else
            to4[o] = v;
    }
}
