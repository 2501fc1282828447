// The embeddings in one pass: sum[t] = word[ids[t]] + type[types[t]] + position[positions[t]], in this order;
// its LayerNorm; and y, dropout of that.
//
//   0  step       step_in         in, unread without DROPS   6  position  f32[positions][cols]  in
//   1  ids        u32[tokens]     in                         7  gain      f32[cols]             in
//   2  types      u32[tokens]     in                         8  bias      f32[cols]             in
//   3  positions  u32[tokens]     in                         9  sum       act[tokens][cols]     out, for the backward
//   4  word       f32[V][cols]    in, or a part of it; PACKED: as matmul_packed has it
//   5  type       f32[types][cols]  in                      10  y         act[tokens][cols]     out
//                                                           11  stat      f32[tokens][2]        out: mean, rstd
//
// Constants: 0 workgroup size, 1 who shares a row (reduce.glsl), 2 FORMAT (row4.glsl), 3 DROPS: dropout, 4 PACKED.
// Grid: rows.glsl, a row a token. Tokens of words of another part are left to its run.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "rows.glsl"
#include "drop4.glsl"

layout(constant_id = 3) const uint DROPS = 1;
layout(constant_id = 4) const uint PACKED = 0;

layout(set = 0, binding = 0) readonly buffer step_buffer { step_in now; };
layout(set = 0, binding = 1) readonly buffer ids_buffer { uint ids[]; };
layout(set = 0, binding = 2) readonly buffer types_buffer { uint types[]; };
layout(set = 0, binding = 3) readonly buffer positions_buffer { uint positions[]; };
ROW4_IN(4, word)
ROW4_IN(5, type)
ROW4_IN(6, position)
ROW4_IN(7, gain)
ROW4_IN(8, bias)
ACT4_INOUT(9, sum)
ACT4_OUT(10, y)
layout(set = 0, binding = 11) writeonly buffer stat_buffer { vec2 stat[]; };
layout(push_constant) uniform push { embedding_params p; };

uvec3 draw = uvec3(0); // read once, not each turn

vec4 embedding_out(vec4 v, uint i)
{
    return DROPS != 0 ? drop4(v, draw, i, p.site, p.keep) : v;
}
#define NORM_OUT(v, i) embedding_out(v, i)
#include "norm.glsl"

// Columns c .. c+3 of a word of this part. Packed rows are of fours.
vec4 word_four(uint id, uint c)
{
    if (PACKED == 0)
        return word_at(id * p.cols + c, (id + 1) * p.cols);
    uint first = id / p.panel * p.panel, width = min(p.panel, p.count - first);
    return word4[(first * p.cols + (c / 4 * width + id - first) * 4) / 4];
}

void main()
{
    uint t = row_index();
    if (t >= p.tokens || ids[t] - p.first >= p.count) // another part's, also below first: unsigned
        return;
    uint w = ids[t] - p.first, k = types[t] * p.cols, q = positions[t] * p.cols;
    uint begin = t * p.cols, end = begin + p.cols;
    if (DROPS != 0)
        draw = uvec3(now.seed_low, now.seed_high, now.step);

    vec4 total = vec4(0);
    ROW_LOOP(i, begin, end) {
        uint c = i - begin;
        vec4 v = word_four(w, c) + type_at(k + c, k + p.cols) + position_at(q + c, q + p.cols);
        total += norm_sum(i, begin, end, v);
    }
    norm_row(t, p.cols, p.eps, total);
}
