// y = gelu(x).
//
//   0  x  f32[count]  in        constants: 0, 1 four.glsl, 2 the form (gelu.glsl)
//   1  y  f32[count]  out       grid: op_flat_for
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "four.glsl"
#include "gelu.glsl"

FOUR_BUFFER(0, readonly, x);
FOUR_BUFFER(1, writeonly, y);
layout(push_constant) uniform push { gelu_params p; };

void main()
{
    FOUR_EACH(i, p.count) {
        vec4 value = gelu(FOUR_LOAD(x, i, p.count));
        FOUR_STORE(y, i, p.count, value);
    }
}
