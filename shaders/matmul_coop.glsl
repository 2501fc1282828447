// Matrix product by cooperative matrices of a subgroup (VK_KHR_cooperative_matrix), 16-bit a and b, fp32
// sums: any layout, any shape. The two shaders that include this define ELEMENT.
//
//   0  a     ELEMENT  in        2  bias  f32[n]  in, only read when has_bias
//   1  b     ELEMENT  in        3  c     f32, fp16 or bf16 [m][ldc]  out, added to when accumulate
//
//   4 to 7: epilogue.glsl
//
// c[m][n] = alpha * sum over k of a * b (+ bias[n]) (+ c), batch index in z; or what follows it (EPILOGUE).
//
// A workgroup computes TILE_M x TILE_N of c, a subgroup SUB_M x SUB_N of them in fragments of
// FM x FN x FK, which the device advertises. Tiles of TILE_K deep are staged in shared memory as the
// operands are stored; fragments are loaded from there by rows or by columns, so that nothing is
// transposed. Rows in shared memory have 8 elements more, so that fragments' rows begin at different
// banks. What the next step needs is fetched into registers while this one multiplies.
//
// Constants: 0 workgroup size = subgroups * LANES; 1, 2 the operand is stored k-major: a [k][m], b [k][n],
// else a [m][k], b [n][k]; 3 C_FORMAT as in row4.glsl; 4 to 6 TILE_M, TILE_N, TILE_K; 7, 8 SUB_M, SUB_N;
// 9 to 11 FM, FN, FK; 12 the subgroup's size LANES; 13 WIDE: rows and strides are multiples of eight,
// else of four; 14 BAND: so many rows of tiles are walked together, their b stays in the cache;
// 15 EPILOGUE: chunks of its sums are of SUB_M rows; 16 ACROSS: an epilogue gets sums by rows of so many
// fragments, which have place in tile_a for each subgroup, and of which an invocation that goes through them
// by LANES keeps to the same columns.
// Grid: n / TILE_N, m / TILE_M, batch.
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#include "params_matmul.h"
#include "params_step.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint A_K_MAJOR = 0;
layout(constant_id = 2) const uint B_K_MAJOR = 0;
layout(constant_id = 3) const uint C_FORMAT = 0;
layout(constant_id = 4) const uint TILE_M = 128;
layout(constant_id = 5) const uint TILE_N = 128;
layout(constant_id = 6) const uint TILE_K = 64;
layout(constant_id = 7) const uint SUB_M = 64;
layout(constant_id = 8) const uint SUB_N = 64;
layout(constant_id = 9) const uint FM = 16;
layout(constant_id = 10) const uint FN = 16;
layout(constant_id = 11) const uint FK = 16;
layout(constant_id = 12) const uint LANES = 32;
layout(constant_id = 13) const uint WIDE = 1;
layout(constant_id = 14) const uint BAND = 4;
layout(constant_id = 15) const uint EPILOGUE = 0;
layout(constant_id = 16) const uint ACROSS = 1;

layout(set = 0, binding = 0) readonly buffer a_eights { uvec4 a8[]; };
layout(set = 0, binding = 0) readonly buffer a_fours { uvec2 a4[]; };
layout(set = 0, binding = 1) readonly buffer b_eights { uvec4 b8[]; };
layout(set = 0, binding = 1) readonly buffer b_fours { uvec2 b4[]; };
layout(set = 0, binding = 2) readonly buffer bias_buffer { float bias[]; };
layout(set = 0, binding = 3) buffer c_floats { float c[]; };
layout(set = 0, binding = 3) buffer c_fours { vec4 c4[]; };
layout(set = 0, binding = 3) buffer c_halves { uvec2 c2[]; };
layout(push_constant) uniform push { matmul_params p; };

#define FORMAT C_FORMAT
#include "epilogue.glsl"

const uint SUBGROUPS = (TILE_M / SUB_M) * (TILE_N / SUB_N);
const uint SIZE = SUBGROUPS * LANES;

// Both tiles by eights. A row-major tile is [rows][TILE_K], a k-major one [TILE_K][rows], each with one
// eight more a row.
const uint A_ROW = (A_K_MAJOR != 0 ? TILE_M : TILE_K) / 8 + 1;
const uint B_ROW = (B_K_MAJOR != 0 ? TILE_N : TILE_K) / 8 + 1;
shared uvec4 tile_a[(A_K_MAJOR != 0 ? TILE_K : TILE_M) * A_ROW];
shared uvec4 tile_b[(B_K_MAJOR != 0 ? TILE_K : TILE_N) * B_ROW];
// A fragment of sums for each subgroup, on its way to c.
shared vec4 stage[SUBGROUPS * FM * FN / 4];

// Eights of a tile that an invocation fetches; beyond the last one it fetches nothing.
const uint A_LOADS = (TILE_M * TILE_K / 8 + SIZE - 1) / SIZE;
const uint B_LOADS = (TILE_N * TILE_K / 8 + SIZE - 1) / SIZE;
uvec4 next_a[A_LOADS];
uvec4 next_b[B_LOADS];

