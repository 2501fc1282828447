// A zip archive of stored files, as torch.save writes them: the central directory alone says what
// is where, and is checked so that every entry lies inside the file, whole, by itself, under its
// own name. Names are compared and never opened.
#ifndef VKB_HF_ZIP_H
#define VKB_HF_ZIP_H

#include "base/file.h"

typedef struct hf_zip_entry {
    const char *name; // inside the file, without a NUL
    size_t name_bytes;
    const uint8_t *data;
    size_t bytes;
    const uint8_t *header; // the entry starts here and ends with its data
} hf_zip_entry;

typedef struct hf_zip {
    hf_zip_entry *entries; // sorted by name; they live as long as the map
    size_t count;
} hf_zip;

// VKB_BAD_FILE for an archive that is broken, packed, encrypted or in several parts. Takes less
// memory than the central directory.
vkb_status hf_zip_open(vkb_context *ctx, const char *path, const file_map *map, hf_zip *out);
void hf_zip_close(hf_zip *zip); // leaves it zeroed

// NULL: no such entry.
const hf_zip_entry *hf_zip_find(const hf_zip *zip, const char *name, size_t name_bytes);

#endif
