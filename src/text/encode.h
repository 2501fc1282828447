// Texts -> ids, many of them, on one thread: what a data set is made with.
#ifndef VKB_TEXT_ENCODE_H
#define VKB_TEXT_ENCODE_H

#include "vkbert.h"

typedef struct text_ids {
    uint32_t *at;
    size_t count, capacity;
} text_ids;

// What one thread needs beside the tokenizer, which all threads share and none changes.
typedef struct text_encoder text_encoder;

text_encoder *text_encoder_create(const vkb_tokenizer *tok); // NULL: memory is exhausted
void text_encoder_destroy(text_encoder **encoder);

// Appends the ids of a text, without special tokens. False: memory is exhausted.
bool text_encode_ids(text_encoder *encoder, const char *text, size_t bytes, text_ids *out);

#endif
