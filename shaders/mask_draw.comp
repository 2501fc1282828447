// Draws BERT's masks (Devlin et al. 2018, 3.1): selects tokens, replaces them, lists them in order.
//
//   0  step            step_in        in: seed, epoch
//   1  ids             u32[tokens]    in
//   2  attention_mask  u32[tokens]    in
//   3  examples        u32[rows]      in
//   4  masked_ids      u32[tokens]    out
//   5  index           u32[capacity]  out     constants: 0 local size, at most 256
//   6  labels          u32[capacity]  out     grid: one workgroup
//   7  step_out        step_out       added to: predictions, overflow
//
// Philox of (seed; position, example, epoch). Word 0 selects, word 1 chooses [MASK], a random id or
// the token itself, word 2 is the random id. An invocation has a run of tokens: it counts, learns how
// many are selected before its run, and draws the same again to write.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "index.glsl"
#include "philox.glsl"

layout(local_size_x_id = 0) in;
layout(set = 0, binding = 0) readonly buffer step_buffer { step_in now; };
layout(set = 0, binding = 1) readonly buffer ids_buffer { uint ids[]; };
layout(set = 0, binding = 2) readonly buffer attention_mask_buffer { uint attention_mask[]; };
layout(set = 0, binding = 3) readonly buffer examples_buffer { uint examples[]; };
layout(set = 0, binding = 4) writeonly buffer masked_ids_buffer { uint masked_ids[]; };
layout(set = 0, binding = 5) writeonly buffer index_buffer { uint index[]; };
layout(set = 0, binding = 6) writeonly buffer labels_buffer { uint labels[]; };
layout(set = 0, binding = 7) buffer result_buffer { step_out result; };
layout(push_constant) uniform push { mask_params p; };

shared uint counts[256];

uvec4 draw(uint t)
{
    return philox(uvec2(now.seed_low, now.seed_high),
                  uvec4(t % p.row_length, examples[t / p.row_length], now.epoch, PHILOX_MASK));
}

bool selected(uint t, uvec4 bits)
{
    uint id = ids[t];
    return attention_mask[t] != 0 && id != p.special0 && id != p.special1 && id != p.special2 &&
           philox_uniform(bits.x) < p.probability;
}

uint replacement(uint id, uvec4 bits)
{
    float u = philox_uniform(bits.y);
    uint random, low;
    umulExtended(bits.z, p.vocab_size, random, low);
    return u < p.mask_share ? p.mask_id : u < p.mask_share + p.random_share ? random : id;
}

// The sum of the counts of the invocations up to this one, itself included (Hillis and Steele 1986).
uint inclusive_scan(uint count)
{
    uint me = gl_LocalInvocationID.x;
    counts[me] = count;
    barrier();
    for (uint reach = 1; reach < gl_WorkGroupSize.x; reach *= 2) {
        uint other = me >= reach ? counts[me - reach] : 0;
        barrier();
        counts[me] += other;
        barrier();
    }
    return counts[me];
}

void main()
{
    uint me = gl_LocalInvocationID.x, size = gl_WorkGroupSize.x;
    uint run = (p.tokens + size - 1) / size;
    uint begin = min(me * run, p.tokens), end = min(begin + run, p.tokens);

    uint count = 0;
    for (uint t = begin; t < end; t++)
        count += uint(selected(t, draw(t)));
    uint at = inclusive_scan(count) - count;
    uint total = counts[size - 1], listed = min(total, p.capacity);

    for (uint t = begin; t < end; t++) {
        uvec4 bits = draw(t);
        uint id = ids[t], shown = id;
        if (selected(t, bits)) {
            if (at < p.capacity) {
                index[at] = t;
                labels[at] = id;
                shown = replacement(id, bits);
            }
            at++;
        }
        masked_ids[t] = shown;
    }
    for (uint i = listed + me; i < p.capacity; i += size)
        index[i] = labels[i] = OP_NONE;
    if (me == 0) {
        result.predictions += listed;
        result.overflow += total - listed;
    }
}
