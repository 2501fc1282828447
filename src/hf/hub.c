// A model by its name: in the cache, or from the hub into it. The vkb_pull and vkb_find_model of
// vkbert.h.
#include "base/file.h"
#include "hf/hub_download.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRANSFERS = 4 };

typedef struct hub_pull {
    vkb_context *ctx;
    const vkb_hub_params *params;
    uint32_t parts;
    hub_name name;
    hub_settings settings;
    hub_cache cache;
    hub_session session;
    hub_model model;
} hub_pull;

// ---- Results ----

void vkb_model_source_free(vkb_model_source *source)
{
    if (!source)
        return;
    free(source->folder);
    free(source->name);
    free(source->revision);
    *source = (vkb_model_source){0};
}

static vkb_status give(hub_pull *pull, const char *commit, bool fetched, vkb_model_source *out)
{
    vkb_model_source source = {.folder = hub_cache_snapshot(&pull->cache, commit),
                               .name = strdup(pull->name.repo),
                               .revision = strdup(pull->name.revision),
                               .fetched = fetched};
    snprintf(source.commit, sizeof(source.commit), "%s", commit);
    if (!source.folder || !source.name || !source.revision) {
        vkb_model_source_free(&source);
        return vkb_fail_memory(pull->ctx, strlen(pull->cache.model), "a path");
    }
    *out = source;
    return VKB_OK;
}

// ---- The cache ----

static bool find_commit(const hub_pull *pull, char commit[HUB_COMMIT_DIGITS + 1])
{
    if (hub_is_commit(pull->name.revision))
        strcpy(commit, pull->name.revision);
    else if (!hub_cache_read_ref(&pull->cache, pull->name.revision, commit))
        return false;
    return hub_cache_has_parts(&pull->cache, commit, pull->parts);
}

static vkb_status fail_offline(const hub_pull *pull)
{
    return vkb_fail(pull->ctx, VKB_BAD_FILE,
                    "the model %s@%s is not in the hub's cache, %s, and HF_HUB_OFFLINE forbids to "
                    "fetch it",
                    pull->name.repo, pull->name.revision, pull->settings.cache);
}

// ---- The hub ----

static char *model_url(const hub_pull *pull)
{
    char *revision = curl_easy_escape(NULL, pull->name.revision, 0);
    const size_t room = strlen(pull->settings.endpoint) + strlen(pull->name.repo) +
                        (revision ? strlen(revision) : 0) + 32;
    char *url = revision ? malloc(room) : NULL;
    if (url)
        snprintf(url, room, "%s/api/models/%s/revision/%s", pull->settings.endpoint,
                 pull->name.repo, revision);
    curl_free(revision);
    return url;
}

// *unreachable: it failed, and a copy in the cache will have to do.
static vkb_status ask_model(hub_pull *pull, bool *unreachable)
{
    hub_text text = {0};
    hub_request request = {.url = model_url(pull)};
    vkb_status status;
    if (!request.url)
        return vkb_fail_memory(pull->ctx, 0, "an address");
    BASE_TRY(hub_fetch(&pull->session, &request, &text));
    *unreachable = hub_unreachable(&request);
    if (!hub_succeeded(&request))
        status = hub_fail(&pull->session, &request, &pull->name, NULL);
    else if (!text.bytes || text.at[strspn(text.at, " \t\r\n")] != '{')
        status = hub_fail_page(&pull->session, &request, &pull->name);
    else
        status = hub_model_parse(pull->ctx, request.url, text.at, text.bytes, &pull->model);
cleanup:
    free(request.url);
    free(text.at);
    return status;
}

// The shards of an index that has come.
static vkb_status fetch_shards(hub_pull *pull, hub_download *download, const hub_list *files)
{
    vkb_status status = VKB_OK;
    hub_list shards = {0};
    char *path = NULL;
    for (size_t i = 0; i < files->count; i++) {
        if (!hub_is_index(files->at[i]))
            continue;
        path = hub_cache_file(&pull->cache, pull->model.commit, files->at[i]);
        if (!path)
            return vkb_fail_memory(pull->ctx, 0, "a path");
        BASE_TRY(hub_add_shards(pull->ctx, path, &shards));
        BASE_TRY(hub_download_files(download, &shards));
        break;
    }
cleanup:
    hub_list_free(&shards);
    free(path);
    return status;
}

static vkb_status fetch_files(hub_pull *pull, bool *fetched)
{
    hub_list files = {0};
    hub_download download = {
        .session = &pull->session,
        .cache = &pull->cache,
        .name = &pull->name,
        .commit = pull->model.commit,
        .transfers = pull->params->transfers ? pull->params->transfers : TRANSFERS,
        .progress = pull->params->progress,
        .user = pull->params->user,
    };
    vkb_status status;
    BASE_TRY(hub_model_choose(pull->ctx, pull->name.repo, &pull->model, pull->parts, &files));
    BASE_TRY(hub_download_files(&download, &files));
    BASE_TRY(fetch_shards(pull, &download, &files));
    hub_model_mark_lacks(&pull->cache, &pull->model, pull->parts);
    // Last: until then the branch stays with the copy that is whole.
    BASE_TRY(hub_cache_write_ref(&pull->cache, pull->name.revision, pull->model.commit));
    *fetched = download.fetched > 0;
cleanup:
    hub_list_free(&files);
    return status;
}

