// How many keys of each block have each digit.
//
//   0  from    sort.glsl            in     constants: 0 local size, 1 ALONE (sort.glsl)
//   1  counts  u32[blocks][digits]  out    grid: one workgroup a block, or one invocation
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "sort.glsl"

layout(set = 0, binding = 1) buffer counts_buffer { uint counts[]; };

void main()
{
    uint block, begin;
    if (!block_place(block, begin))
        return;
    uint row = block * digits();
    if (ALONE != 0) {
        for (uint d = 0; d < digits(); d++)
            counts[row + d] = 0;
        for (uint i = begin; i < min(begin + p.block, p.count); i++)
            counts[row + digit_of(entry(i).x)]++;
        return;
    }
    share_digits(begin);
    for (uint d = gl_LocalInvocationID.x; d < digits(); d += gl_WorkGroupSize.x) {
        uint count = 0;
        for (uint j = 0; j < gl_WorkGroupSize.x; j++)
            count += uint(block_digits[j] == d);
        counts[row + d] = count;
    }
}
