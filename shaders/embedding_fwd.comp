// y[t] = word[ids[t]] + type[types[t]] + position[positions[t]], in this order.
//
//   0  ids        u32[tokens]     in        4  type      f32[types][cols]      in
//   1  types      u32[tokens]     in        5  position  f32[positions][cols]  in
//   2  positions  u32[tokens]     in        6  y         f32[tokens][cols]     out
//   3  word       f32[V][cols]    in, or a part of it; PACKED: as matmul_packed has it
//   constants: 0 local size, 1 PACKED       grid: one workgroup a token
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "index.glsl"

layout(local_size_x_id = 0) in;
layout(set = 0, binding = 0) readonly buffer ids_buffer { uint ids[]; };
layout(set = 0, binding = 1) readonly buffer types_buffer { uint types[]; };
layout(set = 0, binding = 2) readonly buffer positions_buffer { uint positions[]; };
layout(set = 0, binding = 3) readonly buffer word_buffer { float word[]; };
layout(set = 0, binding = 4) readonly buffer type_buffer { float type[]; };
layout(set = 0, binding = 5) readonly buffer position_buffer { float position[]; };
layout(set = 0, binding = 6) writeonly buffer y_buffer { float y[]; };
layout(constant_id = 1) const uint PACKED = 0;
layout(push_constant) uniform push { embedding_params p; };

// Of a word of this part.
float word_at(uint id, uint c)
{
    if (PACKED == 0)
        return word[id * p.cols + c];
    uint first = id / p.panel * p.panel, width = min(p.panel, p.count - first);
    return word[first * p.cols + (c / 4 * width + id - first) * 4 + c % 4];
}

void main()
{
    uint t = group_index();
    if (t >= p.tokens || ids[t] - p.first >= p.count) // another part's, also below first: unsigned
        return;
    uint w = ids[t] - p.first, k = types[t] * p.cols, q = positions[t] * p.cols;
    for (uint c = gl_LocalInvocationID.x; c < p.cols; c += gl_WorkGroupSize.x)
        y[t * p.cols + c] = word_at(w, c) + type[k + c] + position[q + c];
}
