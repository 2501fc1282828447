// Links the tokens of equal keys, for scatter_add: a list in the order of the tokens.
//
//   0  keys   u32[tokens]     in          constants: 0 local size
//   1  links  u32[tokens][2]  out: the next token with this key or OP_NONE; 1 when none is before
//                             grid: one invocation a token
//
// Each token looks at the others until it has found one of its own, both ways: quadratic where keys
// are rare. Neighbouring invocations look at neighbouring keys.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "index.glsl"

layout(local_size_x_id = 0) in;
layout(set = 0, binding = 0) readonly buffer keys_buffer { uint keys[]; };
layout(set = 0, binding = 1) writeonly buffer links_buffer { uint links[]; };
layout(push_constant) uniform push { scatter_params p; };

void main()
{
    uint t = group_index() * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (t >= p.tokens)
        return;
    uint key = keys[t];
    uint next = t + 1;
    while (next < p.tokens && keys[next] != key)
        next++;
    uint before = t; // one more than the token looked at
    while (before > 0 && keys[before - 1] != key)
        before--;
    links[2 * t] = next < p.tokens ? next : OP_NONE;
    links[2 * t + 1] = uint(before == 0);
}
