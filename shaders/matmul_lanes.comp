// Matrix product for software drivers, both operands k-major: a [k][m], b [k][n]. No barrier, no shared
// memory. Buffers and formula: matmul.glsl.
//
// The lanes of a subgroup hold neighbouring rows of a, read by one contiguous load, and a broadcast from
// a constant lane spreads them; an invocation keeps ROWS x COLUMNS sums, its columns a workgroup's size
// apart. Why: on llvmpipe (Mesa 25 and older) a load of one address in every lane costs 35 cycles, a
// contiguous one little, a broadcast from a constant lane nothing. Sums that spill cost less than loads.
//
// Constants: 0 workgroup size, 1 the subgroup's size LANES, which divides ROWS; 2 ROWS, 3 COLUMNS,
// 4 WHOLE: m and n are multiples of what a workgroup computes, so that no store is guarded.
// Grid: n / (COLUMNS * workgroup size), m / ROWS, batch.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require
#include "params.h"
#include "matmul.glsl"

layout(constant_id = 1) const uint LANES = 8;
layout(constant_id = 2) const uint ROWS = 64;
layout(constant_id = 3) const uint COLUMNS = 4;
layout(constant_id = 4) const uint WHOLE = 0;

void main()
{
    uint m0 = gl_WorkGroupID.y * ROWS;
    uint n0 = gl_WorkGroupID.x * gl_WorkGroupSize.x * COLUMNS + gl_LocalInvocationID.x;

    // Loads beyond the last row or column are moved onto it; what they give is not stored.
    uint ai[ROWS / LANES], bi[COLUMNS];
    [[unroll]] for (uint i = 0; i < ROWS / LANES; i++)
        ai[i] = batch_start(p.a_outer, p.a_inner) + min(m0 + i * LANES + gl_SubgroupInvocationID, p.m - 1);
    [[unroll]] for (uint j = 0; j < COLUMNS; j++)
        bi[j] = batch_start(p.b_outer, p.b_inner) + min(n0 + j * gl_WorkGroupSize.x, p.n - 1);

    float sum[ROWS][COLUMNS];
    [[unroll]] for (uint i = 0; i < ROWS; i++)
        [[unroll]] for (uint j = 0; j < COLUMNS; j++)
            sum[i][j] = 0;

    for (uint k = 0; k < p.k; k++) {
        float x[ROWS / LANES], y[COLUMNS];
        [[unroll]] for (uint j = 0; j < COLUMNS; j++)
            y[j] = b[bi[j] + k * p.ldb];
        [[unroll]] for (uint i = 0; i < ROWS / LANES; i++)
            x[i] = a[ai[i] + k * p.lda];
        [[unroll]] for (uint i = 0; i < ROWS; i++) {
            float v = subgroupBroadcast(x[i / LANES], i % LANES);
            [[unroll]] for (uint j = 0; j < COLUMNS; j++)
                sum[i][j] += v * y[j];
        }
    }

    uint c0 = batch_start(p.c_outer, p.c_inner);
    [[unroll]] for (uint j = 0; j < COLUMNS; j++) {
        uint n = n0 + j * gl_WorkGroupSize.x;
        if (WHOLE == 0 && n >= p.n)
            continue;
        float add = p.has_bias != 0 ? bias[n] : 0;
        [[unroll]] for (uint i = 0; i < ROWS; i++) {
            uint m = m0 + i;
            if (WHOLE == 0 && m >= p.m)
                continue;
            float v = p.alpha * sum[i][j] + add;
            if (p.accumulate != 0)
                v += c[c0 + m * p.ldc + n];
            c[c0 + m * p.ldc + n] = v;
        }
    }
}
