// The global norm of the mean loss's gradient, and what AdamW scales gradients with: torch's
// clip_grad_norm_.
//
//   0  step      step_in     in: max_grad_norm       constants: 0 local size, 1 reduce.glsl
//   1  partial   f32[count]  in, from square_sum     grid: one workgroup
//   2  step_out  step_out    grad_norm, grad_scale; both 0 when nothing was counted
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#include "params.h"
#include "reduce.glsl"

layout(local_size_x_id = 0) in;
layout(set = 0, binding = 0) readonly buffer step_buffer { step_in now; };
layout(set = 0, binding = 1) readonly buffer partial_buffer { float partial[]; };
layout(set = 0, binding = 2) buffer result_buffer { step_out result; };
layout(push_constant) uniform push { sum_params p; };

void main()
{
    float sum = 0;
    for (uint i = gl_LocalInvocationID.x; i < p.count; i += gl_WorkGroupSize.x)
        sum += partial[i];
    sum = group_add(sum);
    if (gl_LocalInvocationID.x != 0)
        return;
    float norm = 0, scale = 0;
    float count = float(p.of_pairs != 0 ? result.pairs : result.predictions);
    if (count > 0) {
        norm = sqrt(sum) / count;
        float clip = now.max_grad_norm / (norm + 1e-6);
        scale = (now.max_grad_norm > 0 && clip < 1 ? clip : 1) / count;
    }
    result.grad_norm = norm;
    result.grad_scale = scale;
}
