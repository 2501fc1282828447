// Sums of dy over the runs of equal keys in each chunk: see scatter.glsl.
//
//   0  sorted   u32[tokens][2]        in            constants: 0 local size, 2 FORMAT (row4.glsl),
//   1  dy       act[tokens][cols]     in                       3 FOURS
//   2  table    f32[any][cols]        in and out, or a part of it
//   3  partial  f32[chunks][2][cols]  out: of a run from chunks before, of one that goes on beyond
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "params.h"
#include "scatter.glsl"

ACT4_IN(1, dy)
ROW4_INOUT(2, table)
ROW4_OUT(3, partial)

void main()
{
    uint col, chunk, begin, end, next;
    if (!chunk_place(col, chunk, begin, end))
        return;
    for (uint i = begin; i < end; i = next) {
        uint key = key_at(i), row = (key - p.first) * p.cols, kept = OP_NONE;
        for (next = i + 1; next < end && key_at(next) == key;)
            next++;
        if (!has(key))
            continue;
        vec4 sum[FOURS], old[FOURS];
        [[unroll]] for (uint j = 0; j < FOURS; j++) {
            sum[j] = vec4(0);
            old[j] = table_at(row + column(col, j), row + p.cols);
        }
        for (uint k = i; k < next; k++) {
            uint from = sorted[2 * k + 1] * p.cols;
            [[unroll]] for (uint j = 0; j < FOURS; j++)
                sum[j] += dy_at(from + column(col, j), from + p.cols);
        }
        if (i == begin && begin > 0 && key_at(begin - 1) == key)
            kept = 2 * chunk;
        else if (next == end && end < p.tokens && key_at(end) == key)
            kept = 2 * chunk + 1;
        uint to = kept * p.cols;
        [[unroll]] for (uint j = 0; j < FOURS; j++)
            if (kept != OP_NONE)
                partial_put(to + column(col, j), to + p.cols, sum[j]);
            else
                table_put(row + column(col, j), row + p.cols, old[j] + sum[j]);
    }
}
