// safetensors, the ecosystem's weight file: 8 bytes of header length, a JSON header, raw data.
//
//     u64 N | {"name": {"dtype": "F32", "shape": [2,3], "data_offsets": [0,24]}, ...} | data
//
// The reader maps the file and copies nothing; the writer streams, so that a model is never in
// memory twice.
#ifndef VKB_HF_SAFETENSORS_H
#define VKB_HF_SAFETENSORS_H

#include "base/file.h"
#include "hf/tensor.h"

// ---- Reading ----

typedef struct hf_safetensors {
    char *path;
    hf_tensor *tensors; // sorted by name; names and data live as long as the file is open
    size_t tensor_count;
    struct cJSON *header;
    file_map map;
} hf_safetensors;

// VKB_BAD_FILE for every file that the format does not allow; the sentence names file and tensor.
vkb_status hf_safetensors_open(vkb_context *ctx, const char *path, hf_safetensors *out);
void hf_safetensors_close(hf_safetensors *file); // leaves it zeroed

// NULL: no such tensor.
const hf_tensor *hf_safetensors_find(const hf_safetensors *file, const char *name);
// The value of a key of the header's "__metadata__"; NULL: there is none.
const char *hf_safetensors_metadata(const hf_safetensors *file, const char *key);

// ---- Writing ----

typedef struct hf_metadata {
    const char *key, *value;
} hf_metadata;

typedef struct hf_safetensors_writer hf_safetensors_writer;

// Starts the file. Of each tensor name, dtype (0: F32), rank and shape are read; the list is sorted
// into the file's order, its count and bytes filled. Then the data of all tensors is written in
// that order, cut as the caller likes. metadata is added to {"format": "pt"}, without which
// transformers does not open the file.
vkb_status hf_safetensors_create(vkb_context *ctx, const char *path, hf_tensor *tensors,
                                 size_t count, const hf_metadata *metadata, size_t metadata_count,
                                 hf_safetensors_writer **out);
vkb_status hf_safetensors_write(hf_safetensors_writer *writer, const void *data, size_t bytes);
// Makes the file appear under its name. Frees the writer, also when it fails.
vkb_status hf_safetensors_commit(hf_safetensors_writer **writer);
void hf_safetensors_abandon(hf_safetensors_writer **writer); // NULL-safe

#endif
