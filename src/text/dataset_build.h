// A text source -> token stores: from the cache, or tokenised now.
#ifndef VKB_TEXT_DATASET_BUILD_H
#define VKB_TEXT_DATASET_BUILD_H

#include "text/token_store.h"
#include "vkbert.h"

enum { BUILD_TRAIN, BUILD_HELD_OUT, BUILD_PARTS };

typedef struct built_stores {
    token_store *part[BUILD_PARTS]; // the second is NULL without a split
    bool was_cached;
} built_stores;

vkb_status dataset_build(const vkb_tokenizer *tok, const vkb_text_source *source,
                         const vkb_dataset_params *params, built_stores *out);

// A hash of all that decides which ids a text gets.
uint64_t tokenizer_hash(const vkb_tokenizer *tok);

#endif
