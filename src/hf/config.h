// config.json of BertForMaskedLM. vkb_config_preset, _read and _override of vkbert.h live in
// config.c too.
#ifndef VKB_HF_CONFIG_H
#define VKB_HF_CONFIG_H

#include "base/context.h"

// Whether a model can be made of config: every value in its range, heads dividing hidden_size. The
// sentence starts with where.
vkb_status hf_config_check(vkb_context *ctx, vkb_status failure, const char *where,
                           const vkb_config *config);

struct cJSON;

// vkb_config_read that keeps the file as it is too, freed with cJSON_Delete.
vkb_status hf_config_read(vkb_context *ctx, const char *path, vkb_config *config,
                          struct cJSON **original);

// What config.json says beside the config's numbers.
typedef struct hf_config_form {
    bool no_masked_lm; // the weights have no MLM head
    vkb_precision precision;
    const struct cJSON *original; // keys of it that are not ours stay, in its order; NULL: none
} hf_config_form;

// Writes folder/config.json, whole or not at all. form NULL: zeros.
vkb_status hf_config_write(vkb_context *ctx, const char *folder, const vkb_config *config,
                           const hf_config_form *form);

#endif
