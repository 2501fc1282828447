#include "hf/folder.h"

#include "base/file.h"
#include "hf/json.h"
#include "hf/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct vkb_folder {
    vkb_context *ctx;
    vkb_config config;
    char *path, *weights;
    hf_safetensors *files;
    size_t file_count;
    hf_entry *entries;
    size_t entry_count;
};

// ---- Names ----

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

char *hf_canonical_name(const char *name)
{
    bool bare = starts_with(name, "embeddings.") || starts_with(name, "encoder.") ||
                starts_with(name, "pooler.");
    const char *tail = "";
    size_t kept = strlen(name), room = kept + 16;
    if (strcmp(name, "cls.predictions.decoder.bias") == 0)
        return strdup("cls.predictions.bias");
    if (ends_with(name, "LayerNorm.gamma")) {
        kept -= strlen("gamma");
        tail = "weight";
    } else if (ends_with(name, "LayerNorm.beta")) {
        kept -= strlen("beta");
        tail = "bias";
    }
    char *canonical = malloc(room);
    if (canonical)
        snprintf(canonical, room, "%s%.*s%s", bare ? "bert." : "", (int)kept, name, tail);
    return canonical;
}

static const char *why_unused(const char *name)
{
    static const struct {
        const char *start, *why;
    } unused[] = {
        {"bert.embeddings.position_ids", "0, 1, 2, ..."},
        {"bert.embeddings.token_type_ids", "0, 0, 0, ..."},
        {"bert.pooler.", "for next-sentence prediction"},
        {"cls.seq_relationship.", "for next-sentence prediction"},
        {"cls.predictions.decoder.weight", "tied to the word embeddings"},
    };
    for (size_t i = 0; i < BASE_COUNT(unused); i++)
        if (starts_with(name, unused[i].start))
            return unused[i].why;
    return NULL;
}

static int compare_entries(const void *a, const void *b)
{
    return strcmp(((const hf_entry *)a)->name, ((const hf_entry *)b)->name);
}

// ---- Weights files ----

static vkb_status add_file(vkb_folder *folder, const char *path)
{
    hf_safetensors *larger =
        realloc(folder->files, (folder->file_count + 1) * sizeof(*folder->files));
    if (!larger)
        return vkb_fail_memory(folder->ctx, sizeof(*larger), path);
    folder->files = larger;
    vkb_status status = hf_safetensors_open(folder->ctx, path, &folder->files[folder->file_count]);
    folder->file_count += status == VKB_OK;
    return status;
}

// Opens the shard unless it is open; *file is the index in folder->files.
static vkb_status open_shard(vkb_folder *folder, const char *name, size_t *file)
{
    char *path = path_join(folder->path, name);
    if (!path)
        return vkb_fail_memory(folder->ctx, strlen(name), "a path");
    vkb_status status = VKB_OK;
    for (*file = 0; *file < folder->file_count; ++*file)
        if (strcmp(folder->files[*file].path, path) == 0)
            goto cleanup;
    if (strchr(name, '/') || *name == '.')
        status = vkb_fail(folder->ctx, VKB_BAD_FILE,
                          "%s: \"%s\" is not the name of a file beside it", folder->weights, name);
    else
        status = add_file(folder, path);
cleanup:
    free(path);
    return status;
}

// model.safetensors.index.json: {"weight_map": {"tensor": "model-00001-of-00002.safetensors"}}
static vkb_status open_shards(vkb_folder *folder)
{
    cJSON *root = NULL;
    const cJSON *map, *item;
    vkb_status status;
    BASE_TRY(hf_json_read(folder->ctx, folder->weights, &root));
    map = hf_json_member(root, "weight_map");
    if (!cJSON_IsObject(map) || !map->child) {
        status = hf_json_unexpected(folder->ctx, folder->weights, "weight_map", map,
                                    "an object of tensors and files");
        goto cleanup;
    }
    cJSON_ArrayForEach(item, map)
    {
        size_t file = 0;
        if (!cJSON_IsString(item)) {
            status = hf_json_unexpected(folder->ctx, folder->weights, item->string, item,
                                        "the name of a file");
            goto cleanup;
        }
        BASE_TRY(open_shard(folder, item->valuestring, &file));
        if (!hf_safetensors_find(&folder->files[file], item->string)) {
            status = vkb_fail(folder->ctx, VKB_BAD_FILE,
                              "%s: has no tensor %s, which the index says is in it",
                              folder->files[file].path, item->string);
            goto cleanup;
        }
    }
cleanup:
    cJSON_Delete(root);
    return status;
}

