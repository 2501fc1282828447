// The second pass of a product whose sum was split: c[m][n] = alpha * (partial[0] + partial[1] + ...)
// (+ bias[n]) (+ c), in that order.
//
//   0  partial  f32[parts][rows][cols]            in    1  bias  f32[cols]  in, only read when has_bias
//   2  c        f32, fp16 or bf16 [rows][ldc]     out, added to when accumulate
//
// An invocation has four neighbours of a row. Constants: 0 workgroup size; 1 FORMAT of c, as in row4.glsl.
// Grid: rows * cols / 4 (rounded up in each row) / workgroup size, folded into x and y.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "half.glsl"
#include "params.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint FORMAT = 0;
layout(set = 0, binding = 0) readonly buffer partial_floats { float partial[]; };
layout(set = 0, binding = 0) readonly buffer partial_fours { vec4 partial4[]; };
layout(set = 0, binding = 1) readonly buffer bias_buffer { float bias[]; };
layout(set = 0, binding = 2) buffer c_floats { float c[]; };
layout(set = 0, binding = 2) buffer c_fours { vec4 c4[]; };
layout(set = 0, binding = 2) buffer c_halves { uvec2 c2[]; };
layout(push_constant) uniform push { matmul_sum_params p; };

void sum_odd(uint row, uint first)
{
    for (uint col = first; col < min(first + 4, p.cols); col++) {
        float v = 0;
        for (uint part = 0; part < p.parts; part++)
            v += partial[(part * p.rows + row) * p.cols + col];
        v *= p.alpha;
        if (p.has_bias != 0)
            v += bias[col];
        uint at = row * p.ldc + col;
        c[at] = p.accumulate != 0 ? c[at] + v : v;
    }
}

void main()
{
    uint group = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x, fours = (p.cols + 3) / 4;
    uint item = group * gl_WorkGroupSize.x + gl_LocalInvocationID.x, row = item / fours;
    uint col = 4 * (item - row * fours);
    if (row >= p.rows)
        return;
    if (FORMAT == 0) {
        sum_odd(row, col);
        return;
    }
    vec4 v = vec4(0);
    for (uint part = 0; part < p.parts; part++)
        v += partial4[((part * p.rows + row) * p.cols + col) / 4];
    v *= p.alpha;
    if (p.has_bias != 0)
        v += vec4(bias[col], bias[col + 1], bias[col + 2], bias[col + 3]);
    uint at = row * p.ldc + col;
    if (FORMAT == 1) {
        c4[at / 4] = p.accumulate != 0 ? c4[at / 4] + v : v;
        return;
    }
    if (p.accumulate != 0)
        v += half_unpack(FORMAT, c2[at / 4]);
    c2[at / 4] = half_pack(FORMAT, v);
}
