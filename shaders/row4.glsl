// Rows of fp32 or 16-bit numbers, four elements a turn. FORMAT, specialisation constant 2 unless the kernel
// defines it as another, is the
// activations' type, and whether all rows begin and end at a multiple of four:
//   0  fp32, of any length: elements one by one     2  fp16, multiples of four
//   1  fp32, multiples of four: vec4s               3  bf16, multiples of four
//
//     ACT4_IN(0, x)   declares an activation x of that type at binding 0, and
//     vec4 x_at(i, end)       elements i .. i+3 of x; those from `end`, the row's end, on are 0
//     ACT4_OUT(4, y)  declares activation y at binding 4, and
//     void y_put(i, end, v)   sets elements i .. i+3 of y; those from `end` on are left alone
//     vec4 row4_kept(v)       v as such an activation gives it back
//     ROW4_IN, ROW4_OUT       the same for what is fp32 whatever FORMAT says: gains, gradients of weights
//     vec4 row4_valid(i, end) 1 for the elements before `end`, else 0
//
// 16-bit numbers are read as words of two, which every device can: arithmetic is fp32 always.
#include "half.glsl"

#ifndef FORMAT
layout(constant_id = 2) const uint FORMAT = 0;
#endif
#define IN_FOURS (FORMAT != 0)
#define IS_HALF  (FORMAT >= 2)

vec4 row4_unpack(uvec2 two)
{
    return half_unpack(FORMAT, two);
}

uvec2 row4_pack(vec4 v)
{
    return half_pack(FORMAT, v);
}

vec4 row4_valid(uint i, uint end)
{
    return IN_FOURS ? vec4(1) : vec4(lessThan(i + uvec4(0, 1, 2, 3), uvec4(end)));
}

// What an activation keeps of v. That nothing is done to the words between no compiler can know: Mesa 25 takes
// what is packed and unpacked for the same number, unrounded.
vec4 row4_kept(vec4 v)
{
    return IS_HALF ? row4_unpack(row4_pack(v) ^ uint(gl_NumWorkGroups.x == 0)) : v;
}

// One memory, seen as floats, as vec4s, and as four halves a uvec2.
#define ROW4_BUFFER(n, access, x)                                                                  \
    layout(set = 0, binding = n) access buffer x##_floats { float x[]; };                          \
    layout(set = 0, binding = n) access buffer x##_fours { vec4 x##4[]; };
#define ACT4_BUFFER(n, access, x)                                                                  \
    ROW4_BUFFER(n, access, x)                                                                      \
    layout(set = 0, binding = n) access buffer x##_halves { uvec2 x##2[]; };

// Names end in _ so that a buffer may be called v or i.
#define ROW4_AT_BODY(x)                                                                            \
    if (IN_FOURS)                                                                                  \
        return x##4[i_ / 4];                                                                       \
    vec4 four_ = vec4(0);                                                                          \
    for (uint j_ = 0; j_ < 4; j_++)                                                                \
        if (i_ + j_ < end_)                                                                        \
            four_[j_] = x[i_ + j_];                                                                \
    return four_;

#define ROW4_PUT_BODY(y)                                                                           \
    if (IN_FOURS) {                                                                                \
        y##4[i_ / 4] = four_;                                                                      \
        return;                                                                                    \
    }                                                                                              \
    for (uint j_ = 0; j_ < 4; j_++)                                                                \
        if (i_ + j_ < end_)                                                                        \
            y[i_ + j_] = four_[j_];

#define ROW4_AT(x)  vec4 x##_at(uint i_, uint end_) { ROW4_AT_BODY(x) }
#define ROW4_PUT(y) void y##_put(uint i_, uint end_, vec4 four_) { ROW4_PUT_BODY(y) }
#define ACT4_AT(x)                                                                                 \
    vec4 x##_at(uint i_, uint end_)                                                                \
    {                                                                                              \
        if (IS_HALF)                                                                               \
            return row4_unpack(x##2[i_ / 4]);                                                      \
        ROW4_AT_BODY(x)                                                                            \
    }
#define ACT4_PUT(y)                                                                                \
    void y##_put(uint i_, uint end_, vec4 four_)                                                   \
    {                                                                                              \
        if (IS_HALF) {                                                                             \
            y##2[i_ / 4] = row4_pack(four_);                                                       \
            return;                                                                                \
        }                                                                                          \
        ROW4_PUT_BODY(y)                                                                           \
    }

#define ROW4_IN(n, x)    ROW4_BUFFER(n, readonly, x) ROW4_AT(x)
#define ROW4_OUT(n, y)   ROW4_BUFFER(n, writeonly, y) ROW4_PUT(y)
#define ROW4_INOUT(n, y) ROW4_BUFFER(n, , y) ROW4_AT(y) ROW4_PUT(y)
#define ACT4_IN(n, x)    ACT4_BUFFER(n, readonly, x) ACT4_AT(x)
#define ACT4_OUT(n, y)   ACT4_BUFFER(n, writeonly, y) ACT4_PUT(y)
#define ACT4_INOUT(n, y) ACT4_BUFFER(n, , y) ACT4_AT(y) ACT4_PUT(y)
