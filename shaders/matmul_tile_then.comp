// Matrix product and what follows it (op_then): matmul_tile.glsl and epilogue.glsl have bindings, constants and grid.
// A kernel of its own, because SwiftShader takes long to compile what matmul_tile would not use.
//
// Constant 7: EPILOGUE. Chunks of its sums are of TILE_M rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "matmul_tile.glsl"

layout(set = 0, binding = 3) buffer c_fours { vec4 c4[]; };
layout(constant_id = 7) const uint EPILOGUE = 0;
#define FORMAT C_FORMAT
#include "epilogue.glsl"

// Sums over the tile's rows, from those of each invocation's four on: in their order, for the same bits each time.
void put_sums(uint m, uint n, vec4 column)
{
    uint mine = m % TILE_M / 4, across = n % TILE_N / 4;
    barrier(); // the last tiles have been read
    tile_a[across][mine] = column;
    barrier();
    if (mine != 0 || n >= p.n)
        return;
    for (uint i = 1; i < TILE_M / 4; i++)
        column += tile_a[across][i];
    partial_put(m / TILE_M * p.n + n, (m / TILE_M + 1) * p.n, column);
}

void main()
{
    vec4 sum[4], column = vec4(0);
    tile_product(sum);
    uvec2 place = tile_place();
    fused_begin();
    for (uint i = 0; i < 4; i++)
        if (place.x + i < p.m && place.y < p.n)
            column += fused_put(place.x + i, place.y, sum[i]);
    if (THEN == MATMUL_GELU_BACK)
        put_sums(place.x, place.y, column);
}