static bool has_file(const vkb_folder *folder, const char *name, char **path)
{
    free(*path);
    *path = path_join(folder->path, name);
    return *path && file_exists(*path);
}

static vkb_status open_weights(vkb_folder *folder)
{
    if (has_file(folder, "model.safetensors", &folder->weights))
        return add_file(folder, folder->weights);
    if (has_file(folder, "model.safetensors.index.json", &folder->weights))
        return open_shards(folder);
    bool torch = has_file(folder, "pytorch_model.bin", &folder->weights);
    return vkb_fail(folder->ctx, VKB_BAD_FILE,
                    torch ? "%s: has pytorch_model.bin, but no model.safetensors: save it again "
                            "with transformers' save_pretrained"
                          : "%s: has no model.safetensors, expected a Hugging Face model folder",
                    folder->path);
}

// ---- Entries ----

// decoder.weight beside the embeddings that it is tied to should be equal, or it is lost.
static void compare_decoder(const vkb_folder *folder)
{
    const hf_tensor *words = hf_folder_find(folder, "bert.embeddings.word_embeddings.weight");
    const hf_tensor *decoder = hf_folder_find(folder, "cls.predictions.decoder.weight");
    if (words && decoder && words->dtype == decoder->dtype && words->bytes == decoder->bytes &&
        memcmp(words->data, decoder->data, words->bytes) == 0)
        return;
    if (words && decoder)
        vkb_log(folder->ctx, VKB_LOG_WARNING,
                "%s: cls.predictions.decoder.weight differs from the word embeddings; they are "
                "tied, and the embeddings are used",
                folder->weights);
}

// Two names of one tensor: the output bias may stand under both of its names, and the first is
// taken; anything else is somebody's mistake.
static vkb_status merge_duplicates(vkb_folder *folder)
{
    size_t kept = 0;
    for (size_t i = 0; i < folder->entry_count; i++) {
        hf_entry *entry = &folder->entries[i], *last = kept ? &folder->entries[kept - 1] : NULL;
        if (!last || strcmp(last->name, entry->name) != 0) {
            hf_entry moved = *entry;
            entry->name = NULL; // owned once, so that a failure below can be cleaned up
            folder->entries[kept++] = moved;
            continue;
        }
        if (strcmp(entry->name, "cls.predictions.bias") != 0 ||
            strcmp(entry->tensor->name, last->tensor->name) == 0)
            return vkb_fail(folder->ctx, VKB_BAD_FILE, "%s: %s and %s are the same tensor",
                            folder->weights, last->tensor->name, entry->tensor->name);
        if (strcmp(entry->tensor->name, entry->name) == 0)
            last->tensor = entry->tensor;
        free(entry->name);
        entry->name = NULL;
    }
    folder->entry_count = kept;
    return VKB_OK;
}

static vkb_status list_entries(vkb_folder *folder)
{
    size_t count = 0;
    for (size_t file = 0; file < folder->file_count; file++)
        count += folder->files[file].tensor_count;
    folder->entries = calloc(count + 1, sizeof(*folder->entries));
    if (!folder->entries)
        return vkb_fail_memory(folder->ctx, (count + 1) * sizeof(*folder->entries), folder->path);
    for (size_t file = 0; file < folder->file_count; file++)
        for (size_t i = 0; i < folder->files[file].tensor_count; i++) {
            const hf_tensor *tensor = &folder->files[file].tensors[i];
            char *name = hf_canonical_name(tensor->name);
            if (!name)
                return vkb_fail_memory(folder->ctx, strlen(tensor->name), "a name");
            folder->entries[folder->entry_count++] = (hf_entry){tensor, name, why_unused(name)};
        }
    qsort(folder->entries, folder->entry_count, sizeof(*folder->entries), compare_entries);
    return merge_duplicates(folder);
}

