// table[key] += the sum of dy over the tokens with that key, in the order of the tokens: the backward
// of a lookup. The first token of each key walks its list (scatter_links) and owns the table's row, so
// no atomics are needed.
//
//   0  keys   u32[tokens]        in       constants: 0 local size, 2 FORMAT (row4.glsl)
//   1  links  u32[tokens][2]     in       grid: one workgroup a token, z shares the columns
//   2  dy     act[tokens][cols]  in
//   3  table  f32[any][cols]     in and out, or a part of it
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "index.glsl"
#include "row4.glsl"

layout(local_size_x_id = 0) in;
layout(set = 0, binding = 0) readonly buffer keys_buffer { uint keys[]; };
layout(set = 0, binding = 1) readonly buffer links_buffer { uint links[]; };
ACT4_IN(2, dy)
ROW4_INOUT(3, table)
layout(push_constant) uniform push { scatter_params p; };

void main()
{
    uint first = group_index();
    if (first >= p.tokens || links[2 * first + 1] == 0)
        return;
    uint key = keys[first];
    if (key - p.first >= p.count || (p.use_skip != 0 && key == p.skip)) // another part's, or skipped
        return;
    uint width = 4 * gl_WorkGroupSize.x, row = (key - p.first) * p.cols;
    for (uint c = gl_WorkGroupID.z * width + 4 * gl_LocalInvocationID.x; c < p.cols;
         c += gl_NumWorkGroups.z * width) {
        vec4 sum = vec4(0);
        for (uint t = first; t != OP_NONE; t = links[2 * t])
            sum += dy_at(t * p.cols + c, (t + 1) * p.cols);
        table_put(row + c, row + p.cols, table_at(row + c, row + p.cols) + sum);
    }
}
