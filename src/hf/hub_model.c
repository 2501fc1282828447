#include "hf/hub_model.h"

#include "base/array.h"
#include "hf/json.h"

#include <stdlib.h>
#include <string.h>

// ---- Lists ----

bool hub_list_has(const hub_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->at[i], name) == 0)
            return true;
    return false;
}

vkb_status hub_list_add(vkb_context *ctx, hub_list *list, const char *name)
{
    if (hub_list_has(list, name))
        return VKB_OK;
    char *copy = strdup(name);
    if (!copy || !array_reserve(list, list->count + 1)) {
        free(copy);
        return vkb_fail_memory(ctx, strlen(name), "a name");
    }
    list->at[list->count++] = copy;
    return VKB_OK;
}

void hub_list_free(hub_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->at[i]);
    free(list->at);
    *list = (hub_list){0};
}

// ---- The hub's answer ----

static vkb_status add_sibling(vkb_context *ctx, const char *from, const cJSON *item,
                              hub_model *model)
{
    const cJSON *name = hf_json_member(item, "rfilename");
    if (!cJSON_IsString(name))
        return hf_json_unexpected(ctx, from, "rfilename", name, "a file's name");
    if (!hub_is_file(name->valuestring))
        return vkb_fail(ctx, VKB_BAD_FILE,
                        "%s: names a file \"%s\", which would lie outside the model's folder", from,
                        name->valuestring);
    // Whatever is below a folder (other formats, examples) is not wanted.
    return strchr(name->valuestring, '/') ? VKB_OK
                                          : hub_list_add(ctx, &model->files, name->valuestring);
}

vkb_status hub_model_parse(vkb_context *ctx, const char *from, const char *text, size_t bytes,
                           hub_model *out)
{
    hub_model model = {0};
    cJSON *root = NULL;
    const cJSON *commit, *files, *item;
    vkb_status status;
    BASE_TRY(hf_json_parse(ctx, from, text, bytes, &root));
    commit = hf_json_member(root, "sha");
    files = hf_json_member(root, "siblings");
    if (!cJSON_IsString(commit) || !hub_is_commit(commit->valuestring)) {
        status = hf_json_unexpected(ctx, from, "sha", commit, "a commit's 40 hexadecimal digits");
        goto cleanup;
    }
    if (!cJSON_IsArray(files)) {
        status = hf_json_unexpected(ctx, from, "siblings", files, "a list of files");
        goto cleanup;
    }
    strcpy(model.commit, commit->valuestring);
    cJSON_ArrayForEach(item, files) BASE_TRY(add_sibling(ctx, from, item, &model));
    *out = model;
    model = (hub_model){0};
cleanup:
    hub_model_free(&model);
    cJSON_Delete(root);
    return status;
}

void hub_model_free(hub_model *model)
{
    hub_list_free(&model->files);
    *model = (hub_model){0};
}

// ---- Parts ----

static const char config_name[] = "config.json";
static const char *const tokenizer_names[] = {"tokenizer.json", "tokenizer_config.json",
                                              "vocab.txt", "special_tokens_map.json"};
static const char card_name[] = "README.md"; // its licence comes with the weights
// In the order in which transformers looks for them.
static const char *const weights_names[] = {"model.safetensors", "model.safetensors.index.json",
                                            "pytorch_model.bin", "pytorch_model.bin.index.json"};

bool hub_is_index(const char *name)
{
    static const char end[] = ".index.json";
    const size_t bytes = strlen(name);
    return bytes >= sizeof(end) && strcmp(name + bytes - (sizeof(end) - 1), end) == 0;
}

static vkb_status add_if_there(vkb_context *ctx, const hub_model *model, const char *name,
                               hub_list *wanted)
{
    return hub_list_has(&model->files, name) ? hub_list_add(ctx, wanted, name) : VKB_OK;
}

static vkb_status choose_weights(vkb_context *ctx, const char *repo, const hub_model *model,
                                 hub_list *wanted)
{
    vkb_status status = add_if_there(ctx, model, card_name, wanted);
    for (size_t i = 0; i < BASE_COUNT(weights_names) && status == VKB_OK; i++)
        if (hub_list_has(&model->files, weights_names[i]))
            return hub_list_add(ctx, wanted, weights_names[i]);
    if (status != VKB_OK)
        return status;
    return vkb_fail(ctx, VKB_BAD_FILE,
                    "%s at %.12s has no weights that can be read: neither model.safetensors nor "
                    "pytorch_model.bin",
                    repo, model->commit);
}

