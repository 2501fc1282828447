// A text a row, [CLS] text [SEP]: blank ones left out, long ones cut.
#include "text/rows.h"

#include "base/array.h"

static vkb_status begin(vkb_dataset *data, uint64_t epoch)
{
    const uint64_t most = data->params.max_seq_length - 2;
    uint32_t texts = 0;
    vkb_status status = rows_count_texts(data, &texts);
    (void)epoch;
    if (data->begun || status != VKB_OK)
        return status; // the same in every epoch
    for (uint32_t t = 0; t < texts && !(data->max_rows && data->lines.count == data->max_rows);
         t++) {
        uint64_t start, count;
        status = token_store_text(data->store, t, &start, &count);
        if (status != VKB_OK)
            return status;
        if (!count)
            continue;
        if (!array_reserve(&data->lines, data->lines.count + 1))
            return vkb_fail_memory(data->ctx, data->lines.count * 4, "the rows of a data set");
        data->lines.at[data->lines.count++] = t;
        data->tokens += 2 + (count < most ? count : most);
    }
    data->rows = data->lines.count;
    return VKB_OK;
}

static vkb_status read(const vkb_dataset *data, uint64_t row, dataset_row *out)
{
    const uint32_t text = data->lines.at[row];
    const uint64_t most = data->params.max_seq_length - 2;
    uint64_t start, count;
    vkb_status status = token_store_text(data->store, text, &start, &count);
    if (status != VKB_OK)
        return status;
    row_add(out, data->special.cls, 0, 0, 1);
    status = row_add_text(data, text, 0, count < most ? count : most, 0, 1, 1, out);
    row_add(out, data->special.sep, 0, out->used, 1);
    return status;
}

const rows_kind rows_lines = {begin, read};
