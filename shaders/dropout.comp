// Dropout: y = kept ? x / keep : 0, the draws named by (seed; element / 4, site, step). The backward
// is the same function of dy.
//
//   0  step  step_in     in, unread without DROPS    constants: 0 to 2 four.glsl
//   1  x     act[count]  in                                     3 DROPS: 0 copies x
//   2  y     act[count]  out, may be x               grid: op_flat_for
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "four.glsl"
#include "philox.glsl"

layout(constant_id = 3) const uint DROPS = 1;

layout(set = 0, binding = 0) readonly buffer step_buffer { step_in now; };
ACT4_IN(1, x)
ACT4_OUT(2, y)
layout(push_constant) uniform push { dropout_params p; };

void main()
{
    uvec3 draw = uvec3(0); // read once, not each turn
    if (DROPS != 0)
        draw = uvec3(now.seed_low, now.seed_high, now.step);
    FOUR_EACH(i, p.count) {
        vec4 value = x_at(i, p.count);
        if (DROPS != 0)
            value = mix(vec4(0), value / p.keep,
                        philox_kept(draw.xy, i / 4, p.site, draw.z, p.keep));
        y_put(i, p.count, value);
    }
}
