// Matrix product for GPUs, of any layout, shape and type: matmul_tile.glsl has its bindings, constants and grid.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "matmul_tile.glsl"

// An invocation's 4 x 4 sums from row m and column n on, of batch c0: as fours, which a 16-bit row has
// all or none of, or one by one.
void store_fours(uint c0, uint m, uint n, vec4 sum[4])
{
    for (uint i = 0; i < 4; i++)
        if (m + i < p.m && n < p.n) {
            uint at = (c0 + (m + i) * p.ldc + n) / 4;
            vec4 four = p.alpha * sum[i];
            if (p.has_bias != 0)
                four += vec4(bias[n], bias[n + 1], bias[n + 2], bias[n + 3]);
            if (p.accumulate != 0)
                four += half_unpack(C_FORMAT, c2[at]);
            c2[at] = half_pack(C_FORMAT, four);
        }
}

void store_elements(uint c0, uint m0, uint n0, vec4 sum[4])
{
    for (uint i = 0; i < 4; i++)
        for (uint j = 0; j < 4; j++) {
            uint m = m0 + i, n = n0 + j;
            if (m < p.m && n < p.n) {
                float v = p.alpha * sum[i][j];
                if (p.has_bias != 0)
                    v += bias[n];
                if (p.accumulate != 0)
                    v += c[c0 + m * p.ldc + n];
                c[c0 + m * p.ldc + n] = v;
            }
        }
}

void main()
{
    vec4 sum[4];
    tile_product(sum);
    uint c0 = batch_start(p.c_outer, p.c_inner);
    uvec2 place = tile_place();
    if (C_FORMAT >= 2)
        store_fours(c0, place.x, place.y, sum);
    else
        store_elements(c0, place.x, place.y, sum);
}
