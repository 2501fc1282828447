// dx = dy * gelu'(x).
//
//   0  x   act[count]  in        constants: 0 to 2 four.glsl, 3 the form (gelu.glsl)
//   1  dy  act[count]  in        grid: op_flat_for
//   2  dx  act[count]  out, may be dy
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "four.glsl"
#include "gelu.glsl"

ACT4_IN(0, x)
ACT4_IN(1, dy)
ACT4_OUT(2, dx)
layout(push_constant) uniform push { gelu_params p; };

void main()
{
    FOUR_EACH(i, p.count) {
        vec4 value = dy_at(i, p.count) * gelu_slope(x_at(i, p.count));
        dx_put(i, p.count, value);
    }
}
