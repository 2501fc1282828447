// Pointwise kernels: buffers seen as vec4, and as floats for the last elements of a count that is no
// multiple of four. An invocation works on TURNS fours, a workgroup's size apart.
#ifndef VKB_FOUR_GLSL
#define VKB_FOUR_GLSL

#include "index.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint TURNS = 1;

// Binding `at` as float x[] and, over the same bytes, vec4 x4[].
#define FOUR_BUFFER(at, access, x)                                                                 \
    layout(set = 0, binding = at) access buffer x##_floats { float x[]; };                         \
    layout(set = 0, binding = at) access buffer x##_fours { vec4 x##4[]; }

// for (each four of this invocation): elements 4 * i .. 4 * i + 3, of a grid from op_flat_for.
#define FOUR_EACH(i, count)                                                                        \
    for (uint i = group_index() * TURNS * gl_WorkGroupSize.x + gl_LocalInvocationID.x, turn_ = 0;  \
         turn_ < TURNS && i < (count) / 4 + uint((count) % 4 != 0);                                \
         i += gl_WorkGroupSize.x, turn_++)

// Zeros behind the last element.
#define FOUR_LOAD(x, i, count)                                                                     \
    (4 * (i) + 3 < (count)                                                                         \
         ? x##4[i]                                                                                 \
         : vec4(x[4 * (i)], 4 * (i) + 1 < (count) ? x[4 * (i) + 1] : 0,                            \
                4 * (i) + 2 < (count) ? x[4 * (i) + 2] : 0, 0))

#define FOUR_STORE(x, i, count, value)                                                             \
    if (4 * (i) + 3 < (count))                                                                     \
        x##4[i] = value;                                                                           \
    else                                                                                           \
        for (uint last_ = 0; 4 * (i) + last_ < (count); last_++)                                   \
            x[4 * (i) + last_] = value[last_]

#endif
