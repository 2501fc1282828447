// Sums over rows: an invocation owns four neighbouring columns and goes down the rows of a chunk; a
// second pass adds up the chunks (columns_finish). No invocation waits for another, the
// order is fixed.
//
// Workgroups: column blocks of 4 * local size, times chunks (gpu_items).
#include "index.glsl"
#include "row4.glsl"

layout(local_size_x_id = 0) in;

// The invocation's first column and chunk; false: it has none.
bool columns_place(uint cols, uint chunks, out uint col, out uint chunk)
{
    uint blocks = (cols + 4 * gl_WorkGroupSize.x - 1) / (4 * gl_WorkGroupSize.x);
    chunk = group_index() / blocks;
    col = 4 * (group_index() % blocks * gl_WorkGroupSize.x + gl_LocalInvocationID.x);
    return chunk < chunks && col < cols;
}
