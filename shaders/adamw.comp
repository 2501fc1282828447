// One step of torch.optim.AdamW (Loshchilov and Hutter, "Decoupled Weight Decay Regularization"):
//
//     g = grads * grad_scale      m = beta1 m + (1 - beta1) g      v = beta2 v + (1 - beta2) g^2
//     w = w (1 - lr decay) - lr (m / c1) / (sqrt(v) / sqrt(c2) + eps)
//
//   0  step      step_in     in: lr               3  grads   f32[count]  in, of the sum of losses
//   1  step_out  step_out    in: grad_scale,      4  mean    f32[count]  in and out: m
//   2  weights   f32[count]  in and out           5  square  f32[count]  in and out: v
//   6  copy      act[count]  out: w in 16 bits, only where FORMAT is of those
//   constants: 0 to 2 four.glsl                   grid: op_flat_for
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "four.glsl"

layout(set = 0, binding = 0) readonly buffer step_buffer { step_in now; };
layout(set = 0, binding = 1) readonly buffer result_buffer { step_out result; };
ROW4_INOUT(2, weights)
ROW4_IN(3, grads)
ROW4_INOUT(4, mean)
ROW4_INOUT(5, square)
ACT4_OUT(6, copy)
layout(push_constant) uniform push { adamw_params p; };

void main()
{
    if (result.skip != 0)
        return;
    float rate = now.lr / result.bias_correction1, root2 = sqrt(result.bias_correction2);
    FOUR_EACH(i, p.count) {
        vec4 g = grads_at(i, p.count) * result.grad_scale;
        vec4 m = p.beta1 * mean_at(i, p.count) + (1 - p.beta1) * g;
        vec4 v = p.beta2 * square_at(i, p.count) + (1 - p.beta2) * g * g;
        vec4 w = weights_at(i, p.count) * (1 - now.lr * p.weight_decay);
        w -= rate * m / (sqrt(v) / root2 + p.eps);
        mean_put(i, p.count, m);
        square_put(i, p.count, v);
        weights_put(i, p.count, w);
        if (IS_HALF)
            copy_put(i, p.count, w);
    }
}
