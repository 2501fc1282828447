// Several texts a row, each [CLS] text [SEP] with positions of its own and attending to itself alone
// (Krell et al., "Efficient Sequence Packing without Cross-contamination", 2021). Texts longer than a
// row are cut into pieces, so that nothing is lost.
//
// Best-fit decreasing, in windows of texts: the longest piece first, into the row with the least room
// that still takes it. Rows are found by their room in a table; a window costs its pieces times
// max_seq_length / 64 at most. 16 bytes a piece are kept.
#include "text/rows.h"

#include "base/array.h"

#include <stdlib.h>

enum { WINDOW = 1 << 16 };

#define NONE UINT32_MAX

// A window while it is packed.
typedef struct window {
    row_piece pieces[WINDOW];
    uint32_t sizes[WINDOW]; // with [CLS] and [SEP]
    uint32_t count;
    uint32_t order[WINDOW], by_size; // pieces, the longest first
    uint32_t row_of[WINDOW];         // of each piece
    uint32_t next_row[WINDOW];       // of the same room
    uint32_t row_room[WINDOW], rows;
    uint32_t *first_row; // [length + 1]: by room
    uint64_t *has_row;   // bits of first_row
} window;

// Counting sort, the longest first, equal ones as they stood.
static void sort_by_size(window *w, uint32_t length)
{
    uint32_t *starts = w->first_row; // used before the rows are
    for (uint32_t s = 0; s <= length; s++)
        starts[s] = 0;
    for (uint32_t i = 0; i < w->count; i++)
        starts[w->sizes[i]]++;
    uint32_t at = 0;
    for (uint32_t s = length + 1; s-- > 0;) {
        const uint32_t many = starts[s];
        starts[s] = at;
        at += many;
    }
    for (uint32_t i = 0; i < w->count; i++)
        w->order[starts[w->sizes[i]]++] = i;
}

static void row_put(window *w, uint32_t row)
{
    const uint32_t room = w->row_room[row];
    w->next_row[row] = w->first_row[room];
    w->first_row[room] = row;
    w->has_row[room / 64] |= (uint64_t)1 << room % 64;
}

// Takes the row with the least room of at least `size` out; NONE: there is none.
static uint32_t row_take(window *w, uint32_t size, uint32_t length)
{
    for (uint32_t word = size / 64; word <= length / 64; word++) {
        uint64_t bits = w->has_row[word];
        if (word == size / 64)
            bits &= ~(uint64_t)0 << size % 64;
        if (!bits)
            continue;
        uint32_t room = word * 64;
        while (!(bits >> room % 64 & 1))
            room++;
        const uint32_t row = w->first_row[room];
        w->first_row[room] = w->next_row[row];
        if (w->first_row[room] == NONE)
            w->has_row[word] &= ~((uint64_t)1 << room % 64);
        return row;
    }
    return NONE;
}

static void pack(window *w, uint32_t length)
{
    sort_by_size(w, length);
    for (uint32_t s = 0; s <= length; s++)
        w->first_row[s] = NONE;
    for (uint32_t s = 0; s <= length / 64; s++)
        w->has_row[s] = 0;
    w->rows = 0;
    for (uint32_t i = 0; i < w->count; i++) {
        const uint32_t piece = w->order[i], size = w->sizes[piece];
        uint32_t row = row_take(w, size, length);
        if (row == NONE) {
            row = w->rows++;
            w->row_room[row] = length;
        }
        w->row_room[row] -= size;
        w->row_of[piece] = row;
        row_put(w, row);
    }
}

