// table[key] += the sum of dy over the tokens with that key, in the order of the tokens: the backward
// of a lookup. The first token of each key walks its list (scatter_links) and owns the table's row, so
// no atomics are needed.
//
//   0  keys   u32[tokens]        in       constants: 0 local size
//   1  links  u32[tokens][2]     in       grid: one workgroup a token, z shares the columns
//   2  dy     f32[tokens][cols]  in
//   3  table  f32[any][cols]     in and out, or a part of it
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "params.h"
#include "index.glsl"

layout(local_size_x_id = 0) in;
layout(set = 0, binding = 0) readonly buffer keys_buffer { uint keys[]; };
layout(set = 0, binding = 1) readonly buffer links_buffer { uint links[]; };
layout(set = 0, binding = 2) readonly buffer dy_buffer { float dy[]; };
layout(set = 0, binding = 3) buffer table_buffer { float table[]; };
layout(push_constant) uniform push { scatter_params p; };

const uint EACH = 4; // columns an invocation sums in one walk, a workgroup's size apart

void main()
{
    uint first = group_index();
    if (first >= p.tokens || links[2 * first + 1] == 0)
        return;
    uint key = keys[first];
    if (key - p.first >= p.count || (p.use_skip != 0 && key == p.skip)) // another part's, or skipped
        return;
    uint width = EACH * gl_WorkGroupSize.x;
    for (uint c = gl_WorkGroupID.z * width + gl_LocalInvocationID.x; c < p.cols;
         c += gl_NumWorkGroups.z * width) {
        float sum[EACH];
        [[unroll]] for (uint j = 0; j < EACH; j++)
            sum[j] = 0;
        for (uint t = first; t != OP_NONE; t = links[2 * t])
            [[unroll]] for (uint j = 0; j < EACH; j++) {
                uint column = min(c + j * gl_WorkGroupSize.x, p.cols - 1);
                sum[j] += dy[t * p.cols + column];
            }
        [[unroll]] for (uint j = 0; j < EACH; j++) {
            uint column = c + j * gl_WorkGroupSize.x;
            if (column < p.cols)
                table[(key - p.first) * p.cols + column] += sum[j];
        }
    }
}
