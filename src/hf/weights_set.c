// Which weights a model folder holds: a file, or the shards of an index.
#include "hf/weights.h"

#include "base/file.h"
#include "hf/bundle.h"
#include "hf/json.h"

#include <stdlib.h>
#include <string.h>

static vkb_status add_file(vkb_context *ctx, hf_weights_set *set, const char *path)
{
    hf_weights *larger = realloc(set->files, (set->file_count + 1) * sizeof(*set->files));
    if (!larger)
        return vkb_fail_memory(ctx, sizeof(*larger), path);
    set->files = larger;
    vkb_status status = hf_weights_open(ctx, path, &set->files[set->file_count]);
    set->file_count += status == VKB_OK;
    return status;
}

// Opens the shard unless it is open; *file is the index in set->files.
static vkb_status open_shard(vkb_context *ctx, hf_weights_set *set, const char *folder,
                             const char *name, size_t *file)
{
    char *path = path_join(folder, name);
    if (!path)
        return vkb_fail_memory(ctx, strlen(name), "a path");
    vkb_status status = VKB_OK;
    for (*file = 0; *file < set->file_count; ++*file)
        if (strcmp(set->files[*file].path, path) == 0)
            goto cleanup;
    if (strchr(name, '/') || *name == '.')
        status = vkb_fail(ctx, VKB_BAD_FILE, "%s: \"%s\" is not the name of a file beside it",
                          set->path, name);
    else
        status = add_file(ctx, set, path);
cleanup:
    free(path);
    return status;
}

// An index: {"weight_map": {"tensor": "model-00001-of-00002.safetensors"}}
static vkb_status open_shards(vkb_context *ctx, hf_weights_set *set, const char *folder)
{
    cJSON *root = NULL;
    const cJSON *map, *item;
    vkb_status status;
    BASE_TRY(hf_json_read(ctx, set->path, &root));
    map = hf_json_member(root, "weight_map");
    if (!cJSON_IsObject(map) || !map->child) {
        status =
            hf_json_unexpected(ctx, set->path, "weight_map", map, "an object of tensors and files");
        goto cleanup;
    }
    cJSON_ArrayForEach(item, map)
    {
        size_t file = 0;
        if (!cJSON_IsString(item)) {
            status = hf_json_unexpected(ctx, set->path, item->string, item, "the name of a file");
            goto cleanup;
        }
        BASE_TRY(open_shard(ctx, set, folder, item->valuestring, &file));
        if (!hf_weights_find(&set->files[file], item->string)) {
            status =
                vkb_fail(ctx, VKB_BAD_FILE, "%s: has no tensor %s, which the index says is in it",
                         set->files[file].path, item->string);
            goto cleanup;
        }
    }
cleanup:
    cJSON_Delete(root);
    return status;
}

static bool has_file(const char *folder, const char *name, char **path)
{
    free(*path);
    *path = path_join(folder, name);
    return *path && file_exists(*path);
}

static vkb_status open_any(vkb_context *ctx, hf_weights_set *set, const char *folder)
{
    if (has_file(folder, "model.safetensors", &set->path))
        return add_file(ctx, set, set->path);
    if (has_file(folder, "model.safetensors.index.json", &set->path))
        return open_shards(ctx, set, folder);
    if (has_file(folder, "pytorch_model.bin", &set->path))
        return add_file(ctx, set, set->path);
    if (has_file(folder, "pytorch_model.bin.index.json", &set->path))
        return open_shards(ctx, set, folder);
    char *index = NULL;
    vkb_status status = hf_bundle_find(ctx, folder, &index);
    if (status != VKB_OK || index) {
        free(set->path);
        set->path = index;
        return status == VKB_OK ? add_file(ctx, set, set->path) : status;
    }
    return vkb_fail(ctx, VKB_BAD_FILE,
                    "%s: has no weights, expected model.safetensors, pytorch_model.bin or a "
                    "TensorFlow checkpoint",
                    folder);
}

vkb_status hf_weights_set_open(vkb_context *ctx, const char *folder, hf_weights_set *out)
{
    hf_weights_set set = {0};
    vkb_status status = open_any(ctx, &set, folder);
    if (status == VKB_OK)
        *out = set;
    else
        hf_weights_set_close(&set);
    return status;
}

void hf_weights_set_close(hf_weights_set *set)
{
    for (size_t i = 0; i < set->file_count; i++)
        hf_weights_close(&set->files[i]);
    free(set->files);
    free(set->path);
    *set = (hf_weights_set){0};
}
