// y = gelu(x).
//
//   0  x  act[count]  in        constants: 0 to 2 four.glsl, 3 the form (gelu.glsl)
//   1  y  act[count]  out       grid: op_flat_for
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "four.glsl"

layout(constant_id = 3) const uint TANH = 0;
#include "gelu.glsl"

ACT4_IN(0, x)
ACT4_OUT(1, y)
layout(push_constant) uniform push { gelu_params p; };

void main()
{
    FOUR_EACH(i, p.count) {
        vec4 value = gelu(x_at(i, p.count));
        y_put(i, p.count, value);
    }
}
