// Rows as run_mlm groups texts: every line is [CLS] line [SEP], blank ones too, all of them are one
// long run of tokens, cut every max_seq_length. run_mlm cuts each 1000 lines on their own and drops
// 1000 tails; we cut the whole text and drop one, unless it is all there is.
//
// The run is nowhere written down: text t starts at its first id's place plus 2 t.
#include "text/rows.h"

static vkb_status begin(vkb_dataset *data, uint64_t epoch)
{
    const uint64_t length = data->params.max_seq_length;
    const uint64_t total = token_store_ids(data->store) + 2 * token_store_texts(data->store);
    (void)epoch;
    data->rows = rows_limit(data, total / length ? total / length : total > 0);
    data->tokens = total < length ? total : data->rows * length;
    return VKB_OK;
}

// The last text that starts at or before a place of the run.
static vkb_status find_text(const vkb_dataset *data, uint64_t place, uint64_t *text)
{
    uint64_t low = 0, high = token_store_texts(data->store);
    while (high - low > 1) {
        const uint64_t middle = low + (high - low) / 2;
        uint64_t start, count;
        vkb_status status = token_store_text(data->store, middle, &start, &count);
        if (status != VKB_OK)
            return status;
        if (start + 2 * middle <= place)
            low = middle;
        else
            high = middle;
    }
    *text = low;
    return VKB_OK;
}

static vkb_status read(const vkb_dataset *data, uint64_t row, dataset_row *out)
{
    const uint32_t length = data->params.max_seq_length;
    const uint64_t texts = token_store_texts(data->store);
    uint64_t text, start, count, place = row * length;
    vkb_status status = find_text(data, place, &text);
    for (; status == VKB_OK && out->used < length && text < texts; text++) {
        status = token_store_text(data->store, text, &start, &count);
        if (status != VKB_OK)
            break;
        uint64_t within = place - (start + 2 * text); // tokens of this text in the row before
        if (within == 0)
            row_add(out, data->special.cls, 0, out->used, 1);
        const uint64_t from = within ? within - 1 : 0, room = length - out->used;
        if (from < count)
            status = row_add_text(data, text, from, count - from < room ? count - from : room, 0,
                                  out->used, 1, out);
        if (out->used < length)
            row_add(out, data->special.sep, 0, out->used, 1);
        place = row * length + out->used;
    }
    return status;
}

const rows_kind rows_grouped = {begin, read};
