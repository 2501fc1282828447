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
// 4 BIAS: x_bias is added. Grid: rows.glsl.
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

#define NORM_OUT(v, i) (v)
#include "norm.glsl"

void main()
{
    uint row = row_index();
    if (row >= p.rows)
        return;
    uint begin = row * p.cols, end = begin + p.cols;
    uvec3 draw = uvec3(0); // read once, not each turn
    if (DROPS != 0)
        draw = uvec3(now.seed_low, now.seed_high, now.step);

    vec4 total = vec4(0);
    ROW_LOOP(i, begin, end) {
        vec4 v = x_at(i, end);
        if (BIAS != 0)
            v += x_bias_at(i - begin, p.cols);
        if (DROPS != 0)
            v = drop4(v, draw, i, p.site, p.keep);
        total += norm_sum(i, begin, end, v + residual_at(i, end));
    }
    norm_row(row, p.cols, p.eps, total);
}
