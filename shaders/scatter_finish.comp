// Adds up the runs of equal keys that go beyond a chunk: see scatter.glsl.
//
//   0  sorted   u32[tokens][2]        in    constants: 0 local size, 2 FORMAT (row4.glsl) of fp32, 3 FOURS
//   1  partial  f32[chunks][2][cols]  in
//   2  table    f32[any][cols]        in and out, or a part of it
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "params.h"
#include "scatter.glsl"

ROW4_IN(1, partial)
ROW4_INOUT(2, table)

vec4 kept(uint row, uint col)
{
    return partial_at(row * p.cols + col, (row + 1) * p.cols);
}

// The first chunk behind this one that does not begin with the key, by bisection.
uint run_end(uint key, uint chunk)
{
    uint low = chunk + 1, high = (p.tokens + p.chunk - 1) / p.chunk;
    while (low < high) {
        uint middle = (low + high) / 2;
        if (key_at(middle * p.chunk) == key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void main()
{
    uint col, chunk, begin, end;
    if (!chunk_place(col, chunk, begin, end) || end == p.tokens)
        return;
    uint key = key_at(end - 1);
    if (key_at(end) != key || (begin > 0 && key_at(begin - 1) == key) || !has(key))
        return; // no run begins here and goes on
    uint last = run_end(key, chunk), row = (key - p.first) * p.cols;
    [[unroll]] for (uint j = 0; j < FOURS; j++) {
        uint c = column(col, j);
        vec4 sum = kept(2 * chunk + 1, c);
        uint i = chunk + 1;
        for (; i + 4 <= last; i += 4) // four loads at a time
            sum += (kept(2 * i, c) + kept(2 * i + 2, c)) + (kept(2 * i + 4, c) + kept(2 * i + 6, c));
        for (; i < last; i++)
            sum += kept(2 * i, c);
        table_put(row + c, row + p.cols, table_at(row + c, row + p.cols) + sum);
    }
}
