// A model folder: config.json (or Google's bert_config.json) and the weights, of any format, with
// each tensor under the name that BertForMaskedLM gives it, whoever wrote the file. The vkb_folder_
// functions of vkbert.h live in folder.c too.
#ifndef VKB_HF_FOLDER_H
#define VKB_HF_FOLDER_H

#include "hf/tensor.h"

typedef struct hf_entry {
    const hf_tensor *tensor;
    char *name;         // canonical
    const char *unused; // why masked-language modelling does not need it; NULL: it may
} hf_entry;

// Sorted by canonical name.
const hf_entry *hf_folder_entry(const vkb_folder *folder, size_t index);

// The tensor of a canonical name; NULL: the folder has none.
const hf_tensor *hf_folder_find(const vkb_folder *folder, const char *canonical_name);

// config.json as it was read.
const struct cJSON *hf_folder_config_file(const vkb_folder *folder);

#endif
