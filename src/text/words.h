// A text -> the words that BERT's normaliser and pre-tokenizer leave of it, in one pass.
//
// Runs of ASCII need no more than a table. What holds another character goes through normalise.c,
// from the ASCII blank or punctuation before it to the one behind it: the normaliser never looks
// across these.
#ifndef VKB_TEXT_WORDS_H
#define VKB_TEXT_WORDS_H

#include "text/normalise.h"

// What becomes of an ASCII character.
typedef enum words_kind { WORDS_LETTER, WORDS_BLANK, WORDS_PUNCTUATION, WORDS_OTHER } words_kind;

typedef struct text_splitter {
    text_normaliser rules;
    uint8_t kind[256]; // WORDS_OTHER from 0x80 on, and for what is dropped
    char spelt[128];   // a letter or a punctuation mark once normalised
} text_splitter;

bool splitter_create(const text_normaliser *rules, text_splitter *out); // false: out of memory

typedef struct word_view {
    const char *utf8; // normalised; not terminated, but TEXT_SLACK bytes behind it may be read
    size_t bytes, chars;
    size_t begin, end; // bytes of the text that it came from
    const text_char
        *from; // where each character came from; NULL: each byte from one byte, in order
} word_view;

// Memory that one thread reuses from text to text. Zero-initialised.
typedef struct words_scratch {
    text_normal normal;
    char *word;
    size_t room;
} words_scratch;

void words_scratch_free(words_scratch *scratch);

// Calls word(user, word) for each word of text[begin .. end), in order; the word is valid in the
// call only. False: memory is exhausted, or word returned false.
typedef bool (*words_fn)(void *user, const word_view *word);
bool words_each(words_scratch *scratch, const text_splitter *splitter, const char *text,
                size_t begin, size_t end, words_fn word, void *user);

// The words among the characters at .. limit-1 of a normalised text.
bool words_of_normal(const text_normal *normal, size_t at, size_t limit, words_fn word, void *user);

#endif
