// Added tokens ("[MASK]" and what a user added): matched in the text as they stand, before
// WordPiece.
#ifndef VKB_TEXT_ADDED_H
#define VKB_TEXT_ADDED_H

#include "hf/tokenizer_files.h"

// Tokens matched at the same time: those for the raw text, or those for the normalised text.
typedef struct text_added {
    struct text_added_entry {
        char *text; // owned
        size_t bytes;
        const hf_added_token *token; // borrowed
    } * at;
    size_t count, capacity;
    bool starts[256]; // first bytes, so that most of a text is passed over quickly
} text_added;

typedef struct text_match {
    size_t begin, end; // with the white space that the token swallows
    uint32_t id;
} text_match;

// Adds a token that is matched as text. False: memory is exhausted.
bool added_insert(text_added *added, const hf_added_token *token, const char *text, size_t bytes);
void added_free(text_added *added);

// The leftmost of the longest matches in text[from .. end).
bool added_next(const text_added *added, const char *text, size_t from, size_t end,
                text_match *match);

#endif
