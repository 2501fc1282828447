// used = how many entries of an index are in use: 1 more than the place of the last that is not OP_NONE.
//
//   0  index  u32[rows]  in       constants: 0 local size, 1 reduce.glsl
//   1  used   u32[1]     out      grid: one workgroup
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#include "params.h"
#include "index.glsl"
#include "reduce.glsl"

layout(local_size_x_id = 0) in;
layout(set = 0, binding = 0) readonly buffer index_buffer { uint index[]; };
layout(set = 0, binding = 1) writeonly buffer used_buffer { uint used[]; };
layout(push_constant) uniform push { rows_params p; };

void main()
{
    float most = 0; // exact: rows is below 2^24
    for (uint i = gl_LocalInvocationID.x; i < p.rows; i += gl_WorkGroupSize.x)
        if (index[i] != OP_NONE)
            most = float(i + 1);
    most = group_max(most);
    if (gl_LocalInvocationID.x == 0)
        used[0] = uint(most);
}
