// Matrix product by a workgroup that computes TILE_M x 64 of c from tiles of 16 deep in shared memory, an invocation
// 4 x 4 of them: all of matmul_tile and matmul_tile_then but what becomes of the sums. Any layout, any shape; sums are
// fp32. Formula: matmul.glsl.
//
//   0  a     f32, fp16 or bf16  in        2  bias  f32[n]  in, only read when has_bias
//   1  b     f32, fp16 or bf16  in        3  c     f32, fp16 or bf16 [m][ldc]  out, added to when accumulate
//
// Constants: 0 workgroup size = 4 * TILE_M; 1 TILE_M, 64 or, where a workgroup has less than 256
// invocations, 32; 2, 3 the operand is stored k-major: a [k][m], b [k][n], else a [m][k], b [n][k];
// 4, 5, 6 FORMAT of a, b, c, as in row4.glsl.
// Grid: n / 64, m / TILE_M, batch.
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

// Elements i .. i + 3 of an operand's row, all of which are there.
#define FOUR(x, format)                                                                            \
    vec4 x##_four(uint i)                                                                          \
    {                                                                                              \
        if (format == 1)                                                                           \
            return x##4[i / 4];                                                                    \
        return half_unpack(format, x##2[i / 4]);                                                   \
    }
FOUR(a, A_FORMAT)
FOUR(b, B_FORMAT)

// The tile of an operand from row r0 of `rows` and k0 on: elements (format 0) or fours along the axis
// that it is stored by; zeros beyond its end.
#define LOAD(of, width, k_major, format, ld)                                                       \
    void load_##of##_elements(uint start, uint r0, uint rows, uint k0)                             \
    {                                                                                              \
        for (uint e = gl_LocalInvocationID.x; e < width * TILE_K; e += gl_WorkGroupSize.x) {       \
            uint r = k_major != 0 ? e % width : e / TILE_K;                                        \
            uint k = k_major != 0 ? e / width : e % TILE_K;                                        \
            float v = 0;                                                                           \
            if (r0 + r < rows && k0 + k < p.k)                                                     \
                v = of[start + (k_major != 0 ? (k0 + k) * ld + r0 + r : (r0 + r) * ld + k0 + k)];  \
            tile_##of[k][r / 4][r % 4] = v;                                                        \
        }                                                                                          \
    }                                                                                              \
    void load_##of##_fours(uint start, uint r0, uint rows, uint k0)                                \
    {                                                                                              \
        for (uint q = gl_LocalInvocationID.x; q < width * TILE_K / 4; q += gl_WorkGroupSize.x) {   \
            vec4 four = vec4(0);                                                                   \
            if (k_major != 0) {                                                                    \
                uint r = q % (width / 4), k = q / (width / 4);                                     \
                if (k0 + k < p.k && r0 + 4 * r < rows)                                             \
                    four = of##_four(start + (k0 + k) * ld + r0 + 4 * r);                          \
                tile_##of[k][r] = four;                                                            \
            } else {                                                                               \
                uint r = q / (TILE_K / 4), k = q % (TILE_K / 4) * 4;                               \
                if (r0 + r < rows && k0 + k < p.k)                                                 \
                    four = of##_four(start + (r0 + r) * ld + k0 + k);                              \
                tile_##of[k][r / 4][r % 4] = four.x;                                               \
                tile_##of[k + 1][r / 4][r % 4] = four.y;                                           \
                tile_##of[k + 2][r / 4][r % 4] = four.z;                                           \
                tile_##of[k + 3][r / 4][r % 4] = four.w;                                           \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    void load_##of(uint start, uint r0, uint rows, uint k0)                                        \
    {                                                                                              \
        if (format == 0)                                                                           \
            load_##of##_elements(start, r0, rows, k0);                                             \
        else                                                                                       \
            load_##of##_fours(start, r0, rows, k0);                                                \
    }
LOAD(a, TILE_M, A_K_MAJOR, A_FORMAT, p.lda)
LOAD(b, TILE_N, B_K_MAJOR, B_FORMAT, p.ldb)

// The first row and column of the invocation's 4 x 4.
uvec2 tile_place()
{
    const uint across = TILE_N / 4;
    return uvec2(gl_WorkGroupID.y * TILE_M + gl_LocalInvocationID.x / across * 4,
                 gl_WorkGroupID.x * TILE_N + gl_LocalInvocationID.x % across * 4);
}

void tile_product(out vec4 sum[4])
{
    uint m0 = gl_WorkGroupID.y * TILE_M, n0 = gl_WorkGroupID.x * TILE_N;
    uint a0 = batch_start(p.a_outer, p.a_inner), b0 = batch_start(p.b_outer, p.b_inner);
    uint tm = gl_LocalInvocationID.x / (TILE_N / 4), tn = gl_LocalInvocationID.x % (TILE_N / 4);

    sum = vec4[4](vec4(0), vec4(0), vec4(0), vec4(0));
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
}
