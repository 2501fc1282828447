// Dropout within a row: elements i .. i+3 of the tensor, which are no draw's four where rows are not of
// fours. Behind row4.glsl.
#extension GL_EXT_control_flow_attributes : require
#include "philox.glsl"

bvec4 drop4_kept(uvec3 draw, uint i, uint site, float keep)
{
    if (IN_FOURS)
        return philox_kept(draw.xy, i / 4, site, draw.z, keep);
    bvec4 kept;
    [[dont_unroll]] for (uint four = 0; four < 2; four++) { // a draw is long to compile
        bvec4 drawn = philox_kept(draw.xy, i / 4 + four, site, draw.z, keep);
        for (uint j = 0; j < 4; j++)
            if ((i % 4 + j) / 4 == four)
                kept[j] = drawn[(i + j) % 4];
    }
    return kept;
}

vec4 drop4(vec4 value, uvec3 draw, uint i, uint site, float keep)
{
    return mix(vec4(0), value / keep, drop4_kept(draw, i, site, keep));
}