// Appends the window's rows to the data set's.
static vkb_status window_close(vkb_dataset *data, window *w)
{
    const uint32_t length = data->params.max_seq_length;
    const size_t first = data->pieces.count;
    if (!w->count)
        return VKB_OK;
    pack(w, length);
    if (!array_reserve(&data->pieces, first + w->count) ||
        !array_reserve(&data->row_starts, data->row_starts.count + w->rows + 1))
        return vkb_fail_memory(data->ctx, (first + w->count) * sizeof(row_piece),
                               "the rows of a data set");
    uint32_t *fill = w->next_row; // pieces of each row, then where its next one goes
    for (uint32_t r = 0; r < w->rows; r++)
        fill[r] = 0;
    for (uint32_t i = 0; i < w->count; i++)
        fill[w->row_of[i]]++;
    for (uint32_t r = 0, at = 0; r < w->rows; r++) {
        const uint32_t many = fill[r];
        data->row_starts.at[data->row_starts.count++] = first + at;
        fill[r] = at;
        at += many;
    }
    for (uint32_t i = 0; i < w->count; i++) {
        data->pieces.at[first + fill[w->row_of[i]]++] = w->pieces[i];
        data->tokens += w->sizes[i];
    }
    data->pieces.count += w->count;
    w->count = 0;
    return VKB_OK;
}

static vkb_status add_text(vkb_dataset *data, uint32_t text, window *w)
{
    const uint64_t most = data->params.max_seq_length - 2;
    uint64_t start, count;
    vkb_status status = token_store_text(data->store, text, &start, &count);
    for (uint64_t from = 0; status == VKB_OK && from < count; from += most) {
        if (w->count == WINDOW)
            status = window_close(data, w);
        w->pieces[w->count] = (row_piece){text, (uint32_t)(from / most)};
        w->sizes[w->count++] = (uint32_t)(count - from < most ? count - from : most) + 2;
    }
    return status;
}

static vkb_status begin(vkb_dataset *data, uint64_t epoch)
{
    const uint32_t length = data->params.max_seq_length;
    uint32_t texts = 0;
    (void)epoch;
    if (data->begun)
        return VKB_OK; // the same in every epoch
    window *w = calloc(1, sizeof(*w));
    vkb_status status = rows_count_texts(data, &texts);
    if (w) {
        w->first_row = malloc((length + 1ull) * sizeof(*w->first_row));
        w->has_row = malloc((length / 64 + 1ull) * sizeof(*w->has_row));
    }
    if (!w || !w->first_row || !w->has_row)
        status = vkb_fail_memory(data->ctx, sizeof(*w), "the rows of a data set");
    for (uint32_t t = 0; t < texts && status == VKB_OK; t++)
        status = add_text(data, t, w);
    if (status == VKB_OK)
        status = window_close(data, w);
    if (status == VKB_OK && !array_reserve(&data->row_starts, data->row_starts.count + 1))
        status = vkb_fail_memory(data->ctx, data->row_starts.count * 8, "the rows of a data set");
    if (status == VKB_OK) {
        data->row_starts.at[data->row_starts.count] = data->pieces.count;
        data->rows = data->row_starts.count;
        if (rows_limit(data, data->rows) < data->rows) {
            data->rows = data->max_rows;
            data->tokens = 0;
            for (uint64_t i = 0; i < data->row_starts.at[data->rows] && status == VKB_OK; i++) {
                uint64_t start, count, from = data->pieces.at[i].part * (length - 2ull);
                status = token_store_text(data->store, data->pieces.at[i].text, &start, &count);
                data->tokens += 2 + (count - from < length - 2 ? count - from : length - 2);
            }
        }
    }
    if (w) {
        free(w->first_row);
        free(w->has_row);
    }
    free(w);
    return status;
}

static vkb_status read(const vkb_dataset *data, uint64_t row, dataset_row *out)
{
    const uint64_t most = data->params.max_seq_length - 2;
    vkb_status status = VKB_OK;
    uint32_t segment = 1;
    for (uint64_t i = data->row_starts.at[row]; i < data->row_starts.at[row + 1]; i++, segment++) {
        const row_piece piece = data->pieces.at[i];
        const uint64_t from = piece.part * most;
        uint64_t start, count;
        status = token_store_text(data->store, piece.text, &start, &count);
        if (status != VKB_OK)
            break;
        const uint64_t taken = count - from < most ? count - from : most;
        row_add(out, data->special.cls, 0, 0, segment);
        status = row_add_text(data, piece.text, from, taken, 0, 1, segment, out);
        if (status != VKB_OK)
            break;
        row_add(out, data->special.sep, 0, (uint32_t)taken + 1, segment);
    }
    return status;
}

const rows_kind rows_packed = {begin, read};
