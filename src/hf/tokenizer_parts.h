// What reading and writing a tokenizer's files share.
#ifndef VKB_HF_TOKENIZER_PARTS_H
#define VKB_HF_TOKENIZER_PARTS_H

#include "hf/json.h"
#include "hf/tokenizer_files.h"

// ---- Ids by piece ----

typedef struct hf_index {
    const hf_tokenizer *tok;
    uint32_t *ids; // sorted by piece, then id; without gaps
    uint32_t count;
} hf_index;

vkb_status hf_index_build(vkb_context *ctx, const hf_tokenizer *tok, hf_index *out);
// The highest id of a piece that stands more than once.
bool hf_index_find(const hf_index *index, const char *piece, uint32_t *id);
void hf_index_free(hf_index *index);

// ---- The post-processor: [CLS] A [SEP], [CLS] A [SEP] B [SEP] ----

// The "post_processor" of tokenizer.json; NULL when memory is exhausted.
cJSON *hf_processor_create(const hf_tokenizer *tok, uint32_t cls_id, uint32_t sep_id);
// VKB_BAD_FILE for a post-processor that does anything else.
vkb_status hf_processor_check(vkb_context *ctx, const char *path, const cJSON *processor,
                              const hf_tokenizer *tok);

#endif