// ---- Both ----

static hub_pull make_pull(vkb_context *ctx, const vkb_hub_params *params)
{
    static const vkb_hub_params none;
    hub_pull pull = {.ctx = ctx, .params = params ? params : &none};
    pull.parts = pull.params->parts ? pull.params->parts
                                    : VKB_PART_CONFIG | VKB_PART_TOKENIZER | VKB_PART_WEIGHTS;
    return pull;
}

static vkb_status open_pull(hub_pull *pull)
{
    vkb_status status = hub_settings_read(pull->ctx, pull->params, &pull->settings);
    if (status == VKB_OK)
        status = hub_cache_open(pull->ctx, pull->settings.cache, pull->name.repo, &pull->cache);
    return status;
}

static void close_pull(hub_pull *pull)
{
    hub_model_free(&pull->model);
    if (pull->session.multi)
        hub_session_close(&pull->session);
    hub_cache_close(&pull->cache);
    hub_settings_free(&pull->settings);
}

static vkb_status fetch(hub_pull *pull, vkb_model_source *out)
{
    char commit[HUB_COMMIT_DIGITS + 1];
    bool unreachable = false, fetched = false;
    vkb_status status = hub_session_open(pull->ctx, &pull->settings, pull->params->stop,
                                         pull->params->user, &pull->session);
    if (status != VKB_OK)
        return status;
    status = ask_model(pull, &unreachable);
    if (status != VKB_OK && unreachable && find_commit(pull, commit)) {
        vkb_log(pull->ctx, VKB_LOG_INFO, "%s; the copy in the cache is used", vkb_error(pull->ctx));
        return give(pull, commit, false, out);
    }
    if (status == VKB_OK)
        status = fetch_files(pull, &fetched);
    return status == VKB_OK ? give(pull, pull->model.commit, fetched, out) : status;
}

vkb_status vkb_pull(vkb_context *ctx, const char *name, const vkb_hub_params *params,
                    vkb_model_source *out)
{
    hub_pull pull = make_pull(ctx, params);
    char commit[HUB_COMMIT_DIGITS + 1];
    const char *wrong = hub_name_parse(name, pull.params->revision, &pull.name);
    if (wrong)
        return vkb_fail(ctx, VKB_BAD_ARGUMENT, "\"%s\" is no model's name on the hub: it %s", name,
                        wrong);
    vkb_status status = open_pull(&pull);
    if (status == VKB_OK && !pull.settings.offline)
        status = fetch(&pull, out);
    else if (status == VKB_OK)
        status = find_commit(&pull, commit) ? give(&pull, commit, false, out) : fail_offline(&pull);
    close_pull(&pull);
    return status;
}

static vkb_status find_folder(vkb_context *ctx, const char *path, vkb_model_source *out)
{
    vkb_model_source source = {.folder = strdup(path)};
    if (!source.folder)
        return vkb_fail_memory(ctx, strlen(path), "a path");
    *out = source;
    return VKB_OK;
}

static vkb_status find_name(hub_pull *pull, vkb_model_source *out)
{
    char commit[HUB_COMMIT_DIGITS + 1];
    vkb_status status = open_pull(pull);
    if (status != VKB_OK)
        return status;
    if (find_commit(pull, commit))
        return give(pull, commit, false, out);
    return pull->settings.offline ? fail_offline(pull) : fetch(pull, out);
}

vkb_status vkb_find_model(vkb_context *ctx, const char *model, const vkb_hub_params *params,
                          vkb_model_source *out)
{
    if (file_is_folder(model))
        return find_folder(ctx, model, out);
    if (file_exists(model))
        return vkb_fail(ctx, VKB_BAD_FILE, "%s: is a file, expected a model's folder", model);
    if (hub_name_is_path(model))
        return vkb_fail(ctx, VKB_BAD_FILE,
                        "%s: there is no such folder, expected one with config.json, "
                        "model.safetensors and vocab.txt, or a model's name on the hub",
                        model);
    hub_pull pull = make_pull(ctx, params);
    const char *wrong = hub_name_parse(model, pull.params->revision, &pull.name);
    if (wrong)
        return vkb_fail(ctx, VKB_BAD_ARGUMENT,
                        "%s: there is no such folder, and it is no model's name on the hub: it %s",
                        model, wrong);
    vkb_status status = find_name(&pull, out);
    close_pull(&pull);
    if (status == VKB_OK || status == VKB_INTERRUPTED)
        return status;
    return vkb_fail(ctx, status, "%s: there is no such folder, and as a name on the hub: %s", model,
                    vkb_error(ctx));
}
