// config.json of BertForMaskedLM. vkb_config_preset, _read and _override of vkbert.h live in
// config.c too.
#ifndef VKB_HF_CONFIG_H
#define VKB_HF_CONFIG_H

#include "base/context.h"

// Whether a model can be made of config: every value in its range, heads dividing hidden_size. The
// sentence starts with where.
vkb_status hf_config_check(vkb_context *ctx, vkb_status failure, const char *where,
                           const vkb_config *config);

// Writes folder/config.json, whole or not at all.
vkb_status hf_config_write(vkb_context *ctx, const char *folder, const vkb_config *config);

#endif
