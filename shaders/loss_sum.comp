// Adds a batch's loss and hits to the step's: cross_entropy's rows summed in a fixed order.
//
//   0  labels    u32[capacity]     in     constants: 0 local size, 1 reduce.glsl
//   1  stats     f32[capacity][4]  in     grid: one workgroup
//   2  step_out  step_out          added to: loss_sum, top1, top5; of pairs: pair_loss_sum, pairs, pairs_right
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#include "params.h"
#include "index.glsl"
#include "reduce.glsl"

layout(local_size_x_id = 0) in;
layout(set = 0, binding = 0) readonly buffer labels_buffer { uint labels[]; };
layout(set = 0, binding = 1) readonly buffer stats_buffer { float stats[]; };
layout(set = 0, binding = 2) buffer result_buffer { step_out result; };
layout(push_constant) uniform push { cross_entropy_params p; };

void main()
{
    uint me = gl_LocalInvocationID.x;
    float loss = 0, top1 = 0, top5 = 0, rows = 0; // counts are exact in fp32: capacity is below 2^24
    for (uint row = me; row < p.capacity; row += gl_WorkGroupSize.x)
        if (labels[row] != OP_NONE) {
            loss += stats[4 * row];
            rows++;
            top1 += float(stats[4 * row + 1] < 1);
            top5 += float(stats[4 * row + 1] < 5);
        }
    loss = group_add(loss);
    top1 = group_add(top1);
    top5 = group_add(top5);
    rows = group_add(rows);
    if (me != 0)
        return;
    if (p.of_pairs != 0) {
        result.pair_loss_sum += loss;
        result.pairs += uint(rows);
        result.pairs_right += uint(top1);
    } else {
        result.loss_sum += loss;
        result.top1 += uint(top1);
        result.top5 += uint(top5);
    }
}
