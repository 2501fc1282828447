// The words of a text as BERT's normaliser and pre-tokenizer leave them.
#ifndef VKB_TEXT_WORDS_H
#define VKB_TEXT_WORDS_H

#include "text/normalise.h"

// Calls word(user, utf8, bytes, chars) for each word of a text, in order; utf8 is not terminated and
// valid in the call only. False: memory is exhausted.
typedef void (*words_fn)(void *user, const char *utf8, size_t bytes, size_t chars);
bool words_each(text_normal *scratch, const text_normaliser *rules, const char *text, size_t bytes,
                words_fn word, void *user);

#endif
