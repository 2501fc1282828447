// The two passes of a sum over rows, for operations whose first pass is their own.
#ifndef VKB_OPS_COLUMNS_H
#define VKB_OPS_COLUMNS_H

#include "ops/internal.h"

// Rows in chunks, columns in blocks: a workgroup for each block of each chunk
// (shaders/columns.glsl).
typedef struct columns_plan {
    uint32_t size, format; // specialisation constants 0 and 2
    uint32_t blocks, chunks, rows_per_chunk;
} columns_plan;
columns_plan columns_plan_for(const gpu_stream *s, uint32_t rows, uint32_t cols, gpu_type type);

// sums[i] [cols] (+)= the sum over partial [i][chunks][cols], for one to three sums.
void columns_finish(gpu_stream *s, gpu_view partial, uint32_t chunks, uint32_t cols,
                    bool accumulate, const gpu_view *sums, uint32_t count);

#endif
