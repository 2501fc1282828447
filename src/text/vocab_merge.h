// The merging half of vocabulary training: pairs of neighbouring pieces become pieces.
#ifndef VKB_TEXT_VOCAB_MERGE_H
#define VKB_TEXT_VOCAB_MERGE_H

#include "text/vocabulary.h"

// Pieces in the making, found by their text.
typedef struct text_pieces {
    char **at; // owned
    size_t count, capacity;
    text_vocabulary index;
} text_pieces;

// The id of the piece head + tail, new or not; VOCABULARY_NONE when memory is exhausted.
uint32_t pieces_add(text_pieces *pieces, const char *head, const char *tail, size_t tail_bytes);
void pieces_free(text_pieces *pieces);

// A distinct word of the text as the pieces it consists of so far.
typedef struct merge_word {
    uint32_t *pieces;
    uint32_t length;
    uint64_t count; // how often it occurs
} merge_word;

// Merges the most frequent pair, ties going to the smaller ids, until there are vocab_size pieces
// or no pair occurs min_frequency times. The words' pieces are merged in place. False: memory is
// exhausted.
bool vocab_merge(text_pieces *pieces, merge_word *words, size_t word_count, uint32_t vocab_size,
                 uint64_t min_frequency);

#endif
