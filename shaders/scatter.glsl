// table[key] += the sum of dy over the tokens with that key, in the order of the tokens: the backward of a
// lookup. Tokens are sorted by their keys. Chunks of them are summed (scatter_sum): a run of one key within
// a chunk is added to the table's row there and then; what a chunk has of a run that goes on beyond it is
// kept, and added up by the chunk in which the run begins (scatter_finish). No atomics are needed.
//
// FOURS, specialisation constant 3: an invocation has so many fours of columns, a workgroup's size apart.
// More than one only where workgroups then divide the columns: no column is asked whether it exists.
//
// Grid: blocks of 4 * FOURS * local size columns, times chunks (gpu_items).
#include "index.glsl"
#include "row4.glsl"

layout(constant_id = 3) const uint FOURS = 1;
layout(local_size_x_id = 0) in;
layout(set = 0, binding = 0) readonly buffer sorted_buffer { uint sorted[]; }; // [tokens][2]: key, token
layout(push_constant) uniform push { scatter_params p; };

uint key_at(uint i)
{
    return sorted[2 * i];
}

// Do the keys that are summed have this one? Others are of another part of the table, or left out.
bool has(uint key)
{
    return key - p.first < p.count && (p.use_skip == 0 || key != p.skip);
}

// Where this invocation's j-th four of columns begins.
uint column(uint first, uint j)
{
    return first + j * 4 * gl_WorkGroupSize.x;
}

// This invocation's first column, and its chunk's tokens; false: it has none.
bool chunk_place(out uint col, out uint chunk, out uint begin, out uint end)
{
    uint width = 4 * FOURS * gl_WorkGroupSize.x, blocks = (p.cols + width - 1) / width;
    chunk = group_index() / blocks;
    col = group_index() % blocks * width + 4 * gl_LocalInvocationID.x;
    begin = chunk * p.chunk;
    end = min(begin + p.chunk, p.tokens);
    return begin < p.tokens && col < p.cols;
}
