// The values of a TensorFlow checkpoint's index: BundleHeaderProto and BundleEntryProto.
#ifndef VKB_HF_BUNDLE_ENTRY_H
#define VKB_HF_BUNDLE_ENTRY_H

#include "hf/tensor.h"

typedef struct bundle_entry {
    hf_tensor tensor; // name, dtype, rank, shape, count and bytes, as stored; data comes later
    uint32_t shard, sum;
    uint64_t offset;
    size_t slices;           // in how many parts it is stored; 0: whole
    bool text;               // strings: no dtype of ours, and not measured
    bool dropped, wrong_sum; // what became of it
} bundle_entry;

// Fills *entry, whose name is set. VKB_BAD_FILE when the message is broken, of an unknown dtype, or
// when its size is not its shape's.
vkb_status bundle_entry_read(vkb_context *ctx, const char *path, const uint8_t *message,
                             size_t bytes, bundle_entry *entry);

// VKB_BAD_FILE: no header, big-endian, or of a version to come.
vkb_status bundle_header_read(vkb_context *ctx, const char *path, const uint8_t *message,
                              size_t bytes, uint32_t *shard_count);

#endif
