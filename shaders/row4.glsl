// Rows of floats, four elements a turn: as a vec4 when all rows begin and end at a multiple of four
// (ALIGNED, specialisation constant 2), else one by one.
//
//     ROW4_IN(0, x)   declares buffer x at binding 0, and
//     vec4 x_at(i, end)       elements i .. i+3 of x; those from `end`, the row's end, on are 0
//     ROW4_OUT(4, y)  declares buffer y at binding 4, and
//     void y_put(i, end, v)   sets elements i .. i+3 of y; those from `end` on are left alone
//     vec4 row4_valid(i, end) 1 for the elements before `end`, else 0
layout(constant_id = 2) const uint ALIGNED = 0;

vec4 row4_valid(uint i, uint end)
{
    return ALIGNED != 0 ? vec4(1) : vec4(lessThan(i + uvec4(0, 1, 2, 3), uvec4(end)));
}

// One memory, seen as floats and as vec4s.
#define ROW4_BUFFER(n, access, x)                                                                  \
    layout(set = 0, binding = n) access buffer x##_floats { float x[]; };                          \
    layout(set = 0, binding = n) access buffer x##_fours { vec4 x##4[]; };

// Names end in _ so that a buffer may be called v or i.
#define ROW4_AT(x)                                                                                 \
    vec4 x##_at(uint i_, uint end_)                                                                \
    {                                                                                              \
        if (ALIGNED != 0)                                                                          \
            return x##4[i_ / 4];                                                                   \
        vec4 four_ = vec4(0);                                                                      \
        for (uint j_ = 0; j_ < 4; j_++)                                                            \
            if (i_ + j_ < end_)                                                                    \
                four_[j_] = x[i_ + j_];                                                            \
        return four_;                                                                              \
    }

#define ROW4_PUT(y)                                                                                \
    void y##_put(uint i_, uint end_, vec4 four_)                                                   \
    {                                                                                              \
        if (ALIGNED != 0) {                                                                        \
            y##4[i_ / 4] = four_;                                                                  \
            return;                                                                                \
        }                                                                                          \
        for (uint j_ = 0; j_ < 4; j_++)                                                            \
            if (i_ + j_ < end_)                                                                    \
                y[i_ + j_] = four_[j_];                                                            \
    }

#define ROW4_IN(n, x)    ROW4_BUFFER(n, readonly, x) ROW4_AT(x)
#define ROW4_OUT(n, y)   ROW4_BUFFER(n, writeonly, y) ROW4_PUT(y)
#define ROW4_INOUT(n, y) ROW4_BUFFER(n, , y) ROW4_AT(y) ROW4_PUT(y)
