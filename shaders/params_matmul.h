// params.h's part for products: a file of its own, so that the kernels whose SPIR-V is committed do not
// depend on all the others'.
#ifndef VKB_SHADERS_PARAMS_MATMUL_H
#define VKB_SHADERS_PARAMS_MATMUL_H

// c[m][n] = alpha * sum over k of a * b (+ bias[n]) (+ c), batched.
struct matmul_params {
    uint m, n, k;
    uint lda, ldb, ldc; // elements from one row to the next, as stored
    uint inner;         // batch index = outer * inner + inner index
    uint a_outer, a_inner, b_outer, b_inner, c_outer, c_inner;
    float alpha;
    uint accumulate, has_bias;
};

#endif