vkb_status hub_model_choose(vkb_context *ctx, const char *repo, const hub_model *model,
                            uint32_t parts, hub_list *wanted)
{
    if (!hub_list_has(&model->files, config_name))
        return vkb_fail(ctx, VKB_BAD_FILE,
                        "%s at %.12s has no config.json: it is no model of transformers", repo,
                        model->commit);
    vkb_status status = hub_list_add(ctx, wanted, config_name);
    for (size_t i = 0;
         (parts & VKB_PART_TOKENIZER) && i < BASE_COUNT(tokenizer_names) && status == VKB_OK; i++)
        status = add_if_there(ctx, model, tokenizer_names[i], wanted);
    if (status == VKB_OK && (parts & VKB_PART_WEIGHTS))
        status = choose_weights(ctx, repo, model, wanted);
    return status;
}

vkb_status hub_add_shards(vkb_context *ctx, const char *path, hub_list *shards)
{
    cJSON *root = NULL;
    const cJSON *map, *item;
    vkb_status status;
    BASE_TRY(hf_json_read(ctx, path, &root));
    map = hf_json_member(root, "weight_map");
    if (!cJSON_IsObject(map) || !map->child) {
        status = hf_json_unexpected(ctx, path, "weight_map", map, "an object of tensors and files");
        goto cleanup;
    }
    cJSON_ArrayForEach(item, map)
    {
        if (!cJSON_IsString(item) || strchr(item->valuestring, '/') ||
            !hub_is_file(item->valuestring)) {
            status = hf_json_unexpected(ctx, path, item->string, item,
                                        "the name of a file beside the index");
            goto cleanup;
        }
        BASE_TRY(hub_list_add(ctx, shards, item->valuestring));
    }
cleanup:
    cJSON_Delete(root);
    return status;
}

void hub_model_mark_lacks(const hub_cache *cache, const hub_model *model, uint32_t parts)
{
    for (size_t i = 0; (parts & VKB_PART_TOKENIZER) && i < BASE_COUNT(tokenizer_names); i++)
        if (!hub_list_has(&model->files, tokenizer_names[i]))
            hub_cache_set_lack(cache, model->commit, tokenizer_names[i]);
}

// ---- What the cache holds ----

static bool has_tokenizer(const hub_cache *cache, const char *commit)
{
    bool lacks_all = true;
    for (size_t i = 0; i < BASE_COUNT(tokenizer_names); i++) {
        if (hub_cache_lacks(cache, commit, tokenizer_names[i]))
            continue;
        lacks_all = false;
        const bool needed = strcmp(tokenizer_names[i], "tokenizer.json") == 0 ||
                            strcmp(tokenizer_names[i], "vocab.txt") == 0;
        if (needed && hub_cache_has(cache, commit, tokenizer_names[i]))
            return true;
    }
    return lacks_all;
}

static bool has_shards(const hub_cache *cache, const char *commit, const char *index)
{
    hub_list shards = {0};
    char *path = hub_cache_file(cache, commit, index);
    bool all = path && hub_add_shards(cache->ctx, path, &shards) == VKB_OK;
    for (size_t i = 0; i < shards.count && all; i++)
        all = hub_cache_has(cache, commit, shards.at[i]);
    hub_list_free(&shards);
    free(path);
    return all;
}

static bool has_weights(const hub_cache *cache, const char *commit)
{
    for (size_t i = 0; i < BASE_COUNT(weights_names); i++)
        if (hub_cache_has(cache, commit, weights_names[i]) &&
            (!hub_is_index(weights_names[i]) || has_shards(cache, commit, weights_names[i])))
            return true;
    return false;
}

bool hub_cache_has_parts(const hub_cache *cache, const char *commit, uint32_t parts)
{
    return hub_cache_has(cache, commit, config_name) &&
           (!(parts & VKB_PART_TOKENIZER) || has_tokenizer(cache, commit)) &&
           (!(parts & VKB_PART_WEIGHTS) || has_weights(cache, commit));
}
