// What both families of matrix products share: where a batch's operands begin and how a result is
// stored.
//
//   0  a     f32  in        2  bias  f32[n]  in, only read when has_bias
//   1  b     f32  in        3  c     f32[m][ldc]  out, added to when accumulate
// (matmul_tile: 16 bits too)
//
// c[m][n] = alpha * sum over k of a * b (+ bias[n]) (+ c), batch index in z.
layout(local_size_x_id = 0) in;
layout(set = 0, binding = 0) readonly buffer a_buffer { float a[]; };
layout(set = 0, binding = 1) readonly buffer b_buffer { float b[]; };
layout(set = 0, binding = 2) readonly buffer bias_buffer { float bias[]; };
layout(set = 0, binding = 3) buffer c_buffer { float c[]; };
layout(push_constant) uniform push { matmul_params p; };

uint batch_start(uint outer_stride, uint inner_stride)
{
    return gl_WorkGroupID.z / p.inner * outer_stride + gl_WorkGroupID.z % p.inner * inner_stride;
}
