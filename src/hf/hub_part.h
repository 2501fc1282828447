// A file on its way: blobs/ETAG.incomplete, hashed while it grows. What an earlier run, or
// huggingface_hub, left there is read once and gone on from.
//
// An etag of 64 hexadecimal digits is the file's SHA-256 (large files), one of 40 its SHA-1 as git
// counts it (all others); a server that is not the hub may have another, and then the length alone
// is checked.
#ifndef VKB_HF_HUB_PART_H
#define VKB_HF_HUB_PART_H

#include "hf/hub_cache.h"

typedef struct hub_part {
    vkb_context *ctx;
    char *path, *blob; // ETAG.incomplete, and what it becomes
    const char *etag;  // the caller's
    uint64_t bytes;    // written and hashed
    uint64_t size;     // when it is whole
    uint64_t resumed;  // bytes that were there before
    int file;
    void *hash; // EVP_MD_CTX; NULL: nothing to hash
} hub_part;

vkb_status hub_part_open(const hub_cache *cache, const char *etag, uint64_t size, hub_part *out);
vkb_status hub_part_restart(hub_part *part); // from byte 0
// VKB_BAD_FILE: more than `size`.
vkb_status hub_part_write(hub_part *part, const void *data, size_t bytes);
// Checks the hash, syncs, and gives the file its name. VKB_BAD_FILE: another hash; the file is
// removed.
vkb_status hub_part_finish(hub_part *part);
void hub_part_remove(hub_part *part); // the file
void hub_part_close(hub_part *part);  // keeps the file; leaves the part closed, twice is fine

#endif
