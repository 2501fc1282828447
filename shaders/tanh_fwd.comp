// y = tanh(x).
//
//   0  x  act[count]  in        constants: 0 to 2 four.glsl
//   1  y  act[count]  out       grid: op_flat_for
//
// Near 0 by its series, whose next term, 1382/155925 x^11, is below 2^-24 of x for |x| < 0.3: the
// quotient of exponentials, which drivers use everywhere, loses its digits there.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "four.glsl"

ACT4_IN(0, x)
ACT4_OUT(1, y)
layout(push_constant) uniform push { gelu_params p; };

vec4 tanh_of(vec4 x)
{
    vec4 square = x * x;
    vec4 series = x * (1 + square * (-1.0 / 3 + square * (2.0 / 15 + square * (-17.0 / 315 +
                  square * (62.0 / 2835)))));
    vec4 quotient = 1 - 2 / (1 + exp(2 * x)); // exp may be infinite: 1
    return mix(quotient, series, lessThan(abs(x), vec4(0.3)));
}

void main()
{
    FOUR_EACH(i, p.count) {
        vec4 value = tanh_of(x_at(i, p.count));
        y_put(i, p.count, value);
    }
}
