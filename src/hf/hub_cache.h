// The hub's cache on disk, in the layout of huggingface_hub, which reads and writes it too:
//
//   CACHE/models--owner--name/refs/main                  a commit's 40 digits
//                             snapshots/COMMIT/FILE  ->  ../../blobs/ETAG
//                             blobs/ETAG, blobs/ETAG.incomplete
//                             .no_exist/COMMIT/FILE      empty: the commit has no such file
//   CACHE/.locks/models--owner--name/ETAG.lock           flock()ed while blobs/ETAG is written
//
// Names are checked by their callers (hub_name.h) before they come here.
#ifndef VKB_HF_HUB_CACHE_H
#define VKB_HF_HUB_CACHE_H

#include "hf/hub_name.h"

typedef struct hub_cache {
    vkb_context *ctx;
    char *model, *locks; // CACHE/models--owner--name, CACHE/.locks/models--owner--name
} hub_cache;

// Names the folders; makes none.
vkb_status hub_cache_open(vkb_context *ctx, const char *folder, const char *repo, hub_cache *out);
void hub_cache_close(hub_cache *cache); // leaves it zeroed

// ---- Commits ----

// The commit that a branch or tag was at when it was last fetched; false: it never was.
bool hub_cache_read_ref(const hub_cache *cache, const char *revision,
                        char commit[HUB_COMMIT_DIGITS + 1]);
vkb_status hub_cache_write_ref(const hub_cache *cache, const char *revision, const char *commit);

// ---- Files of a commit; paths are freed with free(), NULL: out of memory ----

char *hub_cache_snapshot(const hub_cache *cache, const char *commit);
char *hub_cache_file(const hub_cache *cache, const char *commit, const char *name);
bool hub_cache_has(const hub_cache *cache, const char *commit, const char *name);
bool hub_cache_lacks(const hub_cache *cache, const char *commit, const char *name); // .no_exist
void hub_cache_set_lack(const hub_cache *cache, const char *commit, const char *name);

// ---- Blobs ----

char *hub_cache_blob(const hub_cache *cache, const char *etag, bool incomplete);
vkb_status hub_cache_make_folders(const hub_cache *cache, const char *commit);
// snapshots/COMMIT/NAME -> ../../blobs/ETAG; a file system without links gets the blob itself.
vkb_status hub_cache_link(const hub_cache *cache, const char *commit, const char *name,
                          const char *etag);

// *lock is -1 when another process holds it; hub_cache_unlock takes -1 too.
vkb_status hub_cache_lock(const hub_cache *cache, const char *etag, int *lock);
void hub_cache_unlock(int *lock);

#endif
