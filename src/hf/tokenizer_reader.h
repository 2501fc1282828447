// A tokenizer while it is read: tokenizer_read.c knows what each file says, tokenizer_pieces.c
// gathers the tokens.
#ifndef VKB_HF_TOKENIZER_READER_H
#define VKB_HF_TOKENIZER_READER_H

#include "hf/tokenizer_parts.h"

// One reading: the tokenizer being filled, and where its parts come from.
typedef struct hf_reader {
    vkb_context *ctx;
    hf_tokenizer *tok;
    char *json_path, *vocab_path, *config_path, *map_path;
    cJSON *json, *config, *map; // NULL: no such file
    struct {
        hf_added_token *at;
        size_t count, capacity;
    } added;
    size_t piece_capacity;
    hf_index vocab; // before the added tokens
} hf_reader;

// Replaces *out by a copy of text.
vkb_status hf_reader_copy(hf_reader *r, const char *text, char **out);

// tokenizer.json's {token: id}, or vocab.txt. Called once, before any added token.
vkb_status hf_reader_vocab_object(hf_reader *r, const cJSON *vocab);
vkb_status hf_reader_vocab_lines(hf_reader *r);

// entry holds content and the switches; the same in tokenizer.json and tokenizer_config.json.
vkb_status hf_reader_added_token(hf_reader *r, const char *path, const cJSON *entry, uint64_t id);

// Checks the whole, and lists the five special tokens among the added ones.
vkb_status hf_reader_finish(hf_reader *r);

#endif
