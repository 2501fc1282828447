// Rows of ids, ready to be masked and trained on.
#ifndef VKB_TEXT_DATASET_H
#define VKB_TEXT_DATASET_H

#include "vkbert.h"

// Every row is this long once padded.
uint32_t dataset_row_length(const vkb_dataset *data);

// Writes the ids of a row, [PAD] behind them up to dataset_row_length; returns how many are real.
uint32_t dataset_row(const vkb_dataset *data, size_t row, uint32_t *ids);

// A permutation of 0 .. rows-1 that is a function of seed and epoch alone.
void dataset_shuffle(uint32_t rows, uint64_t seed, uint32_t epoch, uint32_t *order);

#endif
