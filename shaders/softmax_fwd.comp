// Attention's probabilities: softmax over the keys that the mask leaves in, in place, and a copy of
// them after dropout. A row without any key gets zeros.
//
//   0  step     step_in           in, only read with DROP
//   1  mask     uint[seqs][cols]  in: attention_mask, 0: the key is left out
//   2  scores   f32[rows][cols]   in, out: probabilities
//   3  dropped  f32[rows][cols]   out, only written with DROP
//
// Constants: 0 workgroup size, 1 who shares a row (reduce.glsl), 2 cols is a multiple of 4, 3 DROP.
// Grid: rows.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "rows.glsl"
#include "attention.glsl"

layout(set = 0, binding = 1) readonly buffer mask_words { uint mask[]; };
layout(set = 0, binding = 1) readonly buffer mask_fours { uvec4 mask4[]; };
ROW4_INOUT(2, scores)
ROW4_OUT(3, dropped)

// Which of keys c .. c+3 are in, for a sequence whose mask begins at `first`.
bvec4 keys_in(uint first, uint c)
{
    if (ALIGNED != 0)
        return notEqual(mask4[(first + c) / 4], uvec4(0));
    bvec4 seen = bvec4(false);
    for (uint j = 0; j < 4; j++)
        if (c + j < p.cols)
            seen[j] = mask[first + c + j] != 0;
    return seen;
}

void main()
{
    uint row = row_index();
    if (row >= p.rows)
        return;
    uint begin = row * p.cols, end = begin + p.cols, first = row / p.rows_per_mask * p.cols;

    vec4 largest = vec4(-3.402823466e38);
    ROW_LOOP(i, begin, end)
        largest = mix(largest, max(largest, scores_at(i, end)), keys_in(first, i - begin));
    float top = group_max(max(max(largest.x, largest.y), max(largest.z, largest.w)));

    vec4 sums = vec4(0);
    ROW_LOOP(i, begin, end)
        sums += mix(vec4(0), exp(scores_at(i, end) - top), keys_in(first, i - begin));
    float sum = group_add(dot(sums, vec4(1)));
    float scale = sum > 0 ? 1 / sum : 0;

    ROW_LOOP(i, begin, end) {
        bvec4 seen = keys_in(first, i - begin);
        vec4 y = mix(vec4(0), exp(scores_at(i, end) - top) * scale, seen);
        scores_put(i, end, y);
        if (DROP != 0)
            dropped_put(i, end, y * drop_scale(i));
    }
}
