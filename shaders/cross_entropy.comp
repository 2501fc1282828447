// Softmax cross entropy of one row of logits and its gradient, softmax - onehot, in place.
//
//   0  labels  u32[capacity]        in; OP_NONE: the row does not count, all its results are 0
//   1  logits  act[capacity][ld]    in and out, cols of them; with p.gradient written, what is behind cols 0
//   2  stats   f32[capacity][4]     out: loss, rank of the label, log of the sum, maximum
//   3  scaling loss_scale           in, only read with p.unit: what the gradient is multiplied with
//   constants: 0 local size, 1 reduce.glsl, 2 FORMAT (row4.glsl)   grid: one workgroup a row
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
#include "row4.glsl"

layout(local_size_x_id = 0) in;
layout(set = 0, binding = 0) readonly buffer labels_buffer { uint labels[]; };
ACT4_INOUT(1, logits)
layout(set = 0, binding = 2) writeonly buffer stats_buffer { float stats[]; };
layout(set = 0, binding = 3) readonly buffer scaling_buffer { loss_scale scaling; };
layout(push_constant) uniform push { cross_entropy_params p; };

// Columns c .. c+3 of the row, four neighbours an invocation's turn.
#define EACH_FOUR(c, count)                                                                        \
    for (uint c = 4 * gl_LocalInvocationID.x; c < (count); c += 4 * gl_WorkGroupSize.x)

void row_without_label(uint row)
{
    uint first = row * p.ld, end = first + p.ld;
    if (p.gradient != 0)
        EACH_FOUR(c, p.ld)
            logits_put(first + c, end, vec4(0));
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
    uint label = labels[row], first = row * p.ld, end = first + p.ld;
    if (label == OP_NONE) {
        row_without_label(row);
        return;
    }

    float truth = logits_at(first + label / 4 * 4, end)[label % 4];
    vec4 largest = vec4(-3.4e38), others = vec4(0), ranks = vec4(0); // each of the four for itself
    EACH_FOUR(c, p.cols) {
        uvec4 column = c + uvec4(0, 1, 2, 3);
        bvec4 valid = lessThan(column, uvec4(p.cols));
        vec4 x = mix(largest, logits_at(first + c, end), valid);
        vec4 above = x - largest, smaller = exp(-abs(above));
        others = mix(others + smaller * vec4(valid), (others + 1) * smaller,
                     greaterThan(above, vec4(0)));
        largest = max(largest, x);
        ranks += vec4(valid) * max(vec4(greaterThan(x, vec4(truth))),
                                   vec4(equal(x, vec4(truth))) * vec4(lessThan(column, uvec4(label))));
    }
    float most = max(max(largest.x, largest.y), max(largest.z, largest.w)), top = group_max(most);
    float at_top = group_add(dot(vec4(equal(largest, vec4(top))), vec4(1))); // of which one is the maximum
    vec4 of_four = mix((others + 1) * exp(largest - top), others, equal(largest, vec4(top)));
    float sum = group_add(dot(of_four, vec4(1))) + (at_top - 1), rank = group_add(dot(ranks, vec4(1)));

    if (me == 0) {
        stats[4 * row] = log_plus_1(sum) + (top - truth);
        stats[4 * row + 1] = rank;
        stats[4 * row + 2] = log_plus_1(sum);
        stats[4 * row + 3] = top;
    }
    if (p.gradient != 0) {
        groupMemoryBarrier(); // all have read the label's logit, which one is about to write
        if (SHARED_BY == 0)
            barrier();
        float scale = 1 / (1 + sum), times = p.unit != 0 ? scaling.scale * p.unit : 1;
        EACH_FOUR(c, p.ld) {
            uvec4 column = c + uvec4(0, 1, 2, 3);
            vec4 d = exp(logits_at(first + c, end) - top) * scale - vec4(equal(column, uvec4(label)));
            logits_put(first + c, end, mix(vec4(0), d * times, lessThan(column, uvec4(p.cols))));
        }
    }
}
