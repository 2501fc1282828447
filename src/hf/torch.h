// Reading pytorch_model.bin: what its two containers have in common. A container reads the pickle
// of what was saved, and places every storage that the pickle mentions in the mapped file.
#ifndef VKB_HF_TORCH_H
#define VKB_HF_TORCH_H

#include "base/file.h"
#include "hf/json.h"
#include "hf/pickle.h"

typedef struct torch_reader {
    vkb_context *ctx;
    const char *path;
    const file_map *map;
    pickle pickle;
    pickle_value root; // what was saved
} torch_reader;

// Fill r->root and the data of all of r->pickle.storages.
vkb_status torch_read_zip(torch_reader *r);
vkb_status torch_read_legacy(torch_reader *r);

// Whether the bytes that the file has for a storage are those of its elements.
vkb_status torch_check_storage(const torch_reader *r, const pickle_storage *storage,
                               uint64_t bytes);
vkb_status torch_big_endian(const torch_reader *r); // fails

// A string of the pickle, for a sentence.
hf_shown_text torch_shown(pickle_value text);

#endif
