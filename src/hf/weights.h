// Weights files of every format as lists of tensors, and which of them a model folder holds.
//
// A format is a function that opens a file as hf_weights; weights.c has the list of them.
#ifndef VKB_HF_WEIGHTS_H
#define VKB_HF_WEIGHTS_H

#include "hf/tensor.h"

// ---- One file ----

typedef struct hf_weights {
    const char *path;
    const hf_tensor *tensors; // sorted by name; names and data live as long as the file is open
    size_t tensor_count;
    void *file; // the format's own, with path, tensors and their data
    void (*close)(void *file);
} hf_weights;

// Opens the file in the format that its first bytes tell, or its name: a TensorFlow checkpoint's
// index is called *.index. VKB_BAD_FILE: not a weights file, or one
// that its format does not allow; the sentence names file and tensor.
vkb_status hf_weights_open(vkb_context *ctx, const char *path, hf_weights *out);
void hf_weights_close(hf_weights *weights); // leaves it zeroed

// NULL: no such tensor.
const hf_tensor *hf_weights_find(const hf_weights *weights, const char *name);

// ---- The formats ----

vkb_status hf_safetensors_weights(vkb_context *ctx, const char *path, hf_weights *out);
// TensorFlow's; path is that of the index.
vkb_status hf_bundle_weights(vkb_context *ctx, const char *path, hf_weights *out);
vkb_status hf_torch_zip_weights(vkb_context *ctx, const char *path, hf_weights *out);
vkb_status hf_torch_legacy_weights(vkb_context *ctx, const char *path, hf_weights *out);

// ---- A folder's ----

// One file, or the shards that an index names.
typedef struct hf_weights_set {
    char *path; // of the file or the index
    hf_weights *files;
    size_t file_count;
} hf_weights_set;

// The first kind of weights that the folder holds, in the order that transformers looks for them.
vkb_status hf_weights_set_open(vkb_context *ctx, const char *folder, hf_weights_set *out);
void hf_weights_set_close(hf_weights_set *set); // leaves it zeroed

#endif
