// The distinct words of text files and how often each occurs: what a vocabulary is trained on.
#ifndef VKB_TEXT_WORD_COUNT_H
#define VKB_TEXT_WORD_COUNT_H

#include "text/words.h"
#include "vkbert.h"

typedef struct text_word {
    char *text; // owned, not terminated
    uint32_t bytes, hash;
    uint64_t count;
} text_word;

typedef struct text_words {
    text_word *at;
    size_t count, capacity;
    uint32_t *slots; // index + 1 into at, by hash; 0: empty
    size_t slot_count;
} text_words;

// Longer words are not counted: what has no blank for so long is no text.
#define WORDS_LONGEST 65536 // code points

// Adds the words of a source's texts, on all cores; memory grows with the distinct words only.
vkb_status words_count(vkb_context *ctx, const text_splitter *splitter,
                       const vkb_text_source *source, text_words *words);
// By code point, so that what follows does not depend on the order of the text. Nothing can be
// counted afterwards.
void words_sort(text_words *words);
void words_free(text_words *words);

#endif
