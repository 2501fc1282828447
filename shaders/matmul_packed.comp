// y = x W^T for software drivers, W packed in panels (src/ops/packed.c): nothing is transposed, nothing
// waits at a barrier. Buffers and formula: matmul.glsl, with a and b read four floats at a time.
//
//   a  x as it lies, f32[m][lda], lda a multiple of 4
//   b  panels of COLUMNS * workgroup size columns of y (rows of W), the last one narrower:
//      f32[k / 4][width][4]
//
// As in matmul_lanes the lanes of a subgroup hold rows of x, which a broadcast spreads. A load costs
// these drivers a loop over the lanes, whatever it loads: four steps of k share one. Each sum runs over
// k in its order, so that a row's result is the same to the bit in every batch.
//
// Constants: 0 workgroup size, 1 the subgroup's size LANES, which divides ROWS; 2 ROWS, 3 COLUMNS.
// Grid: n / (COLUMNS * workgroup size), m / ROWS.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require
#include "params.h"

layout(local_size_x_id = 0) in;
layout(set = 0, binding = 0) readonly buffer a_buffer { vec4 a[]; };
layout(set = 0, binding = 1) readonly buffer b_buffer { vec4 b[]; };
layout(set = 0, binding = 2) readonly buffer bias_buffer { float bias[]; };
layout(set = 0, binding = 3) buffer c_buffer { float c[]; };
layout(push_constant) uniform push { matmul_params p; };

layout(constant_id = 1) const uint LANES = 8;
layout(constant_id = 2) const uint ROWS = 16;
layout(constant_id = 3) const uint COLUMNS = 8;

// Rows and columns beyond the last are moved onto it, as in matmul_lanes.
uint row_of(uint i)
{
    return min(gl_WorkGroupID.y * ROWS + i, p.m - 1);
}

uint column_in_panel(uint j)
{
    return j * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
}

void main()
{
    const uint panel = COLUMNS * gl_WorkGroupSize.x;
    uint first = gl_WorkGroupID.x * panel, width = min(panel, p.n - first), fours = p.k / 4;
    uint ai[ROWS / LANES], bi[COLUMNS];
    [[unroll]] for (uint i = 0; i < ROWS / LANES; i++)
        ai[i] = row_of(i * LANES + gl_SubgroupInvocationID) * (p.lda / 4);
    [[unroll]] for (uint j = 0; j < COLUMNS; j++)
        bi[j] = first * fours + min(column_in_panel(j), width - 1);

    float sum[ROWS][COLUMNS];
    [[unroll]] for (uint i = 0; i < ROWS; i++)
        [[unroll]] for (uint j = 0; j < COLUMNS; j++)
            sum[i][j] = 0;

    for (uint k = 0; k < fours; k++) {
        vec4 x[ROWS / LANES], w[COLUMNS];
        [[unroll]] for (uint j = 0; j < COLUMNS; j++)
            w[j] = b[bi[j] + k * width];
        [[unroll]] for (uint i = 0; i < ROWS / LANES; i++)
            x[i] = a[ai[i] + k];
        [[unroll]] for (uint i = 0; i < ROWS; i++)
            [[unroll]] for (uint e = 0; e < 4; e++) {
                float v = subgroupBroadcast(x[i / LANES][e], i % LANES);
                [[unroll]] for (uint j = 0; j < COLUMNS; j++)
                    sum[i][j] += v * w[j][e];
            }
    }

    [[unroll]] for (uint j = 0; j < COLUMNS; j++)
        if (column_in_panel(j) < width) {
            uint column = first + column_in_panel(j);
            float add = p.has_bias != 0 ? bias[column] : 0;
            [[unroll]] for (uint i = 0; i < ROWS; i++)
                c[row_of(i) * p.ldc + column] = p.alpha * sum[i][j] + add;
        }
}
