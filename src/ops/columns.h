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

// sums [cols] (+)= the sum over partial [chunks][cols].
void columns_finish(gpu_stream *s, const columns_plan *plan, gpu_view partial, uint32_t cols,
                    bool accumulate, gpu_view sums);

#endif
