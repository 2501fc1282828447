// LayerNorm's gradients to gain and bias, summed over the rows of each chunk:
//     gain gradient = sum of dy * (x - mean) * rstd, bias gradient = sum of dy
//
//   0  x        act[rows][cols]    in
//   1  stat     f32[rows][2]       in: mean, rstd
//   2  dy       act[rows][cols]    in
//   3  partial  f32[chunks][cols]  out: of the gain, then of the bias, at a multiple of 64
//
// Constants: 0 workgroup size, 2 FORMAT (row4.glsl). Grid: columns.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "columns.glsl"

ACT4_IN(0, x)
layout(set = 0, binding = 1) readonly buffer stat_buffer { vec2 stat[]; };
ACT4_IN(2, dy)
ROW4_OUT(3, partial)
layout(push_constant) uniform push { columns_params p; };

void main()
{
    uint col, chunk;
    if (!columns_place(p.cols, p.chunks, col, chunk))
        return;
    uint first = chunk * p.rows_per_chunk, last = min(first + p.rows_per_chunk, p.rows);
    vec4 gain = vec4(0), bias = vec4(0);
    for (uint row = first; row < last; row++) {
        uint i = row * p.cols + col, end = (row + 1) * p.cols;
        vec2 s = stat[row];
        vec4 g = dy_at(i, end);
        gain += g * ((x_at(i, end) - s.x) * s.y);
        bias += g;
    }
    uint i = chunk * p.cols + col, end = (chunk + 1) * p.cols;
    partial_put(i, end, gain);
    uint second = (p.chunks * p.cols + 63) / 64 * 64; // a view may begin there: 256 bytes
    partial_put(second + i, second + end, bias);
}
