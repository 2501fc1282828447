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
    uint site;  // of the dropout that follows
    float keep; // 1 - p
};

// What follows a product in its kernel (epilogue.glsl): one of
#define MATMUL_GELU      1u // c = product + bias, second = gelu(c)
#define MATMUL_GELU_BACK 2u // c = product * gelu'(beside), and its sums over the rows
#define MATMUL_RESIDUAL  3u // c = dropout(product + bias) + beside
#define MATMUL_THEN      3u // all of them
// and how:
#define MATMUL_TANH      4u  // GELU's form
#define MATMUL_SECOND    8u  // of GELU's backward: second = gelu(beside)
#define MATMUL_DROPS     16u // there is a dropout

#endif
