// The tokenizer object, and encoding without an allocation per text.
//
//   text -> added tokens cut out -> words, normalised -> pieces
#ifndef VKB_TEXT_TOKENIZER_H
#define VKB_TEXT_TOKENIZER_H

#include "base/context.h"
#include "hf/tokenizer_files.h"
#include "text/added.h"
#include "text/matcher.h"
#include "text/vocabulary.h"
#include "text/words.h"

struct vkb_tokenizer {
    vkb_context *ctx;
    hf_tokenizer files;         // what it was made from, so that saving loses nothing
    text_vocabulary vocabulary; // every piece, added tokens too
    text_matcher matcher;       // the model's pieces
    uint32_t *piece_bytes;      // [piece_count], "##" not counted
    text_splitter splitter;
    text_added raw, normal; // added tokens for the text as it stands, and for the normalised one
    vkb_special_ids special;
};

vkb_context *tokenizer_context(const vkb_tokenizer *tok);

// Makes a tokenizer of the files' contents, which it owns from then on, also when this fails.
// `name` is the file or folder that a failure's sentence names.
vkb_status tokenizer_create(vkb_context *ctx, hf_tokenizer *files, const char *name,
                            vkb_tokenizer **out);

// Appends the tokens of text to out, without [CLS] and [SEP]. False: memory is exhausted.
bool tokenizer_append(const vkb_tokenizer *tok, words_scratch *scratch, const char *text,
                      size_t bytes, uint32_t type, vkb_tokens *out);

#endif
