// dx = dy * gelu'(x).
//
//   0  x   f32[count]  in        constants: 0, 1 four.glsl, 2 the form (gelu.glsl)
//   1  dy  f32[count]  in        grid: op_flat_for
//   2  dx  f32[count]  out, may be dy
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "four.glsl"
#include "gelu.glsl"

FOUR_BUFFER(0, readonly, x);
FOUR_BUFFER(1, readonly, dy);
FOUR_BUFFER(2, writeonly, dx);
layout(push_constant) uniform push { gelu_params p; };

void main()
{
    FOUR_EACH(i, p.count) {
        vec4 value = FOUR_LOAD(dy, i, p.count) * gelu_slope(FOUR_LOAD(x, i, p.count));
        FOUR_STORE(dx, i, p.count, value);
    }
}
