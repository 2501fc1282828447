// The same numbers in another type: fp32 to 16 bits, to the nearest, or back.
//
//   0  x  f32[count] or act[count]  in     constants: 0 to 2 four.glsl, FORMAT of the 16-bit side
//   1  y  act[count] or f32[count]  out               3 NARROW: y is the 16-bit side, else x
//                                          grid: op_flat_for; count is a multiple of 4
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "four.glsl"

layout(constant_id = 3) const uint NARROW = 1;

ACT4_BUFFER(0, readonly, x)
ACT4_BUFFER(1, writeonly, y)
layout(push_constant) uniform push { gelu_params p; };

void main()
{
    FOUR_EACH(i, p.count) {
        if (NARROW != 0)
            y2[i / 4] = row4_pack(x4[i / 4]);
        else
            y4[i / 4] = row4_unpack(x2[i / 4]);
    }
}
