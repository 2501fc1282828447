// The gradient of the queries by cooperative matrices: attention_bwd_q.comp has the formula and the
// bindings, attention_coop.glsl constants and grid; rows are queries.
#define QUERIES_ARE_ROWS 1
#include "attention_coop.glsl"

COOP_IN(2, q, p.ld)
COOP_IN(3, k, p.ld)
COOP_IN(4, v, p.ld)
layout(set = 0, binding = 5) readonly buffer context_fours { uvec2 context[]; };
layout(set = 0, binding = 6) readonly buffer stats_buffer { vec2 stats[]; };
COOP_IN(7, dcontext, p.hidden)
layout(set = 0, binding = 8) writeonly buffer delta_buffer { float delta_out[]; };
layout(set = 0, binding = 9) writeonly buffer dq_fours { uvec2 dq[]; };
COOP_COLUMNS(k)
COOP_COLUMNS(v)

shared vec4 gradients[SUBGROUPS * STRIP]; // of the probabilities
shared uvec4 key_segments[COLS / 4];

// dcontext . context of a query, by all invocations that have it.
float delta_of(uint query)
{
    float part = 0;
    if (query < p.row_length)
        for (uint k = gl_SubgroupInvocationID / FM * 4; k < head_size; k += LANES / FM * 4) {
            uint at = (head_start(query, p.hidden) + k) / 4;
            part += dot(half_unpack(FORMAT, dcontext4[at]), half_unpack(FORMAT, context[at]));
        }
    scores[OWN_STRIP + gl_SubgroupInvocationID] = vec4(part);
    subgroupBarrier();
    float delta = 0;
    for (uint n = gl_SubgroupInvocationID % FM; n < LANES; n += FM)
        delta += scores[OWN_STRIP + n].x;
    return delta;
}

void main()
{
    if (!rows_begin())
        return;
    find_columns(false);
    COOP_ROWS(x, q)
    COOP_ROWS(y, dcontext)
    uint query = row0 + OWN_ROW + gl_SubgroupInvocationID % FM, at = head_index * p.row_length + query;
    uint own = segment_at(query, p.row_length);
    float delta = delta_of(query);
    vec2 stat = vec2(0);
    if (query < p.row_length) {
        stat = stats[at];
        if (gl_SubgroupInvocationID < FM)
            delta_out[at] = delta;
    }
    COOP_SUMS(result)

    k_fetch(first_seen);
    v_fetch(first_seen);
    TILE_COLUMNS(c0)
    {
        barrier(); // the last tiles have been read
        k_keep(0);
        v_keep(TILE);
        if (gl_LocalInvocationIndex < COLS)
            key_segments[gl_LocalInvocationIndex / 4][gl_LocalInvocationIndex % 4] =
                segment_at(c0 + gl_LocalInvocationIndex, end_seen);
        barrier();
        k_fetch(c0 + COLS);
        v_fetch(c0 + COLS);
        COOP_DOTS(scores, x, 0)
        COOP_DOTS(gradients, y, TILE)
        subgroupBarrier();
        COOP_EIGHTS(i, eight)
        {
            uvec2 halves[2];
            for (uint h = 0; h < 2; h++) {
                uint four = 2 * eight + h, in_strip = OWN_STRIP + i * STRIP_ROW + four;
                vec4 prob = mix(vec4(0), exp(scores[in_strip] * p.scale - stat.x) * stat.y,
                                keys_seen(own, key_segments[four]));
                vec4 g = gradients[in_strip];
                if (DROP != 0)
                    g = mix(vec4(0), g / p.keep, kept_from(at * p.row_length + c0 + 4 * four));
                halves[h] = half_pack(FORMAT, prob * (g - delta));
            }
            weights[OWN_WEIGHT + i * WEIGHT_ROW + eight] = uvec4(halves[0], halves[1]);
        }
        subgroupBarrier();
        COOP_ADD(result, weights, 0)
    }
    COOP_PUT(result, p.scale, dq, p.ld)
}
