// Matrix product for GPUs: a workgroup computes TILE_M x 64 of c from tiles of 16 deep in shared
// memory, an invocation 4 x 4 of them. Any layout, any shape. Buffers and formula: matmul.glsl.
//
// Constants: 0 workgroup size = 4 * TILE_M; 1 TILE_M, 64 or, where a workgroup has less than 256
// invocations, 32; 2, 3 the operand is stored k-major: a [k][m], b [k][n], else a [m][k], b [n][k].
// Grid: n / 64, m / TILE_M, batch.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "params.h"
#include "matmul.glsl"

layout(constant_id = 1) const uint TILE_M = 64;
layout(constant_id = 2) const uint A_K_MAJOR = 0;
layout(constant_id = 3) const uint B_K_MAJOR = 0;
const uint TILE_N = 64, TILE_K = 16;

// [k][four columns]; one vec4 more a row, so that storing a row-major operand's columns does not
// keep hitting the same bank.
shared vec4 tile_a[TILE_K][TILE_M / 4 + 1];
shared vec4 tile_b[TILE_K][TILE_N / 4 + 1];

// Element e of a tile of `width` rows of the operand by TILE_K, in the order it is stored: x counts
// rows, y counts k.
uvec2 tile_place(uint e, uint width, uint k_major)
{
    return k_major != 0 ? uvec2(e % width, e / width) : uvec2(e / TILE_K, e % TILE_K);
}

void load_tiles(uint k0, uint m0, uint n0, uint a0, uint b0)
{
    for (uint e = gl_LocalInvocationID.x; e < TILE_M * TILE_K; e += gl_WorkGroupSize.x) {
        uvec2 at = tile_place(e, TILE_M, A_K_MAJOR);
        uint m = m0 + at.x, k = k0 + at.y;
        float v = 0;
        if (m < p.m && k < p.k)
            v = a[a0 + (A_K_MAJOR != 0 ? k * p.lda + m : m * p.lda + k)];
        tile_a[at.y][at.x / 4][at.x % 4] = v;
    }
    for (uint e = gl_LocalInvocationID.x; e < TILE_N * TILE_K; e += gl_WorkGroupSize.x) {
        uvec2 at = tile_place(e, TILE_N, B_K_MAJOR);
        uint n = n0 + at.x, k = k0 + at.y;
        float v = 0;
        if (n < p.n && k < p.k)
            v = b[b0 + (B_K_MAJOR != 0 ? k * p.ldb + n : n * p.ldb + k)];
        tile_b[at.y][at.x / 4][at.x % 4] = v;
    }
}

void main()
{
    uint m0 = gl_WorkGroupID.y * TILE_M, n0 = gl_WorkGroupID.x * TILE_N;
    uint a0 = batch_start(p.a_outer, p.a_inner), b0 = batch_start(p.b_outer, p.b_inner);
    uint tm = gl_LocalInvocationID.x / (TILE_N / 4), tn = gl_LocalInvocationID.x % (TILE_N / 4);

    vec4 sum[4] = vec4[4](vec4(0), vec4(0), vec4(0), vec4(0));
    for (uint k0 = 0; k0 < p.k; k0 += TILE_K) {
        barrier(); // the last tiles have been read
        load_tiles(k0, m0, n0, a0, b0);
        barrier();
        [[unroll]] for (uint k = 0; k < TILE_K; k++) {
            vec4 x = tile_a[k][tm], y = tile_b[k][tn];
            sum[0] += x.x * y;
            sum[1] += x.y * y;
            sum[2] += x.z * y;
            sum[3] += x.w * y;
        }
    }

    uint c0 = batch_start(p.c_outer, p.c_inner);
    for (uint i = 0; i < 4; i++)
        for (uint j = 0; j < 4; j++) {
            uint m = m0 + 4 * tm + i, n = n0 + 4 * tn + j;
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
