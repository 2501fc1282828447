// Matrix product by cooperative matrices of a workgroup (VK_NV_cooperative_matrix2), fp16 a and b, fp32 sums:
// any layout; what is beyond the edges the tensors' layouts leave out.
//
//   0  a     f16  in        2  bias  f32[n]  in, only read when has_bias
//   1  b     f16  in        3  c     f32 or f16 [m][ldc]  out, added to when accumulate
//
// c[m][n] = alpha * sum over k of a * b (+ bias[n]) (+ c), batch index in z.
//
// All rows and strides are multiples of eight, and the compiler is shown so (STEP): loads of what it
// cannot prove aligned are five times slower.
//
// Compiled for vulkan1.3, as the extension wants; a workgroup of 256 is written down, because a constant's
// would need the maintenance4 feature there.
//
// Constants: 1, 2 the operand is stored k-major: a [k][m], b [k][n], else a [m][k],
// b [n][k]; 3 C_HALF: c is f16; 4 to 6 TILE_M, TILE_N, TILE_K; 7 BAND, as in matmul_coop.glsl.
// Grid: n / TILE_N, m / TILE_M, batch.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_NV_cooperative_matrix2 : require
#include "params_matmul.h"

layout(local_size_x = 256) in;
layout(constant_id = 1) const uint A_K_MAJOR = 0;
layout(constant_id = 2) const uint B_K_MAJOR = 0;
layout(constant_id = 3) const uint C_HALF = 0;
layout(constant_id = 4) const uint TILE_M = 128;
layout(constant_id = 5) const uint TILE_N = 128;
layout(constant_id = 6) const uint TILE_K = 64;
layout(constant_id = 7) const uint BAND = 4;
#define STEP(x) ((x) & ~7u)
#define SUMS(type) coopmat<type, gl_ScopeWorkgroup, TILE_M, TILE_N, gl_MatrixUseAccumulator>
#define LAYOUT tensorLayoutNV<2, gl_CooperativeMatrixClampModeConstantNV>

layout(set = 0, binding = 0) readonly buffer a_buffer { float16_t a[]; };
layout(set = 0, binding = 1) readonly buffer b_buffer { float16_t b[]; };
layout(set = 0, binding = 2) readonly buffer bias_buffer { float bias[]; };
layout(set = 0, binding = 3) buffer c_floats { float c[]; };
layout(set = 0, binding = 3) buffer c_halves { float16_t c2[]; };
layout(push_constant) uniform push { matmul_params p; };

uint batch_start(uint outer_stride, uint inner_stride)
{
    return STEP(gl_WorkGroupID.z / p.inner * outer_stride + gl_WorkGroupID.z % p.inner * inner_stride);
}

uvec2 tile_of_group()
{
    uint across = gl_NumWorkGroups.x, down = gl_NumWorkGroups.y;
    uint at = gl_WorkGroupID.y * across + gl_WorkGroupID.x;
    uint first = at / (BAND * across) * BAND, rows = min(BAND, down - first);
    at -= first * across;
    return uvec2(first + at % rows, at / rows);
}

void main()
{
    uvec2 tile = tile_of_group();
    uint m0 = tile.x * TILE_M, n0 = tile.y * TILE_N;
    uint a0 = batch_start(p.a_outer, p.a_inner), b0 = batch_start(p.b_outer, p.b_inner);
    uint c0 = batch_start(p.c_outer, p.c_inner);

    LAYOUT of_a = createTensorLayoutNV(2, gl_CooperativeMatrixClampModeConstantNV);
    LAYOUT of_b = createTensorLayoutNV(2, gl_CooperativeMatrixClampModeConstantNV);
    LAYOUT of_c = createTensorLayoutNV(2, gl_CooperativeMatrixClampModeConstantNV);
    LAYOUT of_bias = createTensorLayoutNV(2, gl_CooperativeMatrixClampModeConstantNV);
    tensorViewNV<2, false, 1, 0> transposed = createTensorViewNV(2, false, 1, 0);
    of_a = setTensorLayoutDimensionNV(of_a, A_K_MAJOR != 0 ? p.k : p.m, A_K_MAJOR != 0 ? p.m : p.k);
    of_b = setTensorLayoutDimensionNV(of_b, B_K_MAJOR != 0 ? p.k : p.n, B_K_MAJOR != 0 ? p.n : p.k);
    of_c = setTensorLayoutDimensionNV(of_c, p.m, p.n);
    of_bias = setTensorLayoutDimensionNV(of_bias, p.m, p.n);
    of_a = setTensorLayoutStrideNV(of_a, STEP(p.lda), 1);
    of_b = setTensorLayoutStrideNV(of_b, STEP(p.ldb), 1);
    of_c = setTensorLayoutStrideNV(of_c, STEP(p.ldc), 1);
    of_bias = setTensorLayoutStrideNV(of_bias, 0, 1); // the same for every row

    SUMS(float) sum = SUMS(float)(0.0);
    for (uint k0 = 0; k0 < p.k; k0 += TILE_K) {
        coopmat<float16_t, gl_ScopeWorkgroup, TILE_M, TILE_K, gl_MatrixUseA> x;
        coopmat<float16_t, gl_ScopeWorkgroup, TILE_K, TILE_N, gl_MatrixUseB> y;
        if (A_K_MAJOR != 0)
            coopMatLoadTensorNV(x, a, a0, sliceTensorLayoutNV(of_a, k0, TILE_K, m0, TILE_M), transposed);
        else
            coopMatLoadTensorNV(x, a, a0, sliceTensorLayoutNV(of_a, m0, TILE_M, k0, TILE_K));
        if (B_K_MAJOR != 0)
            coopMatLoadTensorNV(y, b, b0, sliceTensorLayoutNV(of_b, k0, TILE_K, n0, TILE_N));
        else
            coopMatLoadTensorNV(y, b, b0, sliceTensorLayoutNV(of_b, n0, TILE_N, k0, TILE_K), transposed);
        sum = coopMatMulAdd(x, y, sum);
    }

    of_c = sliceTensorLayoutNV(of_c, m0, TILE_M, n0, TILE_N);
    sum = sum * p.alpha;
    if (p.has_bias != 0) {
        SUMS(float) add = SUMS(float)(0.0);
        coopMatLoadTensorNV(add, bias, 0, sliceTensorLayoutNV(of_bias, m0, TILE_M, n0, TILE_N));
        sum = sum + add;
    }
    if (C_HALF != 0) {
        SUMS(float16_t) old = SUMS(float16_t)(0.0);
        if (p.accumulate != 0) {
            coopMatLoadTensorNV(old, c2, c0, of_c);
            sum = sum + SUMS(float)(old);
        }
        coopMatStoreTensorNV(SUMS(float16_t)(sum), c2, c0, of_c);
    } else {
        SUMS(float) old = SUMS(float)(0.0);
        if (p.accumulate != 0) {
            coopMatLoadTensorNV(old, c, c0, of_c);
            sum = sum + old;
        }
        coopMatStoreTensorNV(sum, c, c0, of_c);
    }
}
