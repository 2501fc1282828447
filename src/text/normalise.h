// From a text to words: the normaliser and the pre-tokenizer of the fast BERT tokenizer.
//
//   "\tUNwantéd,running"  ->  " unwanted,running"  ->  unwanted  ,  running
//
// Every normalised character remembers which bytes of the text it came from.
#ifndef VKB_TEXT_NORMALISE_H
#define VKB_TEXT_NORMALISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct text_normaliser {
    bool clean_text;    // drop control characters, every white space becomes a blank
    bool cjk_spaces;    // blanks around CJK ideographs
    bool strip_accents; // NFD, then drop Mn
    bool lowercase;
} text_normaliser;

typedef struct text_char {
    uint32_t code;
    uint32_t byte;       // where it starts in text_normal's utf8
    uint32_t begin, end; // bytes of the original text
} text_char;

enum { TEXT_SLACK = 16 }; // bytes that may be read behind the end of a normalised text

// A normalised text, as characters and as UTF-8. Zero-initialised; reused from text to text, so
// that nothing is allocated once it has grown.
typedef struct text_normal {
    text_char *at; // count characters, and a last one that holds the end of utf8
    size_t count, capacity;
    char *utf8;
    size_t utf8_capacity;
} text_normal;

// Normalises text[begin .. end). False: memory is exhausted. Offsets count from text.
bool text_normalise(const text_normaliser *rules, const char *text, size_t begin, size_t end,
                    text_normal *out);
void text_normal_free(text_normal *normal);

// The next word at or after character *at, before character limit: [*begin, *end), and *at moves
// behind it. Words are what white space separates; each punctuation character is a word of its own.
bool text_next_word(const text_normal *normal, size_t limit, size_t *at, size_t *begin,
                    size_t *end);

#endif
