// Where a workgroup of attention's fused kernels is, ROWS rows of one head (queries, or keys in the
// gradient of keys and values), and which columns it goes over (keys, or queries). Where it is included,
// p is attention_params.
//
// Grid: gpu_items of (row, head, tile of ROWS), the last counting fastest.
#include "index.glsl"

const uint ROWS = 64;
const float LEAST = -3.402823466e38; // the largest score so far, before there is one

shared uint lowest, highest, padding, first_seen, end_seen;

layout(set = 0, binding = 1) readonly buffer segment_words { uint segments[]; };

uint head_size, head_index, first_token, row0;

// False: beyond the last head, all must return.
bool rows_begin()
{
    uint tiles = (p.row_length + ROWS - 1) / ROWS, index = group_index();
    head_size = p.hidden / p.heads;
    head_index = index / tiles; // row * heads + head
    first_token = head_index / p.heads * p.row_length;
    row0 = index % tiles * ROWS;
    draws_begin();
    return head_index < p.rows * p.heads;
}

// The head's first element of token r of this row of the batch, in rows `ld` elements apart.
uint head_start(uint r, uint ld)
{
    return (first_token + r) * ld + head_index % p.heads * head_size;
}

// The columns that any row of this workgroup has to do with are all in first_seen .. end_seen - 1:
// neighbouring texts of a packed row, and the padding, are left out.
void find_columns(bool rows_are_keys)
{
    if (gl_LocalInvocationID.x == 0) {
        lowest = first_seen = OP_NONE;
        highest = padding = end_seen = 0;
    }
    barrier();
    uint r = row0 + gl_LocalInvocationID.x;
    if (gl_LocalInvocationID.x < ROWS && r < p.row_length) {
        uint s = segments[first_token + r];
        if (s == 0)
            atomicOr(padding, 1);
        else {
            atomicMin(lowest, s);
            atomicMax(highest, s);
        }
    }
    barrier();
    for (uint c = gl_LocalInvocationID.x; c < p.row_length; c += gl_WorkGroupSize.x) {
        uint s = segments[first_token + c];
        // A query of the padding sees all keys but the padding.
        bool all = rows_are_keys ? s == 0 && highest != 0 : s != 0 && padding != 0;
        if (all || (s != 0 && lowest <= s && s <= highest)) {
            atomicMin(first_seen, c / 4 * 4);
            atomicMax(end_seen, c + 1);
        }
    }
    barrier();
}

#define TILE_COLUMNS(c0) for (uint c0 = first_seen; c0 < end_seen; c0 += COLS)
