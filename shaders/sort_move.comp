// Moves each key and its place to where its digit goes, those of a block in their order.
//
//   0  from    sort.glsl            in      constants: 0 local size, 1 ALONE (sort.glsl)
//   1  starts  u32[blocks][digits]  in; ALONE counts them up    grid: one workgroup a block, or one
//   2  to      u32[count][2]        out: key, place                   invocation
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "sort.glsl"

layout(set = 0, binding = 1) buffer starts_buffer { uint starts[]; };
layout(set = 0, binding = 2) writeonly buffer to_buffer { uint to[]; };

void put(uint at, uvec2 e)
{
    to[2 * at] = e.x;
    to[2 * at + 1] = e.y;
}

void main()
{
    uint block, begin;
    if (!block_place(block, begin))
        return;
    uint row = block * digits();
    if (ALONE != 0) {
        for (uint i = begin; i < min(begin + p.block, p.count); i++) {
            uvec2 e = entry(i);
            put(starts[row + digit_of(e.x)]++, e);
        }
        return;
    }
    share_digits(begin);
    uint me = gl_LocalInvocationID.x, digit = block_digits[me], before = 0;
    if (digit == OP_NONE)
        return;
    for (uint j = 0; j < me; j++)
        before += uint(block_digits[j] == digit);
    put(starts[row + digit] + before, entry(begin + me));
}
