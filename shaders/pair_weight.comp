// Gives the gradient of the NSP losses its weight beside that of the MLM losses: predictions / pairs of
// the micro-batch (src/bert/bert.h, bert_loss).
//
//   0  labels         u32[predictions]  in: OP_NONE does not count
//   1  next_sentence  u32[rows]         in: OP_NONE does not count
//   2  logits         f32[rows][2]      in, out     constants: 0 local size, 1 reduce.glsl
//                                                   grid: one workgroup
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#include "params.h"
#include "index.glsl"
#include "reduce.glsl"

layout(local_size_x_id = 0) in;
layout(set = 0, binding = 0) readonly buffer labels_buffer { uint labels[]; };
layout(set = 0, binding = 1) readonly buffer next_sentence_buffer { uint next_sentence[]; };
layout(set = 0, binding = 2) buffer logits_buffer { float logits[]; };
layout(push_constant) uniform push { pair_params p; };

void main()
{
    uint me = gl_LocalInvocationID.x;
    float predictions = 0, pairs = 0; // exact in fp32: below 2^24
    for (uint i = me; i < p.predictions; i += gl_WorkGroupSize.x)
        predictions += float(labels[i] != OP_NONE);
    for (uint row = me; row < p.rows; row += gl_WorkGroupSize.x)
        pairs += float(next_sentence[row] != OP_NONE);
    predictions = group_add(predictions);
    pairs = group_add(pairs);
    float weight = pairs > 0 ? predictions / pairs : 0;
    for (uint i = me; i < 2 * p.rows; i += gl_WorkGroupSize.x)
        logits[i] *= weight;
}
