#include "text/rows.h"

void row_add(dataset_row *row, uint32_t id, uint32_t type, uint32_t position, uint32_t segment)
{
    const uint32_t at = row->used++;
    row->ids[at] = id;
    row->types[at] = type;
    row->positions[at] = position;
    row->segments[at] = segment;
}

vkb_status row_add_text(const vkb_dataset *data, uint64_t text, uint64_t from, uint64_t count,
                        uint32_t type, uint32_t position, uint32_t segment, dataset_row *row)
{
    uint64_t start, whole;
    const uint32_t at = row->used;
    vkb_status status = token_store_text(data->store, text, &start, &whole);
    if (status == VKB_OK)
        status = token_store_read(data->store, start + from, count, row->ids + at);
    if (status != VKB_OK)
        return status;
    for (uint32_t i = 0; i < count; i++) {
        row->types[at + i] = type;
        row->positions[at + i] = position + i;
        row->segments[at + i] = segment;
    }
    row->used += (uint32_t)count;
    return VKB_OK;
}

vkb_status rows_count_texts(const vkb_dataset *data, uint32_t *texts)
{
    const uint64_t count = token_store_texts(data->store);
    if (count >= UINT32_MAX)
        return vkb_fail(data->ctx, VKB_BAD_FILE,
                        "the text has %llu lines, but these rows are made of at most %u: give "
                        "fewer, or let lines be joined",
                        (unsigned long long)count, UINT32_MAX - 1);
    *texts = (uint32_t)count;
    return VKB_OK;
}

uint64_t rows_limit(const vkb_dataset *data, uint64_t wanted)
{
    return data->max_rows && data->max_rows < wanted ? data->max_rows : wanted;
}
