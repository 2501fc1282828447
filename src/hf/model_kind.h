// Whether a config.json is of the model that vkbert computes.
#ifndef VKB_HF_MODEL_KIND_H
#define VKB_HF_MODEL_KIND_H

#include "base/context.h"

struct cJSON;

// VKB_BAD_FILE for another model, by name, and for a BERT with parts that vkbert does not compute.
vkb_status hf_model_kind_check(vkb_context *ctx, const char *path, const struct cJSON *config);

// After a failure to read something of a folder, its tokenizer say: when config.json tells that the
// folder is another model's, that is what is wrong, and becomes the sentence.
vkb_status hf_model_kind_explain(vkb_context *ctx, const char *folder, vkb_status failure);

#endif
