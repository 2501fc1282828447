// The end of a sub-layer, in one pass: sum = residual + dropout(x + x_bias), and its LayerNorm
// y = (sum - mean) * rstd * gain + bias, biased variance.
//
//   0  step      step_in          in, unread without DROPS   5  bias  f32[cols]        in
//   1  x         act[rows][cols]  in                         6  sum   act[rows][cols]  out, for the backward;
//   2  x_bias    f32[cols]        in, unread without BIAS                              may be x or residual
//   3  residual  act[rows][cols]  in                         7  y     act[rows][cols]  out
//   4  gain      f32[cols]        in                         8  stat  f32[rows][2]     out: mean, rstd
//
// Constants: 0 workgroup size, 1 who shares a row (reduce.glsl), 2 FORMAT (row4.glsl), 3 DROPS: dropout,
// 4 BIAS: x_bias is added. Grid: rows.glsl. Two passes: one-pass variance, E x^2 - (E x)^2, loses the digits.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "rows.glsl"
#include "drop4.glsl"

layout(constant_id = 3) const uint DROPS = 1;
layout(constant_id = 4) const uint BIAS = 1;

layout(set = 0, binding = 0) readonly buffer step_buffer { step_in now; };
ACT4_IN(1, x)
ROW4_IN(2, x_bias)
ACT4_IN(3, residual)
ROW4_IN(4, gain)
ROW4_IN(5, bias)
ACT4_INOUT(6, sum)
ACT4_OUT(7, y)
layout(set = 0, binding = 8) writeonly buffer stat_buffer { vec2 stat[]; };
layout(push_constant) uniform push { residual_norm_params p; };

// On GPUs a row of up to 1024 is one turn of its workgroup, which it keeps.
vec4 kept = vec4(0);

vec4 sum_kept(uint i, uint begin, uint end)
{
    return SHARED_BY != 2 && i - begin == row_first() ? kept : sum_at(i, end);
}

void main()
{
    uint row = row_index();
    if (row >= p.rows)
        return;
    uint begin = row * p.cols, end = begin + p.cols;
    uvec3 draw = uvec3(0); // read once, not each turn
    if (DROPS != 0)
        draw = uvec3(now.seed_low, now.seed_high, now.step);

    vec4 total = vec4(0); // all terms are 0 behind the end of the row
    ROW_LOOP(i, begin, end) {
        vec4 v = x_at(i, end);
        if (BIAS != 0)
            v += x_bias_at(i - begin, p.cols);
        if (DROPS != 0)
            v = drop4(v, draw, i, p.site, p.keep);
        v = row4_kept(v + residual_at(i, end)); // statistics are of what the backward reads
        sum_put(i, end, v);
        total += v;
        if (i - begin == row_first())
            kept = v;
    }
    float mean = group_add(dot(total, vec4(1))) / p.cols;

    vec4 squares = vec4(0);
    ROW_LOOP(i, begin, end) {
        vec4 d = (sum_kept(i, begin, end) - mean) * row4_valid(i, end);
        squares += d * d;
    }
    float rstd = 1 / sqrt(group_add(dot(squares, vec4(1))) / p.cols + p.eps);

    ROW_LOOP(i, begin, end) {
        uint c = i - begin;
        y_put(i, end, (sum_kept(i, begin, end) - mean) * rstd * gain_at(c, p.cols) + bias_at(c, p.cols));
    }
    if (row_first() == 0)
        stat[row] = vec2(mean, rstd);
}
