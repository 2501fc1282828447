// Attention, fused: context = dropout(softmax(scale q k^T)) v for each head, over the keys that the
// query's segment sees. Scores, probabilities and their sum live in the workgroup; sums so far shrink
// when a tile of keys has a larger score.
//
//   0  step      step_in                     in, only read with DROP
//   1  segments  uint[rows][length]          in
//   2  q   3 k   4 v  act[rows * length][H]  in: rows ld apart
//   5  context   act[rows * length][H]       out; zeros for a query that sees no key
//   6  stats     f32[rows][heads][length][2] out: largest score, 1 / sum of exp(score - largest)
//
// Constants and grid: attention_tile.glsl; a tile's rows are queries, its columns keys.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "attention_tile.glsl"

TILE_IN(2, q, p.ld)
TILE_IN(3, k, p.ld)
TILE_IN(4, v, p.ld)
ACT4_OUT(5, context)
layout(set = 0, binding = 6) writeonly buffer stats_buffer { vec2 stats[]; };

void main()
{
    if (!tile_begin())
        return;
    find_columns(false);
    uvec4 own = segments_at(row0 + 4 * tm);
    vec4 top = vec4(LEAST), sum = vec4(0); // of four queries; sum: of this invocation's keys only
    TILE_SUMS(result)

    TILE_COLUMNS(c0)
    {
        TILE_DOTS(score, q, k, c0)
        uvec4 keys = segments_at(c0 + 4 * tn);
        vec4 best = top;
        [[unroll]] for (uint i = 0; i < 4; i++) {
            score[i] = mix(vec4(LEAST), score[i] * p.scale, keys_seen(own[i], keys));
            vec2 pair = max(score[i].xy, score[i].zw);
            best[i] = max(best[i], max(pair.x, pair.y));
        }
        best = rows_max(best);
        vec4 shrink = exp(top - best);
        top = best;
        sum *= shrink;
        [[unroll]] for (uint f = 0; f < FOURS; f++)
            [[unroll]] for (uint i = 0; i < 4; i++)
                result[f][i] *= shrink[i];

        uint kept = DROP != 0 ? kept_bits(row0 + 4 * tm, c0 + 4 * tn) : 0;
        [[unroll]] for (uint i = 0; i < 4; i++) {
            score[i] = mix(vec4(0), exp(score[i] - top[i]), keys_seen(own[i], keys));
            sum[i] += dot(score[i], vec4(1));
            if (DROP != 0)
                score[i] *= kept_scale(kept, i);
        }
        [[unroll]] for (uint j = 0; j < 4; j++)
            tile_store(j, vec4(score[0][j], score[1][j], score[2][j], score[3][j]));
        TILE_ADD(result, v, c0)
    }

    sum = rows_add(sum);
    vec4 scale = mix(vec4(0), 1 / sum, greaterThan(sum, vec4(0)));
    TILE_PUT(result, scale, context, p.hidden)
    [[unroll]] for (uint i = 0; i < 4; i++)
        if (tn == 0 && row0 + 4 * tm + i < p.row_length)
            stats[head_index * p.row_length + row0 + 4 * tm + i] = vec2(top[i], scale[i]);
}
