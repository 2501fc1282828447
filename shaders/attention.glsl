// What attention's kernels share: which keys a query sees, and dropout of the probabilities. Element e
// of [rows][heads][length][length] draws as op_dropout_apply does, which the plain backward uses. Where
// it is included, p has site and keep, and KEYS_ALIGNED says that fours of keys begin at a multiple of
// four elements.
#include "philox.glsl"

layout(constant_id = 3) const uint DROP = 0;

layout(set = 0, binding = 0) readonly buffer step_buffer { step_in now; };

// What the draws are keyed by, read before any loop: llvmpipe of Mesa 26.1.6 goes through the body of
// a loop of no turns once, and then crashes at a uniform read (README.md).
uvec3 draw_key;

void draws_begin()
{
    draw_key = DROP != 0 ? uvec3(now.seed_low, now.seed_high, now.step) : uvec3(0);
}

// Which of four keys a query of segment `own` sees.
bvec4 keys_seen(uint own, uvec4 keys)
{
    return own != 0 ? equal(keys, uvec4(own)) : notEqual(keys, uvec4(0));
}

bvec4 kept_of_four(uint four)
{
    return philox_kept(draw_key.xy, four, p.site, draw_key.z, p.keep);
}

// Which of elements i .. i+3 are kept.
bvec4 kept_from(uint i)
{
    bvec4 kept = kept_of_four(i / 4);
    if (KEYS_ALIGNED == 0 && i % 4 != 0) { // they lie in two fours
        bvec4 next = kept_of_four(i / 4 + 1);
        bool eight[8] = bool[8](kept.x, kept.y, kept.z, kept.w, next.x, next.y, next.z, next.w);
        for (uint j = 0; j < 4; j++)
            kept[j] = eight[i % 4 + j];
    }
    return kept;
}

// 1 / keep for those that are kept, 0 for those dropped.
vec4 drop_scale(uint i)
{
    return DROP == 0 ? vec4(1) : vec4(kept_from(i)) / p.keep;
}
