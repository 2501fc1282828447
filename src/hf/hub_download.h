// Files of a commit, from the hub into the cache: several at a time, each gone on with where it
// stopped, checked, and linked into the snapshot when it is whole.
#ifndef VKB_HF_HUB_DOWNLOAD_H
#define VKB_HF_HUB_DOWNLOAD_H

#include "hf/hub_errors.h"
#include "hf/hub_model.h"

typedef struct hub_download {
    hub_session *session;
    const hub_cache *cache;
    const hub_name *name;
    const char *commit;
    uint32_t transfers;       // at a time
    vkb_progress_fn progress; // may be NULL
    void *user;
    size_t fetched; // files, in the end
} hub_download;

// Those files that the snapshot has not yet.
vkb_status hub_download_files(hub_download *download, const hub_list *files);

#endif
