// Where things lie that are not needed all the time: those needed at no same time may share bytes.
#ifndef VKB_BERT_PLACE_H
#define VKB_BERT_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct bert_place {
    uint64_t bytes;  // at least 1
    uint64_t life;   // a bit for each time at which it is needed
    uint32_t buffer; // found: 0, 1, ...
    uint64_t offset; // found: in that buffer
} bert_place;

// Finds a place for all: offsets are multiples of `alignment`, and no buffer is larger than
// `limit`, but for what is larger alone. sizes[count]: bytes of each buffer, *buffers of them;
// together no more than all places one behind the other. false: the host has no memory for it.
//
// The largest first, each where its buffer grows least: not always the best, but what is as large
// as the most that is needed at a time comes out so for all shapes of BERT
// (tests/bert/test_place.c).
bool bert_place_all(bert_place *places, size_t count, uint64_t limit, uint64_t alignment,
                    uint64_t *sizes, uint32_t *buffers);

#endif