// A whole pooler and next-sentence head make it a BertForPreTraining. A part of them, such as the lone
// pooler of some BertForMaskedLMs, does not: vkb_model_load takes it when it is asked for a head.
static void find_pair_head(vkb_folder *folder)
{
    static const char *const whole[] = {"bert.pooler.dense.weight", "bert.pooler.dense.bias",
                                        "cls.seq_relationship.weight", "cls.seq_relationship.bias"};
    for (size_t i = 0; i < BASE_COUNT(whole); i++)
        if (!hf_folder_find(folder, whole[i]))
            return;
    folder->config.next_sentence = true;
    for (size_t i = 0; i < folder->entry_count; i++)
        for (size_t k = 0; k < BASE_COUNT(whole); k++)
            if (strcmp(folder->entries[i].name, whole[k]) == 0)
                folder->entries[i].unused = NULL;
}

// ---- Opening and asking ----

static vkb_status open_parts(vkb_folder *folder)
{
    char *config = NULL;
    vkb_status status;
    if (!file_is_folder(folder->path))
        return vkb_fail(folder->ctx, VKB_BAD_FILE,
                        "%s: there is no such folder, expected one with config.json and "
                        "model.safetensors",
                        folder->path);
    if (!has_file(folder, "config.json", &config)) {
        status =
            vkb_fail(folder->ctx, VKB_BAD_FILE,
                     "%s: has no config.json, expected a Hugging Face model folder", folder->path);
        goto cleanup;
    }
    BASE_TRY(vkb_config_read(folder->ctx, config, &folder->config));
    BASE_TRY(open_weights(folder));
    BASE_TRY(list_entries(folder));
    compare_decoder(folder);
    find_pair_head(folder);
cleanup:
    free(config);
    return status;
}

vkb_status vkb_folder_open(vkb_context *ctx, const char *path, vkb_folder **out)
{
    vkb_folder *folder = calloc(1, sizeof(*folder));
    if (!folder)
        return vkb_fail_memory(ctx, sizeof(*folder), path);
    folder->ctx = ctx;
    folder->path = strdup(path);
    vkb_status status =
        folder->path ? open_parts(folder) : vkb_fail_memory(ctx, strlen(path), "a path");
    if (status == VKB_OK)
        *out = folder;
    else
        vkb_folder_close(&folder);
    return status;
}

void vkb_folder_close(vkb_folder **folder_)
{
    vkb_folder *folder = folder_ ? *folder_ : NULL;
    if (!folder)
        return;
    *folder_ = NULL;
    for (size_t i = 0; i < folder->entry_count; i++)
        free(folder->entries[i].name);
    for (size_t i = 0; i < folder->file_count; i++)
        hf_safetensors_close(&folder->files[i]);
    free(folder->entries);
    free(folder->files);
    free(folder->path);
    free(folder->weights);
    free(folder);
}

const vkb_config *vkb_folder_config(const vkb_folder *folder)
{
    return &folder->config;
}

const char *vkb_folder_weights(const vkb_folder *folder)
{
    return folder->weights;
}

size_t vkb_folder_tensor_count(const vkb_folder *folder)
{
    return folder->entry_count;
}

vkb_tensor_info vkb_folder_tensor(const vkb_folder *folder, size_t index)
{
    const hf_tensor *tensor = folder->entries[index].tensor;
    vkb_tensor_info info = {
        .name = tensor->name, .dtype = hf_dtype_name(tensor->dtype), .rank = tensor->rank};
    memcpy(info.shape, tensor->shape, sizeof(info.shape));
    return info;
}

const hf_entry *hf_folder_entry(const vkb_folder *folder, size_t index)
{
    return &folder->entries[index];
}

const hf_tensor *hf_folder_find(const vkb_folder *folder, const char *canonical_name)
{
    hf_entry key = {.name = (char *)canonical_name};
    const hf_entry *found =
        bsearch(&key, folder->entries, folder->entry_count, sizeof(key), compare_entries);
    return found ? found->tensor : NULL;
}
