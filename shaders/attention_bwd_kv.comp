// Attention's backward, fused: the gradients of keys and values. With g and delta as attention_bwd_q
// has them,
//     dv = sum over queries of dropped probability * dcontext
//     dk = scale * sum over queries of probability * (g - delta) * q
//
//   0  step      step_in                     in, only read with DROP
//   1  segments  uint[rows][length]          in
//   2  q   3 k   4 v                         act[rows * length][H]  in: rows ld apart
//   5  stats     f32[rows][heads][length][2] in: of attention_fwd
//   6  dcontext  act[rows * length][H]       in
//   7  delta     f32[rows][heads][length]    in: of attention_bwd_q
//   8  dk   9 dv act[rows * length][H]       out: rows ld apart
//
// Constants and grid: attention_tile.glsl; a tile's rows are keys, its columns queries.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "attention_tile.glsl"

TILE_IN(2, q, p.ld)
TILE_IN(3, k, p.ld)
TILE_IN(4, v, p.ld)
layout(set = 0, binding = 5) readonly buffer stats_buffer { vec2 stats[]; };
TILE_IN(6, dcontext, p.hidden)
layout(set = 0, binding = 7) readonly buffer delta_buffer { float delta[]; };
ACT4_OUT(8, dk)
ACT4_OUT(9, dv)

void main()
{
    if (!tile_begin())
        return;
    find_columns(true);
    uvec4 keys = segments_at(row0 + 4 * tm);
    TILE_SUMS(keys_result)
    TILE_SUMS(values_result)

    TILE_COLUMNS(c0)
    {
        TILE_DOTS(score, k, q, c0)
        TILE_DOTS(g, v, dcontext, c0)
        uint kept = DROP != 0 ? kept_bits(c0 + 4 * tn, row0 + 4 * tm) : 0;
        uvec4 own = segments_at(c0 + 4 * tn);
        vec4 dscore[4]; // of a query and four keys
        [[unroll]] for (uint j = 0; j < 4; j++) {
            uint query = c0 + 4 * tn + j, at = head_index * p.row_length + query;
            // Beyond the last query: no probability.
            vec2 stat = query < p.row_length ? stats[at] : vec2(0);
            vec4 s = vec4(score[0][j], score[1][j], score[2][j], score[3][j]) * p.scale;
            vec4 prob = mix(vec4(0), exp(s - stat.x) * stat.y, keys_seen(own[j], keys));
            vec4 scale = DROP != 0 ? kept_scale(kept, j) : vec4(1);
            tile_store(j, prob * scale);
            vec4 gradient = vec4(g[0][j], g[1][j], g[2][j], g[3][j]) * scale;
            dscore[j] = prob * (gradient - (query < p.row_length ? delta[at] : 0));
        }
        TILE_ADD(values_result, dcontext, c0)
        barrier(); // the weights have been read
        [[unroll]] for (uint j = 0; j < 4; j++)
            tile_store(j, dscore[j]);
        TILE_ADD(keys_result, q, c0)
    }
    vec4 scale = vec4(p.scale), one = vec4(1);
    TILE_PUT(keys_result, scale, dk, p.ld)
    TILE_PUT(values_result, one, dv, p.ld)
}
