// The gradient of attention's scores, before their scale: with g that of the probabilities,
//     dscores = probabilities * (g - sum over keys of g * probabilities)
//
//   0  step      step_in          in, only read with DROP
//   1  probs     f32[rows][cols]  in: probabilities before dropout
//   2  dscores   f32[rows][cols]  in: gradient of the dropped probabilities; out
//
// Constants: 0 workgroup size, 1 who shares a row (reduce.glsl), 2 FORMAT (row4.glsl), of fp32, 3 DROP.
// Grid: rows.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "rows.glsl"
layout(push_constant) uniform push { softmax_params p; };
#define KEYS_ALIGNED uint(IN_FOURS)
#include "attention.glsl"

ROW4_IN(1, probs)
ROW4_INOUT(2, dscores)

void main()
{
    uint row = row_index();
    if (row >= p.rows)
        return;
    draws_begin();
    uint begin = row * p.cols, end = begin + p.cols;

    // The undropped gradient is kept in place for the second pass: draws are dear.
    vec4 sums = vec4(0);
    ROW_LOOP(i, begin, end) {
        vec4 g = dscores_at(i, end) * drop_scale(i);
        if (DROP != 0)
            dscores_put(i, end, g);
        sums += g * probs_at(i, end);
    }
    float sum = group_add(dot(sums, vec4(1)));

    ROW_LOOP(i, begin, end)
        dscores_put(i, end, probs_at(i, end) * (dscores_at(i, end) - sum));
}
