// sums[cols] (+)= the sum over chunks of partial[chunk][cols].
//
//   0  partial  f32[chunks][cols]  in
//   1  sums     f32[cols]          out, added to when accumulate
//
// Constants: 0 workgroup size, 2 FORMAT (row4.glsl). Grid: columns.glsl, one chunk.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "columns.glsl"

ROW4_IN(0, partial)
ROW4_INOUT(1, sums)
layout(push_constant) uniform push { columns_params p; };

void main()
{
    uint col, one;
    if (!columns_place(p.cols, 1, col, one))
        return;
    vec4 sum = vec4(0);
    for (uint chunk = 0; chunk < p.chunks; chunk++)
        sum += partial_at(chunk * p.cols + col, (chunk + 1) * p.cols);
    if (p.accumulate != 0)
        sum += sums_at(col, p.cols);
    sums_put(col, p.cols, sum);
}
