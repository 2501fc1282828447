// Rows of random ids, full to the last place: what a device is measured on, where no text is wanted.
#include "text/rows.h"

#include "base/context.h"
#include "base/philox.h"

#include <stdlib.h>

vkb_status vkb_dataset_random(vkb_context *ctx, uint32_t vocab_size,
                              const vkb_dataset_params *params, vkb_dataset **out)
{
    const uint32_t length = params->max_seq_length ? params->max_seq_length : 128;
    if (vocab_size <= ROWS_SPECIAL_IDS || length < 3 || length > 1 << 20 || !params->max_samples)
        return vkb_fail(
            ctx, VKB_BAD_ARGUMENT,
            "%llu random rows of %u tokens from %u ids, expected 1 or more rows of 3 to "
            "%u from more than %d",
            (unsigned long long)params->max_samples, length, vocab_size, 1 << 20, ROWS_SPECIAL_IDS);
    vkb_dataset *data = calloc(1, sizeof(*data));
    if (!data)
        return vkb_fail_memory(ctx, sizeof(*data), "a data set");
    data->ctx = ctx;
    data->kind = &rows_random;
    data->params.max_seq_length = length;
    data->params.seed = params->seed;
    data->max_rows = params->max_samples;
    data->random_vocab = vocab_size;
    data->special = (vkb_special_ids){.pad = 0, .unk = 1, .cls = 2, .sep = 3, .mask = 4};
    vkb_status status = dataset_begin_epoch(data, 0, &data->first_rows);
    data->first_tokens = data->tokens;
    *out = data;
    return status;
}

static vkb_status begin(vkb_dataset *data, uint64_t epoch)
{
    (void)epoch; // the same in every one
    data->rows = data->max_rows;
    data->tokens = data->rows * data->params.max_seq_length;
    return VKB_OK;
}

static vkb_status read(const vkb_dataset *data, uint64_t row, dataset_row *out)
{
    const uint32_t length = data->params.max_seq_length;
    const uint32_t choice = data->random_vocab - ROWS_SPECIAL_IDS;
    philox4 draws = {{0}};
    row_add(out, data->special.cls, 0, 0, 1);
    for (uint32_t i = 1; i + 1 < length; i++) {
        if (i == 1 || i % 4 == 0)
            draws = philox(data->params.seed,
                           (philox4){{i / 4, (uint32_t)row, (uint32_t)(row >> 32), PHILOX_ROWS}});
        row_add(out, ROWS_SPECIAL_IDS + draws.v[i % 4] % choice, 0, i, 1);
    }
    row_add(out, data->special.sep, 0, length - 1, 1);
    return VKB_OK;
}

const rows_kind rows_random = {begin, read};
