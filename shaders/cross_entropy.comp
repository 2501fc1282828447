// Softmax cross entropy of one row of logits and its gradient, softmax - onehot, in place.
//
//   0  labels  u32[capacity]        in; OP_NONE: the row does not count, all its results are 0
//   1  logits  f32[capacity][cols]  in and out, rows ld apart; written with p.gradient only
//   2  stats   f32[capacity][4]     out: loss, rank of the label, log of the sum, maximum
//   3  scaling loss_scale           in, only read with p.unit: what the gradient is multiplied with
//   constants: 0 local size, 1 reduce.glsl            grid: one workgroup a row
//
// One pass finds the maximum and the sum of exponentials (Milakov and Gimelshein 2018, "Online
// normalizer calculation for softmax"), and the label's rank: how many logits are larger, or as large
// with a lower id. The maximum's own exponential, 1, is left out of the sum until the end: where the
// model is sure, a vocabulary of others adds up to less than the rounding errors of adding each to 1.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#include "params.h"
#include "index.glsl"
#include "reduce.glsl"

layout(local_size_x_id = 0) in;
layout(set = 0, binding = 0) readonly buffer labels_buffer { uint labels[]; };
layout(set = 0, binding = 1) buffer logits_buffer { float logits[]; };
layout(set = 0, binding = 2) writeonly buffer stats_buffer { float stats[]; };
layout(set = 0, binding = 3) readonly buffer scaling_buffer { loss_scale scaling; };
layout(push_constant) uniform push { cross_entropy_params p; };

void row_without_label(uint row)
{
    if (p.gradient != 0)
        for (uint c = gl_LocalInvocationID.x; c < p.cols; c += gl_WorkGroupSize.x)
            logits[row * p.ld + c] = 0;
    for (uint i = gl_LocalInvocationID.x; i < 4; i += gl_WorkGroupSize.x)
        stats[4 * row + i] = 0;
}

// log(1 + x), x >= 0, with an error relative to x, which the device's log does not promise near 1.
float log_plus_1(float x)
{
    return x < 0.01 ? x * (1 - x * (1 / 2. - x * (1 / 3. - x * (1 / 4.)))) : log(1 + x);
}

void main()
{
    uint row = group_index(), me = gl_LocalInvocationID.x;
    if (row >= p.capacity)
        return;
    uint label = labels[row], first = row * p.ld;
    if (label == OP_NONE) {
        row_without_label(row);
        return;
    }

    float truth = logits[first + label];
    float largest = -3.4e38, others = 0, rank = 0;
    for (uint c = me; c < p.cols; c += gl_WorkGroupSize.x) {
        float x = logits[first + c], above = x - largest, smaller = exp(-abs(above));
        others = above > 0 ? (others + 1) * smaller : others + smaller;
        largest = max(largest, x);
        rank += float(x > truth || (x == truth && c < label));
    }
    float top = group_max(largest);
    float at_top = group_add(float(largest == top)); // invocations, of which one has the maximum
    others = largest == top ? others : (others + 1) * exp(largest - top);
    others = group_add(others) + (at_top - 1);
    rank = group_add(rank);

    if (me == 0) {
        stats[4 * row] = log_plus_1(others) + (top - truth);
        stats[4 * row + 1] = rank;
        stats[4 * row + 2] = log_plus_1(others);
        stats[4 * row + 3] = top;
    }
    if (p.gradient != 0) {
        memoryBarrierBuffer(); // all have read the label's logit, which one is about to write
        if (SHARED_BY == 0)
            barrier();
        float scale = 1 / (1 + others), times = p.unit != 0 ? scaling.scale * p.unit : 1;
        for (uint c = me; c < p.cols; c += gl_WorkGroupSize.x)
            logits[first + c] = (exp(logits[first + c] - top) * scale - float(c == label)) * times;
    }
}
