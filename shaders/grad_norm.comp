// The global norm of the mean loss's gradient, and what AdamW scales gradients with: torch's
// clip_grad_norm_. With loss scaling also whether they are finite, else the step is skipped, and the
// next step's scale: torch.amp.GradScaler's update.
//
//   0  step      step_in     in: max_grad_norm       constants: 0 local size, 1 reduce.glsl
//   1  partial   f32[count]  in, from square_sum     grid: one workgroup
//   2  step_out  step_out    grad_norm and what follows it; norm and scale are 0 when nothing was counted
//   3  scaling   loss_scale  in and out, only with p.unit
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
layout(set = 0, binding = 3) buffer scaling_buffer { loss_scale scaling; };
layout(push_constant) uniform push { sum_params p; };

const float GROWTH = 2, BACKOFF = 0.5;
const uint GROWTH_INTERVAL = 2000;

// The step's gradients were multiplied with result.loss_scale * p.unit.
void scale_update(bool finite)
{
    scaling.good = finite ? scaling.good + 1 : 0;
    scaling.skipped += uint(!finite);
    if (!finite)
        scaling.scale *= BACKOFF;
    else if (scaling.good == GROWTH_INTERVAL) {
        scaling.good = 0;
        scaling.scale *= GROWTH;
    }
}

// 1 - beta^(t - skipped) from c = 1 - beta^t: skipped updates are none for AdamW. Where c or the result
// are small, by their series, whose next terms are below 2^-24.
float correction(float c, uint skipped)
{
    if (skipped == 0)
        return c;
    float power = c < 0.05 ? -c * (1 + c * (1 / 2. + c * (1 / 3. + c * (1 / 4. + c / 5))))
                           : log(1 - c);
    power *= float(now.update - min(skipped, now.update)) / now.update;
    return power > -0.05 ? -power * (1 + power / 2 * (1 + power / 3 * (1 + power / 4)))
                         : 1 - exp(power);
}

void main()
{
    float sum = 0;
    for (uint i = gl_LocalInvocationID.x; i < p.count; i += gl_WorkGroupSize.x)
        sum += partial[i];
    sum = group_add(sum);
    if (gl_LocalInvocationID.x != 0)
        return;
    float norm = 0, scale = 0, times = 1;
    uint skipped = 0;
    bool finite = true;
    if (p.unit != 0) {
        finite = (floatBitsToUint(sum) & 0x7F800000u) != 0x7F800000u; // isnan may be optimised away
        result.loss_scale = scaling.scale;
        times = scaling.scale * p.unit;
        scale_update(finite);
        skipped = scaling.skipped;
    }
    float count = float(p.of_pairs != 0 ? result.pairs : result.predictions);
    if (count > 0) {
        norm = sqrt(sum) / times / count;
        float clip = now.max_grad_norm / (norm + 1e-6);
        scale = (now.max_grad_norm > 0 && clip < 1 ? clip : 1) / count / times;
    }
    result.grad_norm = norm;
    result.grad_scale = scale;
    result.bias_correction1 = correction(now.bias_correction1, skipped);
    result.bias_correction2 = correction(now.bias_correction2, skipped);
    result.skipped = skipped;
    result.skip = uint(!finite);
}
