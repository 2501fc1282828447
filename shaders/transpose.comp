// to[batch][col][row] = from[row][col], for matmul_lanes.
//
//   0  from  f32, fp16 or bf16 [rows][ld], batches outer_stride and inner_stride apart  in
//   1  to    f32[batch][cols][rows]                                                     out
//
// An invocation has four neighbouring rows and goes along COLUMNS of them, a block of 4 x 4 a turn:
// to software drivers a load or store is a loop over the lanes, and four elements cost little more
// than one.
//
// Constants: 0 workgroup size; 1 COLUMNS, a multiple of four; 2 FORMAT of `from`, as in row4.glsl;
// 3 ROWS_IN_FOURS: there is a multiple of four of them. Grid: rows / (4 * workgroup size), cols /
// COLUMNS, batch.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "row4.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint COLUMNS = 128;
layout(constant_id = 3) const uint ROWS_IN_FOURS = 0;
ACT4_IN(0, from)
layout(set = 0, binding = 1) writeonly buffer to_floats { float to[]; };
layout(set = 0, binding = 1) writeonly buffer to_fours { vec4 to4[]; };
layout(push_constant) uniform push { transpose_params p; };

// Sets elements at .. at+3 of `to`; those from `end` on are left alone.
void to_put(uint at, uint end, vec4 four)
{
    if (ROWS_IN_FOURS != 0)
        to4[at / 4] = four;
    else
        for (uint i = 0; i < 4; i++)
            if (at + i < end)
                to[at + i] = four[i];
}

void main()
{
    uint row = 4 * (gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationID.x);
    uint first = gl_WorkGroupID.y * COLUMNS, last = min(first + COLUMNS, p.cols);
    uint batch = gl_WorkGroupID.z;
    if (row >= p.rows)
        return;
    uint matrix = batch / p.inner * p.outer_stride + batch % p.inner * p.inner_stride;
    uint begin[4];
    for (uint i = 0; i < 4; i++) // beyond the last row: that one again, which is not stored
        begin[i] = matrix + (ROWS_IN_FOURS != 0 ? row + i : min(row + i, p.rows - 1)) * p.ld;
    for (uint col = first; col < last; col += 4) {
        mat4 block;
        for (uint i = 0; i < 4; i++)
            block[i] = from_at(begin[i] + col, begin[i] + last);
        block = transpose(block);
        for (uint i = 0; i < 4; i++)
            if (IN_FOURS || col + i < last) {
                uint to_row = (batch * p.cols + col + i) * p.rows;
                to_put(to_row + row, to_row + p.rows, block[i]);
            }
    }
}
