// dx = dy * gelu'(x), and its sums over the rows of each chunk: the gradient of the bias before the GELU.
//
//   0  x   act[rows][cols]  in        2  dx       act[rows][cols]    out, may be dy
//   1  dy  act[rows][cols]  in        3  partial  f32[chunks][cols]  out, for columns_finish
//
// Constants: 0 workgroup size, 2 FORMAT (row4.glsl), 3 the form (gelu.glsl). Grid: columns.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "params.h"
#include "columns.glsl"

layout(constant_id = 3) const uint TANH = 0;
#include "gelu.glsl"

ACT4_IN(0, x)
ACT4_IN(1, dy)
ACT4_OUT(2, dx)
ROW4_OUT(3, partial)
layout(push_constant) uniform push { columns_params p; };

vec4 slope_row(uint row, uint col)
{
    uint i = row * p.cols + col, end = (row + 1) * p.cols;
    vec4 d = dy_at(i, end) * gelu_slope(x_at(i, end));
    dx_put(i, end, d);
    return d;
}

void main()
{
    uint col, chunk;
    if (!columns_place(p.cols, p.chunks, col, chunk))
        return;
    uint first = chunk * p.rows_per_chunk, last = min(first + p.rows_per_chunk, p.rows);
    vec4 sum = vec4(0);
    uint row = first;
    for (; row + 4 <= last; row += 4)
        [[unroll]] for (uint j = 0; j < 4; j++)
            sum += slope_row(row + j, col);
    for (; row < last; row++)
        sum += slope_row(row, col);
    partial_put(chunk * p.cols + col, (chunk + 1) * p.cols, sum);
}
