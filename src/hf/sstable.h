// A sorted table of keys and values in one file, as LevelDB and TensorFlow write it:
//
//     block ... block | metaindex block | index block: a handle (offset, size) of each | footer
//
// Each block: entries that share their key's start with the one before, restart offsets, then a
// byte of compression and a checksum.
#ifndef VKB_HF_SSTABLE_H
#define VKB_HF_SSTABLE_H

#include "base/context.h"

#define HF_SSTABLE_KEY_LIMIT 1024 // bytes; longer keys are refused

typedef struct hf_sstable_entry {
    const char *key; // any bytes
    size_t key_bytes;
    const uint8_t *value;
    size_t value_bytes;
} hf_sstable_entry;

// A status but VKB_OK ends the walk. The key is gone after the call, the value stays with the file.
typedef vkb_status (*hf_sstable_visit)(void *user, const hf_sstable_entry *entry);

// Visits every entry, keys ascending, each once. VKB_BAD_FILE for a file that the format does not
// allow; path is for the sentences. Takes time and memory in proportion to the file's size,
// whatever its bytes.
vkb_status hf_sstable_walk(vkb_context *ctx, const char *path, const uint8_t *data, size_t bytes,
                           hf_sstable_visit visit, void *user);

#endif
