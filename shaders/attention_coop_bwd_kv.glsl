// The gradients of keys and values by cooperative matrices: attention_bwd_kv.comp has the formula and the
// bindings, attention_coop.glsl constants and grid; rows are keys.
#define QUERIES_ARE_ROWS 0
#include "attention_coop.glsl"

COOP_IN(2, q, p.ld)
COOP_IN(3, k, p.ld)
COOP_IN(4, v, p.ld)
layout(set = 0, binding = 5) readonly buffer stats_buffer { vec2 stats[]; };
COOP_IN(6, dcontext, p.hidden)
layout(set = 0, binding = 7) readonly buffer delta_buffer { float delta[]; };
layout(set = 0, binding = 8) writeonly buffer dk_fours { uvec2 dk[]; };
layout(set = 0, binding = 9) writeonly buffer dv_fours { uvec2 dv[]; };
COOP_COLUMNS(q)
COOP_COLUMNS(dcontext)

shared vec4 gradients[SUBGROUPS * STRIP]; // of the probabilities
shared uvec4 dscores[SUBGROUPS * WEIGHT];
shared uvec4 key_segments[ROWS / 4];
shared vec3 query_stats[COLS]; // largest score, 1 / sum, delta
shared uint query_segments[COLS];

// Beyond the last query: no probability.
void queries_keep(uint c0)
{
    if (gl_LocalInvocationIndex < COLS) {
        uint query = c0 + gl_LocalInvocationIndex, at = head_index * p.row_length + query;
        vec3 three = vec3(0);
        if (query < end_seen)
            three = vec3(stats[at], delta[at]);
        query_stats[gl_LocalInvocationIndex] = three;
        query_segments[gl_LocalInvocationIndex] = segment_at(query, end_seen);
    }
}

void main()
{
    if (!rows_begin())
        return;
    find_columns(true);
    COOP_ROWS(x, k)
    COOP_ROWS(y, v)
    if (gl_LocalInvocationIndex < ROWS)
        key_segments[gl_LocalInvocationIndex / 4][gl_LocalInvocationIndex % 4] =
            segment_at(row0 + gl_LocalInvocationIndex, p.row_length);
    COOP_SUMS(keys_result)
    COOP_SUMS(values_result)

    q_fetch(first_seen);
    dcontext_fetch(first_seen);
    TILE_COLUMNS(c0)
    {
        barrier(); // the last tiles have been read
        q_keep(0);
        dcontext_keep(TILE);
        queries_keep(c0);
        barrier();
        q_fetch(c0 + COLS);
        dcontext_fetch(c0 + COLS);
        COOP_DOTS(scores, x, 0)
        COOP_DOTS(gradients, y, TILE)
        subgroupBarrier();
        COOP_EIGHTS(j, eight)
        {
            uvec2 dropped[2], halves[2];
            vec3 stat = query_stats[j];
            uint own = query_segments[j];
            for (uint h = 0; h < 2; h++) {
                uint four = 2 * eight + h, in_strip = OWN_STRIP + j * STRIP_ROW + four;
                uint key = OWN_ROW + 4 * four;
                vec4 prob = mix(vec4(0), exp(scores[in_strip] * p.scale - stat.x) * stat.y,
                                keys_seen(own, key_segments[key / 4]));
                vec4 w = prob, g = gradients[in_strip];
                if (DROP != 0) {
                    bvec4 kept = kept_from((head_index * p.row_length + c0 + j) * p.row_length + row0 + key);
                    w = mix(vec4(0), w, kept);
                    g = mix(vec4(0), g / p.keep, kept);
                }
                dropped[h] = half_pack(FORMAT, w);
                halves[h] = half_pack(FORMAT, prob * (g - stat.z));
            }
            uint to = OWN_WEIGHT + j * WEIGHT_ROW + eight;
            weights[to] = uvec4(dropped[0], dropped[1]);
            dscores[to] = uvec4(halves[0], halves[1]);
        }
        subgroupBarrier();
        COOP_ADD(values_result, weights, TILE)
        COOP_ADD(keys_result, dscores, 0)
    }
    COOP_PUT(keys_result, p.scale, dk, p.ld)
    COOP_PUT(values_result, 1 / p.keep, dv, p.ld)
}
