// LayerNorm over the last axis: y = (x - mean) * rstd * gain + bias, biased variance.
//
//   0  x     act[rows][cols]  in        3  y     act[rows][cols]  out
//   1  gain  f32[cols]        in        4  stat  f32[rows][2]     out: mean, rstd, for the backward
//   2  bias  f32[cols]        in
//
// Constants: 0 workgroup size, 1 who shares a row (reduce.glsl), 2 FORMAT (row4.glsl).
// Grid: rows.glsl. Two passes: one-pass variance, E x^2 - (E x)^2, loses the digits.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "rows.glsl"

ACT4_IN(0, x)
ROW4_IN(1, gain)
ROW4_IN(2, bias)
ACT4_OUT(3, y)
layout(set = 0, binding = 4) writeonly buffer stat_buffer { vec2 stat[]; };
layout(push_constant) uniform push { layernorm_params p; };

void main()
{
    uint row = row_index();
    if (row >= p.rows)
        return;
    uint begin = row * p.cols, end = begin + p.cols;

    vec4 sum = vec4(0);
    ROW_LOOP(i, begin, end)
        sum += x_at(i, end);
    float mean = group_add(dot(sum, vec4(1))) / p.cols;

    vec4 squares = vec4(0);
    ROW_LOOP(i, begin, end) {
        vec4 d = (x_at(i, end) - mean) * row4_valid(i, end);
        squares += d * d;
    }
    float rstd = 1 / sqrt(group_add(dot(squares, vec4(1))) / p.cols + p.eps);

    ROW_LOOP(i, begin, end) {
        uint c = i - begin;
        y_put(i, end, (x_at(i, end) - mean) * rstd * gain_at(c, p.cols) + bias_at(c, p.cols));
    }
    if (row_first() == 0)
        stat[row] = vec2(mean, rstd);
}
