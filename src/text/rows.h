// How a data set's rows are cut from its token store: one file a kind of rows.
//
//   rows_grouped.c  [CLS] text [SEP] after [CLS] text [SEP], cut every so many tokens
//   rows_lines.c    a text a row
//   rows_packed.c   several texts a row
//   rows_pairs.c    two runs of texts a row, for next-sentence prediction
//   rows_random.c   random ids, without a store
#ifndef VKB_TEXT_ROWS_H
#define VKB_TEXT_ROWS_H

#include "text/dataset.h"
#include "text/token_store.h"

// A text, or a piece of one that is longer than a row.
typedef struct row_piece {
    uint32_t text;
    uint32_t part; // its tokens start at part * (length - 2) of the text's
} row_piece;

// Texts a_begin .. a_end-1 and b_begin .. b_end-1.
typedef struct row_pair {
    uint32_t a_begin, a_end, b_begin, b_end;
    bool is_random;
} row_pair;

typedef struct rows_kind {
    // Makes what the kind needs to find its rows in an epoch; sets rows and tokens.
    vkb_status (*begin)(vkb_dataset *data, uint64_t epoch);
    vkb_status (*read)(const vkb_dataset *data, uint64_t row, dataset_row *out);
} rows_kind;

extern const rows_kind rows_grouped, rows_lines, rows_packed, rows_pairs, rows_random;

enum { ROWS_SPECIAL_IDS = 5 }; // in front of the others in random rows

struct vkb_dataset {
    vkb_context *ctx;
    token_store *store; // NULL: rows_random
    const rows_kind *kind;
    vkb_dataset_params params; // defaults filled in
    vkb_special_ids special;
    uint64_t max_rows;     // 0: all
    uint32_t random_vocab; // of rows_random: ids, with the special ones in front
    bool was_cached;

    uint64_t epoch; // the one begun last
    bool begun;
    uint64_t rows, tokens;             // of that epoch
    uint64_t first_rows, first_tokens; // of the first
    struct {
        uint32_t *at;
        size_t count, capacity;
    } lines; // texts that are not blank, by row
    struct {
        row_piece *at;
        size_t count, capacity;
    } pieces; // by row
    struct {
        uint64_t *at;
        size_t count, capacity;
    } row_starts; // rows + 1 indices into pieces
    struct {
        row_pair *at;
        size_t count, capacity;
    } pairs;
};

// ---- What the kinds share ----

// Appends to a row that is being filled: used counts its tokens so far.
void row_add(dataset_row *row, uint32_t id, uint32_t type, uint32_t position, uint32_t segment);
// Appends count tokens of a text from its token `from` on.
vkb_status row_add_text(const vkb_dataset *data, uint64_t text, uint64_t from, uint64_t count,
                        uint32_t type, uint32_t position, uint32_t segment, dataset_row *row);
// How many texts there are, which the compact tables count in 32 bits.
vkb_status rows_count_texts(const vkb_dataset *data, uint32_t *texts);
// `wanted`, or max_rows when that is fewer.
uint64_t rows_limit(const vkb_dataset *data, uint64_t wanted);

#endif
