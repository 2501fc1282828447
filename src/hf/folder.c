#include "hf/folder.h"

#include "base/file.h"
#include "hf/bundle.h"
#include "hf/config.h"
#include "hf/json.h"
#include "hf/names.h"
#include "hf/vocab_padding.h"
#include "hf/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct vkb_folder {
    vkb_context *ctx;
    vkb_config config;
    struct cJSON *config_file;
    char *path;
    hf_weights_set weights;
    hf_entry *entries;
    size_t entry_count;
    hf_tensor cut[HF_TOKEN_TENSORS]; // what some entries point at
};

// ---- Entries ----

static int compare_entries(const void *a, const void *b)
{
    return strcmp(((const hf_entry *)a)->name, ((const hf_entry *)b)->name);
}

// decoder.weight beside the embeddings that it is tied to should be equal, or it is lost.
static void compare_decoder(const vkb_folder *folder)
{
    const hf_tensor *words = hf_folder_find(folder, "bert.embeddings.word_embeddings.weight");
    const hf_tensor *decoder = hf_folder_find(folder, "cls.predictions.decoder.weight");
    if (words && decoder && words->dtype == decoder->dtype && words->bytes == decoder->bytes &&
        !words->strided && !decoder->strided &&
        memcmp(words->data, decoder->data, words->bytes) == 0)
        return;
    if (words && decoder)
        vkb_log(folder->ctx, VKB_LOG_WARNING,
                "%s: cls.predictions.decoder.weight differs from the word embeddings; they are "
                "tied, and the embeddings are used",
                folder->weights.path);
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
                            folder->weights.path, last->tensor->name, entry->tensor->name);
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
    for (size_t file = 0; file < folder->weights.file_count; file++)
        count += folder->weights.files[file].tensor_count;
    folder->entries = calloc(count + 1, sizeof(*folder->entries));
    if (!folder->entries)
        return vkb_fail_memory(folder->ctx, (count + 1) * sizeof(*folder->entries), folder->path);
    for (size_t file = 0; file < folder->weights.file_count; file++)
        for (size_t i = 0; i < folder->weights.files[file].tensor_count; i++) {
            const hf_tensor *tensor = &folder->weights.files[file].tensors[i];
            char *name = hf_canonical_name(tensor->name);
            if (!name)
                return vkb_fail_memory(folder->ctx, strlen(tensor->name), "a name");
            folder->entries[folder->entry_count++] = (hf_entry){tensor, name, hf_name_unused(name)};
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

// config.json, or what Google's checkpoints call it. *path is freed with free().
static vkb_status find_config(const vkb_folder *folder, char **path)
{
    static const char *const names[] = {"config.json", "bert_config.json"};
    char *index = NULL;
    for (size_t i = 0; i < BASE_COUNT(names); i++) {
        free(*path);
        *path = path_join(folder->path, names[i]);
        if (!*path)
            return vkb_fail_memory(folder->ctx, strlen(folder->path), "a path");
        if (file_exists(*path))
            return VKB_OK;
    }
    vkb_status status = hf_bundle_find(folder->ctx, folder->path, &index);
    if (status == VKB_OK)
        status = vkb_fail(folder->ctx, VKB_BAD_FILE,
                          index ? "%s: has a TensorFlow checkpoint, but no config.json or "
                                  "bert_config.json: put the one of that model beside it"
                                : "%s: has no config.json, expected a Hugging Face model folder",
                          folder->path);
    free(index);
    return status;
}

static vkb_status open_parts(vkb_folder *folder)
{
    char *config = NULL;
    vkb_status status;
    if (!file_is_folder(folder->path))
        return vkb_fail(folder->ctx, VKB_BAD_FILE,
                        "%s: there is no such folder, expected one with config.json and "
                        "weights",
                        folder->path);
    BASE_TRY(find_config(folder, &config));
    BASE_TRY(hf_config_read(folder->ctx, config, &folder->config, &folder->config_file));
    BASE_TRY(hf_weights_set_open(folder->ctx, folder->path, &folder->weights));
    BASE_TRY(list_entries(folder));
    hf_vocab_padding_cut(folder->ctx, folder->weights.path, &folder->config, folder->entries,
                         folder->entry_count, folder->cut);
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
    hf_weights_set_close(&folder->weights);
    cJSON_Delete(folder->config_file);
    free(folder->entries);
    free(folder->path);
    free(folder);
}

const vkb_config *vkb_folder_config(const vkb_folder *folder)
{
    return &folder->config;
}

const char *vkb_folder_weights(const vkb_folder *folder)
{
    return folder->weights.path;
}

size_t vkb_folder_tensor_count(const vkb_folder *folder)
{
    return folder->entry_count;
}

vkb_tensor_info vkb_folder_tensor(const vkb_folder *folder, size_t index)
{
    const hf_tensor *tensor = folder->entries[index].tensor;
    vkb_tensor_info info = {.name = tensor->name,
                            .canonical = folder->entries[index].name,
                            .dtype = hf_dtype_name(tensor->dtype),
                            .rank = tensor->rank};
    memcpy(info.shape, tensor->shape, sizeof(info.shape));
    return info;
}

const cJSON *hf_folder_config_file(const vkb_folder *folder)
{
    return folder->config_file;
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
