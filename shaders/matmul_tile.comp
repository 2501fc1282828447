// Matrix product for GPUs: a workgroup computes TILE_M x 64 of c from tiles of 16 deep in shared
// memory, an invocation 4 x 4 of them. Any layout, any shape; sums are fp32. Formula: matmul.glsl.
//
//   0  a     f32, fp16 or bf16  in        2  bias  f32[n]  in, only read when has_bias
//   1  b     f32, fp16 or bf16  in        3  c     f32, fp16 or bf16 [m][ldc]  out, added to when accumulate
//
// Constants: 0 workgroup size = 4 * TILE_M; 1 TILE_M, 64 or, where a workgroup has less than 256
// invocations, 32; 2, 3 the operand is stored k-major: a [k][m], b [k][n], else a [m][k], b [n][k];
// 4, 5, 6 FORMAT of a, b, c, as in row4.glsl.
// Grid: n / 64, m / TILE_M, batch.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "half.glsl"
#include "params.h"
#include "matmul.glsl"

layout(set = 0, binding = 0) readonly buffer a_fours { vec4 a4[]; };
layout(set = 0, binding = 0) readonly buffer a_halves { uvec2 a2[]; };
layout(set = 0, binding = 1) readonly buffer b_fours { vec4 b4[]; };
layout(set = 0, binding = 1) readonly buffer b_halves { uvec2 b2[]; };
layout(set = 0, binding = 3) buffer c_halves { uvec2 c2[]; };

layout(constant_id = 1) const uint TILE_M = 64;
layout(constant_id = 2) const uint A_K_MAJOR = 0;
layout(constant_id = 3) const uint B_K_MAJOR = 0;
layout(constant_id = 4) const uint A_FORMAT = 0;
layout(constant_id = 5) const uint B_FORMAT = 0;
layout(constant_id = 6) const uint C_FORMAT = 0;
const uint TILE_N = 64, TILE_K = 16;

// [k][four columns]; one vec4 more a row, so that storing a row-major operand's columns does not
// keep hitting the same bank.
shared vec4 tile_a[TILE_K][TILE_M / 4 + 1];
shared vec4 tile_b[TILE_K][TILE_N / 4 + 1];

// Elements i .. i + 3 of an operand, as it is stored; those from `end`, the row's end, on are 0.
#define FOUR(x, format)                                                                            \
    vec4 x##_four(uint row, uint column, uint end)                                                 \
    {                                                                                              \
        vec4 four = vec4(0);                                                                       \
        if (format == 0) {                                                                         \
            [[unroll]] for (uint e = 0; e < 4; e++)                                                \
                if (column + e < end)                                                              \
                    four[e] = x[row + column + e];                                                 \
        } else if (column < end) {                                                                 \
            if (format == 1)                                                                       \
                four = x##4[(row + column) / 4];                                                   \
            else                                                                                   \
                four = half_unpack(format, x##2[(row + column) / 4]);                              \
        }                                                                                          \
        return four;                                                                               \
    }
FOUR(a, A_FORMAT)
FOUR(b, B_FORMAT)

// The tile of an operand from row r0 of `rows` on: fours along the axis that it is stored by.
#define LOAD(of, width, k_major, ld)                                                               \
    void load_##of(uint start, uint r0, uint rows, uint k0)                                        \
    {                                                                                              \
        for (uint q = gl_LocalInvocationID.x; q < width * TILE_K / 4; q += gl_WorkGroupSize.x) {   \
            if (k_major != 0) {                                                                    \
                uint r = q % (width / 4), k = q / (width / 4);                                     \
                vec4 four = vec4(0);                                                               \
                if (k0 + k < p.k)                                                                  \
                    four = of##_four(start + (k0 + k) * ld, r0 + 4 * r, rows);                     \
                tile_##of[k][r] = four;                                                            \
            } else {                                                                               \
                uint r = q / (TILE_K / 4), k = q % (TILE_K / 4) * 4;                               \
                vec4 four = vec4(0);                                                               \
                if (r0 + r < rows)                                                                 \
                    four = of##_four(start + (r0 + r) * ld, k0 + k, p.k);                          \
                [[unroll]] for (uint e = 0; e < 4; e++)                                            \
                    tile_##of[k + e][r / 4][r % 4] = four[e];                                      \
            }                                                                                      \
        }                                                                                          \
    }
LOAD(a, TILE_M, A_K_MAJOR, p.lda)
LOAD(b, TILE_N, B_K_MAJOR, p.ldb)

// Four neighbours of a row of c, which a 16-bit row has all or none of.
void store_halves(uint at, uint n, vec4 four)
{
    if (p.has_bias != 0)
        four += vec4(bias[n], bias[n + 1], bias[n + 2], bias[n + 3]);
    if (p.accumulate != 0)
        four += half_unpack(C_FORMAT, c2[at / 4]);
    c2[at / 4] = half_pack(C_FORMAT, four);
}

void main()
{
    uint m0 = gl_WorkGroupID.y * TILE_M, n0 = gl_WorkGroupID.x * TILE_N;
    uint a0 = batch_start(p.a_outer, p.a_inner), b0 = batch_start(p.b_outer, p.b_inner);
    uint tm = gl_LocalInvocationID.x / (TILE_N / 4), tn = gl_LocalInvocationID.x % (TILE_N / 4);

    vec4 sum[4] = vec4[4](vec4(0), vec4(0), vec4(0), vec4(0));
    for (uint k0 = 0; k0 < p.k; k0 += TILE_K) {
        barrier(); // the last tiles have been read
        load_a(a0, m0, p.m, k0);
        load_b(b0, n0, p.n, k0);
        barrier();
        [[unroll]] for (uint k = 0; k < TILE_K; k++) {
            vec4 x = tile_a[k][tm], y = tile_b[k][tn];
            sum[0] += x.x * y;
            sum[1] += x.y * y;
            sum[2] += x.z * y;
            sum[3] += x.w * y;
        }
    }

    uint c0 = batch_start(p.c_outer, p.c_inner), n = n0 + 4 * tn;
    for (uint i = 0; i < 4; i++) {
        uint m = m0 + 4 * tm + i;
        if (m >= p.m)
            return;
        if (C_FORMAT >= 2) {
            if (n < p.n)
                store_halves(c0 + m * p.ldc + n, n, p.alpha * sum[i]);
            continue;
        }
        for (uint j = 0; j < 4; j++)
            if (n + j < p.n) {
                float v = p.alpha * sum[i][j];
                if (p.has_bias != 0)
                    v += bias[n + j];
                if (p.accumulate != 0)
                    v += c[c0 + m * p.ldc + n + j];
                c[c0 + m * p.ldc + n + j] = v;
            }
    }
}
