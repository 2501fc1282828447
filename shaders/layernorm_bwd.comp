// LayerNorm's gradient to its input. With g = dy * gain and n = (x - mean) * rstd:
//     dx = rstd * (g - average(g) - n * average(g * n))
//
//   0  x     act[rows][cols]  in        3  dy  act[rows][cols]  in
//   1  gain  f32[cols]        in        4  dx  act[rows][cols]  out, may be dy
//   2  stat  f32[rows][2]     in: mean, rstd
//
// Constants: 0 workgroup size, 1 who shares a row (reduce.glsl), 2 FORMAT (row4.glsl).
// Grid: rows.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "rows.glsl"

ACT4_IN(0, x)
ROW4_IN(1, gain)
layout(set = 0, binding = 2) readonly buffer stat_buffer { vec2 stat[]; };
ACT4_IN(3, dy)
ACT4_OUT(4, dx)
layout(push_constant) uniform push { layernorm_params p; };

void main()
{
    uint row = row_index();
    if (row >= p.rows)
        return;
    uint begin = row * p.cols, end = begin + p.cols;
    float mean = stat[row].x, rstd = stat[row].y;

    // x and dy are 0 behind the end of the row, and so are g and the terms of both sums.
    vec4 sum_g = vec4(0), sum_gn = vec4(0);
    ROW_LOOP(i, begin, end) {
        vec4 g = dy_at(i, end) * gain_at(i - begin, p.cols);
        sum_g += g;
        sum_gn += g * ((x_at(i, end) - mean) * rstd);
    }
    float average_g = group_add(dot(sum_g, vec4(1))) / p.cols;
    float average_gn = group_add(dot(sum_gn, vec4(1))) / p.cols;

    ROW_LOOP(i, begin, end) {
        vec4 g = dy_at(i, end) * gain_at(i - begin, p.cols);
        vec4 n = (x_at(i, end) - mean) * rstd;
        dx_put(i, end, rstd * (g - average_g - n * average_gn));
    }
}
