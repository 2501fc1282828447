// Rows of ids, ready to be masked and trained on.
#ifndef VKB_TEXT_DATASET_H
#define VKB_TEXT_DATASET_H

#include "vkbert.h"

// Every row is this long once padded.
uint32_t dataset_row_length(const vkb_dataset *data);

// A row as the device gets it: arrays of dataset_row_length, the caller's.
typedef struct dataset_row {
    uint32_t *ids;   // [PAD] behind the last token
    uint32_t *types; // 0, or 1 for the second text of a pair
    uint32_t
        *positions; // 0, 1, ..., again from 0 in each text of a packed row; the place in the row
                    // for padding
    uint32_t *segments; // which text of the row: 1, 2, ...; 0 for padding
    uint32_t used;      // tokens without padding
    uint32_t example;   // what the row's masks are drawn from, besides seed and epoch
    uint32_t is_random; // pairs: 1 when the second text does not follow the first (the NSP label)
} dataset_row;

// Prepares the rows of an epoch and says how many there are: the same in every epoch, but for
// pairs, which are made anew. Call it before the epoch's first row.
vkb_status dataset_begin_epoch(vkb_dataset *data, uint64_t epoch, uint64_t *rows);

// Reads a row of the epoch begun last. One thread at a time; another data set may be read by
// another thread, but failures are told to one context. VKB_BAD_FILE: the token cache is damaged.
vkb_status dataset_read(const vkb_dataset *data, uint64_t row, dataset_row *out);

// Of the tokenizer, or of random rows.
vkb_special_ids dataset_special(const vkb_dataset *data);

// The ids that vkb_dataset_random was made with, which no tokenizer belongs to; 0: rows of a text.
uint32_t dataset_random_vocab(const vkb_dataset *data);

// Whether the rows are VKB_ROWS_PAIRS.
bool dataset_has_pairs(const vkb_dataset *data);

// Fills a row up behind its last token.
void dataset_pad(dataset_row *row, uint32_t pad, uint32_t length);

// The row that is at a place of an epoch's random order: a permutation of 0 .. rows-1, a function
// of seed and epoch alone, without a table. A run can go on from any place; rank r of n takes the
// places r, r + n, r + 2 n, ..., so that the rows of a step are the same for any number of ranks.
uint64_t dataset_shuffled(uint64_t rows, uint64_t seed, uint64_t epoch, uint64_t place);

// The context that failures are told to.
vkb_context *dataset_context(const vkb_dataset *data);

#endif
