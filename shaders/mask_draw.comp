// Draws BERT's masks (Devlin et al. 2018, 3.1): selects tokens, replaces them, lists them in order.
//
//   0  step        step_in        in: seed, epoch
//   1  ids         u32[tokens]    in
//   2  segments    u32[tokens]    in: 0 is padding
//   3  examples    u32[rows]      in
//   4  continues   u32[vocab/32]  in: bits, only read with whole_word
//   5  masked_ids  u32[tokens]    out
//   6  index       u32[capacity]  out     constants: 0 local size, at most 256
//   7  labels      u32[capacity]  out     grid: one workgroup
//   8  step_out    step_out       added to: predictions, overflow
//
// Philox of (seed; position, example, epoch). Word 0 selects, word 1 chooses [MASK], a random id or
// the token itself, word 2 is the random id. With whole_word the first piece of a word selects all of
// it, and words 1 and 2 stay each piece's own. An invocation has a run of tokens: it counts, learns
// how many are listed before its run, and draws the same again to write.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "index.glsl"
#include "philox.glsl"
#include "scan.glsl"

layout(set = 0, binding = 0) readonly buffer step_buffer { step_in now; };
layout(set = 0, binding = 1) readonly buffer ids_buffer { uint ids[]; };
layout(set = 0, binding = 2) readonly buffer segments_buffer { uint segments[]; };
layout(set = 0, binding = 3) readonly buffer examples_buffer { uint examples[]; };
layout(set = 0, binding = 4) readonly buffer continues_buffer { uint continues[]; };
layout(set = 0, binding = 5) writeonly buffer masked_ids_buffer { uint masked_ids[]; };
layout(set = 0, binding = 6) writeonly buffer index_buffer { uint index[]; };
layout(set = 0, binding = 7) writeonly buffer labels_buffer { uint labels[]; };
layout(set = 0, binding = 8) buffer result_buffer { step_out result; };
layout(push_constant) uniform push { mask_params p; };

uvec4 draw(uint t)
{
    return philox(uvec2(now.seed_low, now.seed_high),
                  uvec4(t % p.row_length, examples[t / p.row_length], now.epoch, PHILOX_MASK));
}

bool maskable(uint t)
{
    uint id = ids[t];
    return segments[t] != 0 && id != p.special0 && id != p.special1 && id != p.special2;
}

// The token whose draw decides: t itself, or the first piece of its word in the row.
uint deciding(uint t)
{
    if (p.whole_word != 0)
        while (t % p.row_length != 0 && (continues[ids[t] / 32] >> ids[t] % 32 & 1) != 0 &&
               segments[t - 1] == segments[t] && maskable(t - 1))
            t--;
    return t;
}

bool selected(uint t)
{
    return maskable(t) && philox_uniform(draw(deciding(t)).x) < p.probability;
}

uint replacement(uint id, uvec4 bits)
{
    float u = philox_uniform(bits.y);
    uint random, low;
    umulExtended(bits.z, p.vocab_size, random, low);
    return u < p.mask_share ? p.mask_id : u < p.mask_share + p.random_share ? random : id;
}

void main()
{
    uint me = gl_LocalInvocationID.x, size = gl_WorkGroupSize.x;
    uint run = (p.tokens + size - 1) / size;
    uint begin = min(me * run, p.tokens), end = min(begin + run, p.tokens);

    uint count = 0;
    for (uint t = begin; t < end; t++)
        count += uint(p.label_all != 0 ? segments[t] != 0 : selected(t));
    uint at = inclusive_scan(count) - count;
    uint total = scan_counts[size - 1], listed = min(total, p.capacity);

    for (uint t = begin; t < end; t++) {
        uint id = ids[t], shown = id;
        bool chosen = selected(t), label = p.label_all != 0 ? segments[t] != 0 : chosen;
        if (label && at < p.capacity) {
            index[at] = t;
            labels[at] = id;
        }
        if (chosen && at < p.capacity)
            shown = replacement(id, draw(t));
        at += uint(label);
        masked_ids[t] = shown;
    }
    for (uint i = listed + me; i < p.capacity; i += size)
        index[i] = labels[i] = OP_NONE;
    if (me == 0) {
        result.predictions += listed;
        result.overflow += total - listed;
    }
}
