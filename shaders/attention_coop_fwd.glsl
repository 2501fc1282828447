// Attention's forward by cooperative matrices: attention_fwd.comp has the formula and the bindings,
// attention_coop.glsl constants and grid; rows are queries.
//
// Two passes over the keys: the first finds each query's largest score and the sum, so that nothing has
// to shrink in the second. That is one more product, which the matrices have to spare; the time is in the
// draws of dropout and exp.
#define QUERIES_ARE_ROWS 1
#include "attention_coop.glsl"

COOP_IN(2, q, p.ld)
COOP_IN(3, k, p.ld)
COOP_IN(4, v, p.ld)
layout(set = 0, binding = 5) writeonly buffer context_fours { uvec2 context[]; };
layout(set = 0, binding = 6) writeonly buffer stats_buffer { vec2 stats[]; };
COOP_COLUMNS(k)
COOP_COLUMNS(v)

shared uvec4 key_segments[COLS / 4];
shared float factors[ROWS]; // 1 / (sum * keep)

void segments_keep(uint c0)
{
    if (gl_LocalInvocationIndex < COLS)
        key_segments[gl_LocalInvocationIndex / 4][gl_LocalInvocationIndex % 4] =
            segment_at(c0 + gl_LocalInvocationIndex, end_seen);
}

// Of fours of a strip.
vec4 score_of(uint query, uint four)
{
    return scores[OWN_STRIP + query * STRIP_ROW + four] * p.scale;
}

void main()
{
    if (!rows_begin())
        return;
    find_columns(false);
    COOP_ROWS(x, q)
    // An invocation has keys of this one query; its best and sum are of those alone at first.
    uint query = row0 + OWN_ROW + gl_SubgroupInvocationID % FM;
    uint own = segment_at(query, p.row_length);
    float top = LEAST, sum = 0;

    k_fetch(first_seen);
    TILE_COLUMNS(c0)
    {
        barrier(); // the last tile has been read
        k_keep(0);
        segments_keep(c0);
        barrier();
        k_fetch(c0 + COLS);
        COOP_DOTS(scores, x, 0)
        subgroupBarrier();
        COOP_EIGHTS(i, eight)
        {
            bvec4 low = keys_seen(own, key_segments[2 * eight]);
            bvec4 high = keys_seen(own, key_segments[2 * eight + 1]);
            vec4 s = mix(vec4(LEAST), score_of(i, 2 * eight), low);
            vec4 t = mix(vec4(LEAST), score_of(i, 2 * eight + 1), high);
            vec4 most = max(s, t);
            float best = max(top, max(max(most.x, most.y), max(most.z, most.w)));
            vec4 all = mix(vec4(0), exp(s - best), low) + mix(vec4(0), exp(t - best), high);
            sum = sum * exp(top - best) + dot(all, vec4(1));
            top = best;
        }
    }

    subgroupBarrier();
    scores[OWN_STRIP + gl_SubgroupInvocationID] = vec4(top, sum, 0, 0);
    subgroupBarrier();
    for (uint n = gl_SubgroupInvocationID % FM; n < LANES; n += FM)
        top = max(top, scores[OWN_STRIP + n].x);
    sum = 0;
    for (uint n = gl_SubgroupInvocationID % FM; n < LANES; n += FM)
        sum += scores[OWN_STRIP + n].y * exp(scores[OWN_STRIP + n].x - top);
    float inverse = sum > 0 ? 1 / sum : 0;
    if (gl_SubgroupInvocationID < FM) {
        factors[OWN_ROW + gl_SubgroupInvocationID] = inverse / p.keep;
        if (query < p.row_length)
            stats[head_index * p.row_length + query] = vec2(top, inverse);
    }
    COOP_SUMS(result)

    k_fetch(first_seen);
    v_fetch(first_seen);
    TILE_COLUMNS(c0)
    {
        barrier();
        k_keep(0);
        v_keep(TILE);
        segments_keep(c0);
        barrier();
        k_fetch(c0 + COLS);
        v_fetch(c0 + COLS);
        COOP_DOTS(scores, x, 0)
        subgroupBarrier();
        COOP_EIGHTS(i, eight)
        {
            uvec2 halves[2];
            for (uint h = 0; h < 2; h++) {
                uint four = 2 * eight + h;
                bvec4 seen = keys_seen(own, key_segments[four]);
                vec4 w = mix(vec4(0), exp(score_of(i, four) - top), seen);
                if (DROP != 0)
                    w = mix(vec4(0), w, kept_from((head_index * p.row_length + query) * p.row_length + c0 + 4 * four));
                halves[h] = half_pack(FORMAT, w);
            }
            weights[OWN_WEIGHT + i * WEIGHT_ROW + eight] = uvec4(halves[0], halves[1]);
        }
        subgroupBarrier();
        COOP_ADD(result, weights, TILE)
    }
    COOP_PUT(result, factors[row_], context, p.hidden)
}
