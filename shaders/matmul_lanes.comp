// Matrix product for software drivers, both operands k-major: a [k][m], b [k][n]. No barrier, no
// shared memory. Buffers and formula: matmul.glsl.
//
// The lanes of a subgroup hold neighbouring rows of a, read by one contiguous load, and a
// broadcast from a constant lane spreads them; an invocation keeps ROWS x COLUMNS sums, its
// columns a workgroup's size apart. Why: on llvmpipe (Mesa 25 and older) a load of one address in
// every lane costs 35 cycles, a contiguous one little, a broadcast from a constant lane nothing.
// Sums that spill cost less than loads.
//
// Constants: 0 workgroup size, 1 the subgroup's size LANES, which divides ROWS; 2 ROWS, 3 COLUMNS,
// 4 ACCUMULATE: what p.accumulate says; 5 USED: rows of a beyond used[0] are zeros, and are left out: 1 its m,
// 2 its k.
//
//   4  used  u32[1]  in, only read when USED
//
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
layout(constant_id = 4) const uint ACCUMULATE = 0;
layout(constant_id = 5) const uint USED = 0;
layout(set = 0, binding = 4) readonly buffer used_buffer { uint used[]; };

// Rows and columns beyond the last are moved onto it. An invocation then holds the last row several
// times, the same sums to the bit, and stores them over each other: a branch around each of 256
// stores made this kernel compile for 50 s instead of 2. For the same reason what c held is read
// by a loop that is not unrolled, four rows a turn.
uint row_of(uint i)
{
    return min(gl_WorkGroupID.y * ROWS + i, p.m - 1);
}

uint column_of(uint j)
{
    return (gl_WorkGroupID.x * COLUMNS + j) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
}

// Where the sums of this invocation end.
uint last_k()
{
    if (USED == 0)
        return p.k;
    if (USED == 2)
        return min(p.k, used[0]);
    return gl_WorkGroupID.y * ROWS < used[0] ? p.k : 0;
}

void main()
{
    uint ai[ROWS / LANES], bi[COLUMNS], ci[COLUMNS];
    [[unroll]] for (uint i = 0; i < ROWS / LANES; i++)
        ai[i] = batch_start(p.a_outer, p.a_inner) + row_of(i * LANES + gl_SubgroupInvocationID);
    [[unroll]] for (uint j = 0; j < COLUMNS; j++) {
        bi[j] = batch_start(p.b_outer, p.b_inner) + min(column_of(j), p.n - 1);
        ci[j] = batch_start(p.c_outer, p.c_inner) + min(column_of(j), p.n - 1);
    }

    float sum[ROWS][COLUMNS];
    [[unroll]] for (uint i = 0; i < ROWS; i++)
        [[unroll]] for (uint j = 0; j < COLUMNS; j++)
            sum[i][j] = 0;
    if (ACCUMULATE != 0)
        [[dont_unroll]] for (uint first = 0; first < ROWS; first += 4) {
            float old[4][COLUMNS];
            [[unroll]] for (uint i = 0; i < 4; i++)
                [[unroll]] for (uint j = 0; j < COLUMNS; j++)
                    old[i][j] = c[ci[j] + row_of(first + i) * p.ldc] / p.alpha;
            [[unroll]] for (uint i = 0; i < ROWS; i++)
                [[unroll]] for (uint j = 0; j < COLUMNS; j++)
                    sum[i][j] = i / 4 == first / 4 ? old[i % 4][j] : sum[i][j];
        }

    uint end = last_k();
    for (uint k = 0; k < end; k++) {
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

    [[unroll]] for (uint j = 0; j < COLUMNS; j++)
        if (column_of(j) < p.n) {
            float add = p.has_bias != 0 ? bias[column_of(j)] : 0;
            [[unroll]] for (uint i = 0; i < ROWS; i++)
                c[ci[j] + row_of(i) * p.ldc] = p.alpha * sum[i][j] + add;
        }
}
