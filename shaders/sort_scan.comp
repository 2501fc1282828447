// Where the keys of each block with each digit go: behind those of smaller digits, and of the same digit in
// blocks before. Invocations have digits, and go down the blocks.
//
//   0  counts  u32[blocks][digits]  in: how many there are, out: where the first one goes
//
// Constants: 0 local size, 1 ONE_SUBGROUP: the workgroup is one subgroup, no barrier. Grid: one workgroup.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#include "params.h"
#include "scan.glsl"

layout(constant_id = 1) const uint ONE_SUBGROUP = 0;
layout(set = 0, binding = 0) buffer counts_buffer { uint counts[]; };
layout(push_constant) uniform push { sort_params p; };

#define TURN 8 // blocks whose counts are on their way at a time

void main()
{
    uint me = ONE_SUBGROUP != 0 ? gl_SubgroupInvocationID : gl_LocalInvocationID.x;
    uint digits = 1u << p.bits, each = (digits + gl_WorkGroupSize.x - 1) / gl_WorkGroupSize.x;
    uint first = min(me * each, digits), last = min(first + each, digits);
    uint end = (p.count + p.block - 1) / p.block * digits;

    uint count = 0, here[TURN];
    for (uint d = first; d < last; d++)
        for (uint i = d; i < end; i += TURN * digits)
            [[unroll]] for (uint k = 0; k < TURN; k++)
                count += i + k * digits < end ? counts[i + k * digits] : 0;
    uint at = ONE_SUBGROUP != 0 ? subgroupExclusiveAdd(count) : inclusive_scan(count) - count;
    for (uint d = first; d < last; d++)
        for (uint i = d; i < end; i += TURN * digits) {
            [[unroll]] for (uint k = 0; k < TURN; k++)
                here[k] = i + k * digits < end ? counts[i + k * digits] : 0;
            [[unroll]] for (uint k = 0; k < TURN; k++) {
                if (i + k * digits < end)
                    counts[i + k * digits] = at;
                at += here[k];
            }
        }
}
