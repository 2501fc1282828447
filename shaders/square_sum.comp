// partial[first + chunk] = the sum of squares of p.chunk gradients.
//
//   0  grads    f32[count]   in           constants: 0 local size, 1 reduce.glsl
//   1  partial  f32[chunks]  out          grid: one workgroup a chunk
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#include "params.h"
#include "index.glsl"
#include "reduce.glsl"

layout(local_size_x_id = 0) in;
layout(set = 0, binding = 0) readonly buffer grads_buffer { float grads[]; };
layout(set = 0, binding = 1) writeonly buffer partial_buffer { float partial[]; };
layout(push_constant) uniform push { sum_params p; };

void main()
{
    uint chunk = group_index(), size = gl_WorkGroupSize.x;
    if (chunk >= p.count / p.chunk + uint(p.count % p.chunk != 0))
        return;
    uint begin = chunk * p.chunk, end = begin + min(p.chunk, p.count - begin);

    vec4 sums = vec4(0); // four sums: four loads in flight, and fewer roundings each
    uint i = begin + gl_LocalInvocationID.x;
    for (; i + 3 * size < end; i += 4 * size) {
        vec4 g = vec4(grads[i], grads[i + size], grads[i + 2 * size], grads[i + 3 * size]);
        sums += g * g;
    }
    for (; i < end; i += size)
        sums.x += grads[i] * grads[i];
    float sum = group_add((sums.x + sums.y) + (sums.z + sums.w));
    if (gl_LocalInvocationID.x == 0)
        partial[p.first + chunk] = sum;
}
