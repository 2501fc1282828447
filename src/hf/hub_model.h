// What the hub says of a model, and which of its files vkbert wants.
#ifndef VKB_HF_HUB_MODEL_H
#define VKB_HF_HUB_MODEL_H

#include "hf/hub_cache.h"

// Names of files.
typedef struct hub_list {
    char **at;
    size_t count, capacity;
} hub_list;

bool hub_list_has(const hub_list *list, const char *name);
vkb_status hub_list_add(vkb_context *ctx, hub_list *list, const char *name); // once
void hub_list_free(hub_list *list);                                          // leaves it zeroed

// A model at a commit: the answer to /api/models/NAME/revision/REVISION.
typedef struct hub_model {
    char commit[HUB_COMMIT_DIGITS + 1];
    hub_list files;
} hub_model;

// VKB_BAD_FILE: not such an answer; no file's name leads out of the model's folder in one that is.
// text has a NUL behind its bytes; from is its address.
vkb_status hub_model_parse(vkb_context *ctx, const char *from, const char *text, size_t bytes,
                           hub_model *out);
void hub_model_free(hub_model *model); // leaves it zeroed

// Adds the files of `parts` (vkb_part) to wanted: of the weights the one kind that transformers
// would take, its index where there are shards. VKB_BAD_FILE: the model lacks a part that it cannot
// be without.
vkb_status hub_model_choose(vkb_context *ctx, const char *repo, const hub_model *model,
                            uint32_t parts, hub_list *wanted);

// Adds the shards that the index at `path` names. VKB_BAD_FILE: it is none; a name that is no plain
// file's.
vkb_status hub_add_shards(vkb_context *ctx, const char *path, hub_list *shards);
bool hub_is_index(const char *name);

// Marks files of `parts` that others look for too, and this model has not.
void hub_model_mark_lacks(const hub_cache *cache, const hub_model *model, uint32_t parts);

// Whether the cache holds all of `parts` at the commit, so that no question to the hub is needed.
bool hub_cache_has_parts(const hub_cache *cache, const char *commit, uint32_t parts);

#endif