uint batch_start(uint outer_stride, uint inner_stride)
{
    return gl_WorkGroupID.z / p.inner * outer_stride + gl_WorkGroupID.z % p.inner * inner_stride;
}

// Eight elements of an operand's row from `column` on, zeros from `columns` on.
#define EIGHT(of)                                                                                  \
    uvec4 of##_eight(uint at, uint column, uint columns)                                           \
    {                                                                                              \
        if (WIDE != 0)                                                                             \
            return column < columns ? of##8[(at + column) / 8] : uvec4(0);                         \
        uvec2 low = uvec2(0), high = uvec2(0);                                                     \
        if (column < columns)                                                                      \
            low = of##4[(at + column) / 4];                                                        \
        if (column + 4 < columns)                                                                  \
            high = of##4[(at + column) / 4 + 1];                                                   \
        return uvec4(low, high);                                                                   \
    }
EIGHT(a)
EIGHT(b)

// Eights are numbered along the axis that the operand is stored by.
#define FETCH(of, TILE_ROWS, K_MAJOR, ld, LOADS)                                                   \
    void fetch_##of(uint start, uint row0, uint rows, uint k0)                                     \
    {                                                                                              \
        const uint eights = (K_MAJOR != 0 ? TILE_ROWS : TILE_K) / 8;                               \
        [[unroll]] for (uint i = 0; i < LOADS; i++) {                                              \
            uint q = i * SIZE + gl_LocalInvocationIndex;                                           \
            uint line = q / eights, column = q % eights * 8;                                       \
            line += K_MAJOR != 0 ? k0 : row0;                                                      \
            column += K_MAJOR != 0 ? row0 : k0;                                                    \
            next_##of[i] = uvec4(0);                                                               \
            if (q < TILE_ROWS * TILE_K / 8 && line < (K_MAJOR != 0 ? p.k : rows))                  \
                next_##of[i] = of##_eight(start + line * ld, column, K_MAJOR != 0 ? rows : p.k);   \
        }                                                                                          \
    }                                                                                              \
    void keep_##of(uint row_length)                                                                \
    {                                                                                              \
        const uint eights = (K_MAJOR != 0 ? TILE_ROWS : TILE_K) / 8;                               \
        [[unroll]] for (uint i = 0; i < LOADS; i++) {                                              \
            uint q = i * SIZE + gl_LocalInvocationIndex;                                           \
            if (q < TILE_ROWS * TILE_K / 8)                                                        \
                tile_##of[q / eights * row_length + q % eights] = next_##of[i];                    \
        }                                                                                          \
    }
FETCH(a, TILE_M, A_K_MAJOR, p.lda, A_LOADS)
FETCH(b, TILE_N, B_K_MAJOR, p.ldb, B_LOADS)

// Where rows of tiles go in bands: which tile this workgroup has.
uvec2 tile_of_group()
{
    uint across = gl_NumWorkGroups.x, down = gl_NumWorkGroups.y;
    uint at = gl_WorkGroupID.y * across + gl_WorkGroupID.x;
    uint first = at / (BAND * across) * BAND, rows = min(BAND, down - first);
    at -= first * across;
    return uvec2(first + at % rows, at / rows);
}

// Four neighbours of c, of which `end - n` are there.
vec4 finish(vec4 sum, uint n, uint end)
{
    vec4 v = p.alpha * sum;
    if (p.has_bias != 0)
        [[unroll]] for (uint e = 0; e < 4; e++)
            if (n + e < end)
                v[e] += bias[n + e];
    return v;
}

void store_four(uint at, uint n, vec4 sum)
{
    vec4 v = finish(sum, n, p.n);
    if (C_FORMAT >= 2) {
        if (p.accumulate != 0)
            v += half_unpack(C_FORMAT, c2[at / 4]);
        c2[at / 4] = half_pack(C_FORMAT, v);
    } else if (C_FORMAT == 1) {
        if (p.accumulate != 0)
            v += c4[at / 4];
        c4[at / 4] = v;
    } else {
        [[unroll]] for (uint e = 0; e < 4; e++)
            if (n + e < p.n)
                c[at + e] = p.accumulate != 0 ? c[at + e] + v[e] : v[e];
    }
}

// What the invocations of a subgroup found of the same columns, in their order: the same bits each time.
void put_sums(uint m0, uint n0, uint own, vec4 mine)
{
    const uint fours = ACROSS * FN / 4, held = LANES < FM * fours ? LANES : FM * fours;
    uint me = gl_SubgroupInvocationID, n = n0 + me * 4;
    if (me < held)
        tile_a[own + me] = floatBitsToUint(mine);
    subgroupBarrier();
    if (me < fours && m0 < p.m && n < p.n) {
        vec4 sum = vec4(0);
        for (uint i = me; i < held; i += fours)
            sum += uintBitsToFloat(tile_a[own + i]);
        partial_put(m0 / SUB_M * p.n + n, (m0 / SUB_M + 1) * p.n, sum);
    }
    subgroupBarrier();
}

