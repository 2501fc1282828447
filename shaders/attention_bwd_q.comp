// Attention's backward, fused: the gradient of the queries, and delta for attention_bwd_kv. With g the
// gradient of a query's probabilities, dropped where they were,
//     delta = dcontext . context = sum over keys of g * probability
//     dq = scale * sum over keys of probability * (g - delta) * k
//
//   0  step      step_in                     in, only read with DROP
//   1  segments  uint[rows][length]          in
//   2  q  3 k  4 v                           act[rows * length][H]  in: rows ld apart
//   5  context  7 dcontext                   act[rows * length][H]  in
//   6  stats     f32[rows][heads][length][2] in: of attention_fwd
//   8  delta     f32[rows][heads][length]    out
//   9  dq        act[rows * length][H]       out: rows ld apart
//
// Constants and grid: attention_tile.glsl; a tile's rows are queries, its columns keys.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "attention_tile.glsl"

TILE_IN(2, q, p.ld)
TILE_IN(3, k, p.ld)
TILE_IN(4, v, p.ld)
TILE_IN(5, context, p.hidden)
layout(set = 0, binding = 6) readonly buffer stats_buffer { vec2 stats[]; };
TILE_IN(7, dcontext, p.hidden)
layout(set = 0, binding = 8) writeonly buffer delta_buffer { float delta_out[]; };
ACT4_OUT(9, dq)

void main()
{
    if (!tile_begin())
        return;
    find_columns(false);
    uint query0 = row0 + 4 * tm;
    uvec4 own = segments_at(query0);
    vec4 top = vec4(0), inverse = vec4(0), delta = vec4(0);
    for (uint k0 = 4 * tn; k0 < head_size; k0 += 32)
        [[dont_unroll]] for (uint i = 0; i < 4; i++)
            delta[i] += dot(dcontext_four(query0 + i, k0), context_four(query0 + i, k0));
    delta = rows_add(delta);
    [[unroll]] for (uint i = 0; i < 4; i++)
        if (query0 + i < p.row_length) {
            uint at = head_index * p.row_length + query0 + i;
            top[i] = stats[at].x;
            inverse[i] = stats[at].y;
            if (tn == 0)
                delta_out[at] = delta[i];
        }
    TILE_SUMS(result)

    TILE_COLUMNS(c0)
    {
        TILE_DOTS(score, q, k, c0)
        TILE_DOTS(g, dcontext, v, c0)
        uint kept = DROP != 0 ? kept_bits(query0, c0 + 4 * tn) : 0;
        uvec4 keys = segments_at(c0 + 4 * tn);
        [[unroll]] for (uint i = 0; i < 4; i++) {
            vec4 prob = mix(vec4(0), exp(score[i] * p.scale - top[i]) * inverse[i],
                            keys_seen(own[i], keys));
            if (DROP != 0)
                g[i] *= kept_scale(kept, i);
            score[i] = prob * (g[i] - delta[i]);
        }
        [[unroll]] for (uint j = 0; j < 4; j++)
            tile_store(j, vec4(score[0][j], score[1][j], score[2][j], score[3][j]));
        TILE_ADD(result, k, c0)
    }
    vec4 scale = vec4(p.scale);
    TILE_PUT(result, scale, dq, p.ld)
}
