// sums[cols] (+)= the sum over chunks of partial[chunk][cols], for one to three sums.
//
//   0  partial  f32[count][chunks][cols]  in
//   1  sums0    f32[cols]                 out, added to when accumulate; 2 sums1, 3 sums2 with count > 1, > 2
//
// Constants: 0 workgroup size, 1 SHARED: the chunks are shared among the workgroup's invocations, else one has them all,
// 2 FORMAT (row4.glsl). Grid: for each of the sums a workgroup for each block of columns: of COLUMN_FOURS fours
// where SHARED, else of a four an invocation.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "index.glsl"
#include "row4.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint SHARED = 0;

ROW4_IN(0, partial)
ROW4_INOUT(1, sums0)
ROW4_INOUT(2, sums1)
ROW4_INOUT(3, sums2)
layout(push_constant) uniform push { columns_finish_params p; };

shared vec4 part[256];

// The sum of what the invocations with the same column found: halves upon halves.
vec4 of_all(vec4 sum)
{
    uint me = gl_LocalInvocationID.x;
    part[me] = sum;
    barrier();
    for (uint half_ = gl_WorkGroupSize.x / 2; half_ >= COLUMN_FOURS; half_ /= 2) {
        if (me < half_)
            part[me] += part[me + half_];
        barrier();
    }
    return part[me];
}

void main()
{
    uint fours = SHARED != 0 ? COLUMN_FOURS : gl_WorkGroupSize.x;
    uint blocks = (p.cols + 4 * fours - 1) / (4 * fours);
    uint which = group_index() / blocks;
    uint col = 4 * (group_index() % blocks * fours + gl_LocalInvocationID.x % fours);
    uint row = gl_LocalInvocationID.x / fours, step_ = gl_WorkGroupSize.x / fours;
    if (which >= p.count)
        return;
    vec4 sum = vec4(0);
    if (col < p.cols)
        for (uint chunk = row; chunk < p.chunks; chunk += step_) {
            uint begin = (which * p.chunks + chunk) * p.cols;
            sum += partial_at(begin + col, begin + p.cols);
        }
    if (SHARED != 0)
        sum = of_all(sum);
    if (row != 0 || col >= p.cols)
        return;
    if (which == 0)
        sums0_put(col, p.cols, p.accumulate != 0 ? sum + sums0_at(col, p.cols) : sum);
    else if (which == 1)
        sums1_put(col, p.cols, p.accumulate != 0 ? sum + sums1_at(col, p.cols) : sum);
    else
        sums2_put(col, p.cols, p.accumulate != 0 ? sum + sums2_at(col, p.cols) : sum);
}
