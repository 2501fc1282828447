// Pointwise kernels: an invocation works on TURNS fours of elements, a workgroup's size apart. Grid:
// op_flat_for (src/ops/internal.h). Constants: 0 workgroup size, 1 TURNS, 2 FORMAT
// (row4.glsl); act is its type.
#include "index.glsl"
#include "row4.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint TURNS = 1;

// For each four of this invocation: elements i .. i+3.
#define FOUR_EACH(i, count)                                                                        \
    for (uint turn_ = 0, i = 4 * (group_index() * TURNS * gl_WorkGroupSize.x +                     \
                                  gl_LocalInvocationID.x);                                         \
         turn_ < TURNS && i < (count); turn_++, i += 4 * gl_WorkGroupSize.x)
