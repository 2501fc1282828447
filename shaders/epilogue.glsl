// What follows a product right away, in its kernel: four neighbours of a row of it on their way to c, which is dense and
// the only one of its batch. A kernel declares EPILOGUE, a specialisation constant, 0 or a combination of the
// MATMUL_... of params_matmul.h; defines FORMAT (row4.glsl) as c's; has c's memory as c, c2 and c4, and bias and p;
// then includes this.
//
//   4  step     step_in       in, only read with MATMUL_DROPS
//   5  beside   act[m][n]     in, not read by GELU: residual, or what GELU was of
//   6  second   act[m][n]     out: a GELU's result
//   7  partial  f32[chunks of rows][n]  out, of GELU's backward, for columns_finish
//
// act is c's type. All of it gives the bits of the product followed by gelu_fwd, gelu_bwd (but for its sums), and
// residual_norm_fwd: so values are rounded to act where one kernel would hand them to the next.
const uint THEN = EPILOGUE & MATMUL_THEN;
const uint TANH = EPILOGUE & MATMUL_TANH;

#include "row4.glsl"
#include "gelu.glsl"
#include "drop4.glsl"

layout(set = 0, binding = 4) readonly buffer step_buffer { step_in now; };
ACT4_IN(5, beside)
ACT4_OUT(6, second)
ROW4_OUT(7, partial)
ACT4_PUT(c)

uvec3 fused_draw = uvec3(0);

// To be called once, before any loop.
void fused_begin()
{
    if ((EPILOGUE & MATMUL_DROPS) != 0)
        fused_draw = uvec3(now.seed_low, now.seed_high, now.step);
}

vec4 fused_biased(vec4 v, uint n)
{
    if (p.has_bias != 0)
        [[unroll]] for (uint e = 0; e < 4; e++)
            if (IN_FOURS || n + e < p.n)
                v[e] += bias[n + e];
    return v;
}

// Sets elements n to n + 3 of row m of c, and whatever is second, from the product's; returns what the sums over the
// rows are of, before it is rounded.
vec4 fused_put(uint m, uint n, vec4 product)
{
    uint at = m * p.n + n, end = (m + 1) * p.n;
    vec4 v = p.alpha * product;
    if (THEN == MATMUL_GELU) {
        v = row4_kept(fused_biased(v, n));
        second_put(at, end, gelu(v));
    } else if (THEN == MATMUL_GELU_BACK) {
        vec4 x = beside_at(at, end);
        if ((EPILOGUE & MATMUL_SECOND) != 0)
            second_put(at, end, gelu(x));
        v = row4_kept(v) * gelu_slope(x);
    } else {
        v = fused_biased(row4_kept(v), n);
        if ((EPILOGUE & MATMUL_DROPS) != 0)
            v = drop4(v, fused_draw, at, p.site, p.keep);
        v += beside_at(at, end);
    }
    c_put(at, end, v);
    return v;
}
