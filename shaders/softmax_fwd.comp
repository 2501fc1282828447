// Attention's probabilities: softmax over the keys of the query's own segment, in place, and a copy of
// them after dropout. A query of segment 0 (padding) has the keys of every segment but 0. A row
// without any key gets zeros.
//
//   0  step      step_in           in, only read with DROP
//   1  segments  uint[seqs][cols]  in
//   2  scores    f32[rows][cols]   in, out: probabilities. Rows of a sequence: heads, then cols queries
//   3  dropped   f32[rows][cols]   out, only written with DROP
//
// Constants: 0 workgroup size, 1 who shares a row (reduce.glsl), 2 FORMAT (row4.glsl), of fp32, 3 DROP.
// Grid: rows.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "rows.glsl"
layout(push_constant) uniform push { softmax_params p; };
#define KEYS_ALIGNED uint(IN_FOURS)
#include "attention.glsl"

layout(set = 0, binding = 1) readonly buffer segment_words { uint segments[]; };
layout(set = 0, binding = 1) readonly buffer segment_fours { uvec4 segments4[]; };
ROW4_INOUT(2, scores)
ROW4_OUT(3, dropped)

// Which of keys c .. c+3 a query of segment `own` sees, in a sequence whose segments begin at `first`.
bvec4 keys_in(uint own, uint first, uint c)
{
    uvec4 keys = uvec4(0);
    if (IN_FOURS)
        keys = segments4[(first + c) / 4];
    else
        for (uint j = 0; j < 4; j++)
            if (c + j < p.cols)
                keys[j] = segments[first + c + j];
    return keys_seen(own, keys);
}

void main()
{
    uint row = row_index();
    if (row >= p.rows)
        return;
    draws_begin();
    uint begin = row * p.cols, end = begin + p.cols, first = row / p.rows_per_mask * p.cols;
    uint own = segments[first + row % p.cols];

    vec4 largest = vec4(-3.402823466e38);
    ROW_LOOP(i, begin, end)
        largest = mix(largest, max(largest, scores_at(i, end)), keys_in(own, first, i - begin));
    float top = group_max(max(max(largest.x, largest.y), max(largest.z, largest.w)));

    vec4 sums = vec4(0);
    ROW_LOOP(i, begin, end)
        sums += mix(vec4(0), exp(scores_at(i, end) - top), keys_in(own, first, i - begin));
    float sum = group_add(dot(sums, vec4(1)));
    float scale = sum > 0 ? 1 / sum : 0;

    ROW_LOOP(i, begin, end) {
        bvec4 seen = keys_in(own, first, i - begin);
        vec4 y = mix(vec4(0), exp(scores_at(i, end) - top) * scale, seen);
        scores_put(i, end, y);
        if (DROP != 0)
            dropped_put(i, end, y * drop_scale(i));
    }
}
