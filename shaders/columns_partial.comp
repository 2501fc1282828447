// Sums over the rows of each chunk, or over those of them whose key is the selected one.
//
//   0  x        act[rows][cols]    in
//   1  keys     uint[rows]         in, only read when use_keys
//   2  partial  f32[chunks][cols]  out, for columns_finish
//
// Constants: 0 workgroup size, 2 FORMAT (row4.glsl). Grid: columns.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params.h"
#include "columns.glsl"

ACT4_IN(0, x)
layout(set = 0, binding = 1) readonly buffer keys_buffer { uint keys[]; };
ROW4_OUT(2, partial)
layout(push_constant) uniform push { columns_params p; };

void main()
{
    uint col, chunk;
    if (!columns_place(p.cols, p.chunks, col, chunk))
        return;
    uint first = chunk * p.rows_per_chunk, last = min(first + p.rows_per_chunk, p.rows);
    vec4 sum = vec4(0);
    if (p.use_keys == 0) {
        for (uint row = first; row < last; row++)
            sum += x_at(row * p.cols + col, (row + 1) * p.cols);
    } else {
        for (uint row = first; row < last; row++)
            if (keys[row] == p.select)
                sum += x_at(row * p.cols + col, (row + 1) * p.cols);
    }
    partial_put(chunk * p.cols + col, (chunk + 1) * p.cols, sum);
}
