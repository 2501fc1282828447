// Which texts were there before: a set of 128-bit hashes, not of texts. Among n different texts the
// chance that any two have one hash is n^2 / 2^129: for a thousand million of them 10^-21.
#ifndef VKB_TEXT_CORPUS_SEEN_H
#define VKB_TEXT_CORPUS_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct corpus_seen {
    uint64_t (*slots)[2]; // 0, 0: empty
    size_t slot_count, count;
} corpus_seen;

// Puts a text in; *before: it was in. False: memory is exhausted.
bool corpus_seen_add(corpus_seen *seen, const char *text, size_t bytes, bool *before);
void corpus_seen_free(corpus_seen *seen);

#endif
