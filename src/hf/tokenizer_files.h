// A tokenizer as its files hold it: the vocabulary, the added tokens and the normaliser's switches.
// What they do to a text is the text room's business.
#ifndef VKB_HF_TOKENIZER_FILES_H
#define VKB_HF_TOKENIZER_FILES_H

#include "base/context.h"

// A token that is matched in the text before the normaliser (or after it, when normalized is true).
typedef struct hf_added_token {
    char *content;
    uint32_t id;
    bool special;        // left out by a decoder that skips special tokens
    bool single_word;    // matches only between word boundaries
    bool lstrip, rstrip; // swallows the white space on its left, right
    bool normalized;     // matched in the normalised text, its content normalised likewise
    bool only_added;     // not of the model's vocabulary
} hf_added_token;

// Every string is owned by the struct and freed by hf_tokenizer_free.
typedef struct hf_tokenizer {
    char **pieces;         // pieces[id]; NULL: a gap in the ids
    uint32_t piece_count;  // the ids of added tokens included; one piece may stand at several ids,
                           // the highest is then its id
    hf_added_token *added; // by id; each content is also pieces[id]
    size_t added_count;
    bool lowercase, clean_text, handle_chinese_chars;
    bool clean_up_spaces;              // decoding: clean_up_tokenization_spaces
    int strip_accents;                 // 1, 0; -1: as lowercase
    uint32_t max_input_chars_per_word; // code points
    char *unk_token, *cls_token, *sep_token, *pad_token, *mask_token; // never NULL once read; each
                                                                      // is a piece
    uint64_t model_max_length;                                        // 0: unset
    // tokenizer.json without its vocabulary, tokenizer_config.json and special_tokens_map.json as
    // they were read, for the keys that are not ours; NULL: there was none.
    struct cJSON *json, *config, *map;
} hf_tokenizer;

// Reads folder/tokenizer.json, else vocab.txt with tokenizer_config.json, and the names of the
// special tokens from tokenizer_config.json and special_tokens_map.json. VKB_BAD_FILE: not a
// WordPiece tokenizer of BERT's, or its vocabulary lacks one of the five special tokens.
vkb_status hf_tokenizer_read(vkb_context *ctx, const char *folder, hf_tokenizer *out);

// Writes vocab.txt, tokenizer.json, tokenizer_config.json and special_tokens_map.json, each whole
// or not at all, so that transformers' AutoTokenizer opens the folder. The folder exists.
vkb_status hf_tokenizer_write(vkb_context *ctx, const char *folder, const hf_tokenizer *tok);

void hf_tokenizer_free(hf_tokenizer *tok); // leaves it zeroed

#endif
