// What both directions of attention's softmax share: dropout of the probabilities. Element e of
// [rows][cols] draws as op_dropout_apply does, which the backward uses for the probabilities.
#include "philox.glsl"

layout(constant_id = 3) const uint DROP = 0;

layout(set = 0, binding = 0) readonly buffer step_buffer { step_in now; };
layout(push_constant) uniform push { softmax_params p; };

bvec4 kept_of_four(uint four)
{
    return philox_kept(uvec2(now.seed_low, now.seed_high), four, p.site, now.step, p.keep);
}

// 1 / keep for elements i .. i+3 that are kept, 0 for those dropped.
vec4 drop_scale(uint i)
{
    if (DROP == 0)
        return vec4(1);
    bvec4 kept = kept_of_four(i / 4);
    if (ALIGNED == 0 && i % 4 != 0) { // they lie in two fours
        bvec4 next = kept_of_four(i / 4 + 1);
        bool eight[8] = bool[8](kept.x, kept.y, kept.z, kept.w, next.x, next.y, next.z, next.w);
        for (uint j = 0; j < 4; j++)
            kept[j] = eight[i % 4 + j];
    }
    return vec4(kept) / p.keep;
}
