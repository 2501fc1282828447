// dx = dy * (1 - y^2), y = tanh(x).
//
//   0  y   f32[count]  in        constants: 0 to 2 four.glsl
//   1  dy  f32[count]  in        grid: op_flat_for
//   2  dx  f32[count]  out, may be dy
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "four.glsl"

ROW4_IN(0, y)
ROW4_IN(1, dy)
ROW4_OUT(2, dx)
layout(push_constant) uniform push { gelu_params p; };

void main()
{
    FOUR_EACH(i, p.count) {
        vec4 out_ = y_at(i, p.count);
        vec4 value = dy_at(i, p.count) * (1 - out_) * (1 + out_);
        dx_put(i, p.count, value);
    }
}