void main()
{
    uvec2 tile = tile_of_group();
    uint m0 = tile.x * TILE_M, n0 = tile.y * TILE_N;
    uint a0 = batch_start(p.a_outer, p.a_inner), b0 = batch_start(p.b_outer, p.b_inner);
    uint sub_m = gl_SubgroupID / (TILE_N / SUB_N) * SUB_M, sub_n = gl_SubgroupID % (TILE_N / SUB_N) * SUB_N;

    coopmat<float, gl_ScopeSubgroup, FM, FN, gl_MatrixUseAccumulator> sum[(SUB_M / FM) * (SUB_N / FN)];
    [[unroll]] for (uint i = 0; i < (SUB_M / FM) * (SUB_N / FN); i++)
        sum[i] = coopmat<float, gl_ScopeSubgroup, FM, FN, gl_MatrixUseAccumulator>(0.0);

    fetch_a(a0, m0, p.m, 0);
    fetch_b(b0, n0, p.n, 0);
    for (uint k0 = 0; k0 < p.k; k0 += TILE_K) {
        barrier(); // the last tiles have been read
        keep_a(A_ROW);
        keep_b(B_ROW);
        barrier();
        fetch_a(a0, m0, p.m, k0 + TILE_K); // beyond k: nothing
        fetch_b(b0, n0, p.n, k0 + TILE_K);
        [[unroll]] for (uint k = 0; k < TILE_K; k += FK) {
            coopmat<ELEMENT, gl_ScopeSubgroup, FM, FK, gl_MatrixUseA> x[SUB_M / FM];
            [[unroll]] for (uint i = 0; i < SUB_M / FM; i++) {
                uint row = sub_m + i * FM;
                if (A_K_MAJOR != 0)
                    coopMatLoad(x[i], tile_a, k * A_ROW + row / 8, A_ROW, gl_CooperativeMatrixLayoutColumnMajor);
                else
                    coopMatLoad(x[i], tile_a, row * A_ROW + k / 8, A_ROW, gl_CooperativeMatrixLayoutRowMajor);
            }
            [[unroll]] for (uint j = 0; j < SUB_N / FN; j++) {
                coopmat<ELEMENT, gl_ScopeSubgroup, FK, FN, gl_MatrixUseB> y;
                uint column = sub_n + j * FN;
                if (B_K_MAJOR != 0)
                    coopMatLoad(y, tile_b, k * B_ROW + column / 8, B_ROW, gl_CooperativeMatrixLayoutRowMajor);
                else
                    coopMatLoad(y, tile_b, column * B_ROW + k / 8, B_ROW, gl_CooperativeMatrixLayoutColumnMajor);
                [[unroll]] for (uint i = 0; i < SUB_M / FM; i++)
                    sum[i * (SUB_N / FN) + j] = coopMatMulAdd(x[i], y, sum[i * (SUB_N / FN) + j]);
            }
        }
    }

    if (EPILOGUE != 0) {
        // A loop in which its text stands but once for each row of fragments: it is long.
        const uint fours = ACROSS * FN / 4, row = fours + 1;
        uint own = gl_SubgroupID * FM * row;
        fused_begin();
        barrier(); // the last tiles have been read
        [[unroll]] for (uint part = 0; part < SUB_N / FN; part += ACROSS) {
            uint column0 = n0 + sub_n + part * FN;
            vec4 columns = vec4(0);
            [[unroll]] for (uint i = 0; i < SUB_M / FM; i++) {
                [[unroll]] for (uint j = 0; j < ACROSS; j++)
                    coopMatStore(sum[i * (SUB_N / FN) + part + j], tile_a, own + j * (FN / 4), row,
                                 gl_CooperativeMatrixLayoutRowMajor);
                subgroupBarrier();
                [[dont_unroll]] for (uint q = gl_SubgroupInvocationID; q < FM * fours; q += LANES) {
                    uint m = m0 + sub_m + i * FM + q / fours, n = column0 + q % fours * 4;
                    if (m < p.m && n < p.n)
                        columns += fused_put(m, n, uintBitsToFloat(tile_a[own + q / fours * row + q % fours]));
                }
                subgroupBarrier();
            }
            if (THEN == MATMUL_GELU_BACK)
                put_sums(m0 + sub_m, column0, own, columns);
        }
        return;
    }

    uint c0 = batch_start(p.c_outer, p.c_inner), own = gl_SubgroupID * (FM * FN / 4);
    [[unroll]] for (uint f = 0; f < (SUB_M / FM) * (SUB_N / FN); f++) {
        uint row0 = m0 + sub_m + f / (SUB_N / FN) * FM, column0 = n0 + sub_n + f % (SUB_N / FN) * FN;
        coopMatStore(sum[f], stage, own, FN / 4, gl_CooperativeMatrixLayoutRowMajor);
        subgroupBarrier();
        for (uint q = gl_SubgroupInvocationID; q < FM * FN / 4; q += LANES) {
            uint m = row0 + q / (FN / 4), n = column0 + q % (FN / 4) * 4;
            if (m < p.m && n < p.n)
                store_four(c0 + m * p.ldc + n, n, stage[own + q]);
        }
        subgroupBarrier();
    }
}
