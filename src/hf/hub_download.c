#include "hf/hub_file.h"

#include "base/clock.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

static vkb_status list_files(hub_download *d, const hub_list *list, hub_file *files, size_t *count)
{
    vkb_status status = VKB_OK;
    for (size_t i = 0; i < list->count && status == VKB_OK; i++) {
        if (hub_cache_has(d->cache, d->commit, list->at[i]))
            continue;
        files[*count] =
            (hub_file){.download = d, .name = list->at[i], .lock = -1, .part = {.file = -1}};
        status = hub_file_ask(&files[(*count)++]);
    }
    return status;
}

// Bytes of the file that the cache has, whole or in part.
static uint64_t bytes_there(const hub_download *d, const hub_file *file)
{
    uint64_t bytes = 0;
    for (int incomplete = 0; incomplete < 2; incomplete++) {
        struct stat found;
        char *path = hub_cache_blob(d->cache, file->etag, incomplete);
        if (path && stat(path, &found) == 0 && (uint64_t)found.st_size > bytes)
            bytes = (uint64_t)found.st_size;
        free(path);
    }
    return bytes < file->size ? bytes : file->size;
}

// Says what is to come, and that there is room for it.
static vkb_status check_room(const hub_download *d, const hub_file *files, size_t count)
{
    struct statvfs disk;
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += files[i].size - bytes_there(d, &files[i]);
    vkb_log(d->session->ctx, VKB_LOG_INFO, "%s: %zu file%s, %.1f %s, from %s", d->name->repo, count,
            count == 1 ? "" : "s", (double)bytes / (bytes < 1 << 20 ? 0x1p10 : 0x1p20),
            bytes < 1 << 20 ? "KiB" : "MiB", d->session->settings->endpoint);
    if (statvfs(d->cache->model, &disk) != 0 || bytes / disk.f_frsize <= disk.f_bavail)
        return VKB_OK;
    return vkb_fail(d->session->ctx, VKB_IO,
                    "%s: %.1f MiB are to come, %.1f MiB are free there: make room, or set "
                    "HF_HUB_CACHE to another folder",
                    d->cache->model, (double)bytes / 0x1p20,
                    (double)disk.f_bavail * (double)disk.f_frsize / 0x1p20);
}

static void show_progress(const hub_download *d, const hub_file *files, size_t count)
{
    uint64_t done = 0, total = 0;
    for (size_t i = 0; d->progress && i < count; i++) {
        total += files[i].size;
        done += files[i].state == HUB_FILE_DONE ? files[i].size : files[i].part.bytes;
    }
    if (d->progress)
        d->progress(d->user, d->name->repo, done, total);
}

static vkb_status start_some(const hub_download *d, hub_file *files, size_t count)
{
    size_t running = 0;
    for (size_t i = 0; i < count; i++)
        running += files[i].state == HUB_FILE_RUNNING;
    for (size_t i = 0; i < count && running < d->transfers; i++) {
        if (files[i].state != HUB_FILE_WAITING ||
            files[i].not_before > clock_seconds(d->session->ctx))
            continue;
        vkb_status status = hub_file_start(&files[i]);
        if (status != VKB_OK)
            return status;
        running += files[i].state == HUB_FILE_RUNNING;
    }
    return VKB_OK;
}

static bool all_done(const hub_file *files, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (files[i].state != HUB_FILE_DONE)
            return false;
    return true;
}

vkb_status hub_download_files(hub_download *d, const hub_list *list)
{
    vkb_status status = VKB_OK;
    size_t count = 0;
    hub_file *files = calloc(list->count + 1, sizeof(*files));
    if (!files)
        return vkb_fail_memory(d->session->ctx, list->count * sizeof(*files), "a download");
    BASE_TRY(list_files(d, list, files, &count));
    if (!count)
        goto cleanup;
    BASE_TRY(hub_cache_make_folders(d->cache, d->commit));
    BASE_TRY(check_room(d, files, count));
    while (!all_done(files, count)) {
        hub_request *ended = NULL;
        BASE_TRY(start_some(d, files, count));
        BASE_TRY(hub_session_step(d->session, &ended));
        show_progress(d, files, count);
        if (ended)
            BASE_TRY(hub_file_end(ended->user));
    }
    show_progress(d, files, count);
    d->fetched += count;
cleanup:
    for (size_t i = 0; i < count; i++)
        hub_file_let_go(&files[i]);
    free(files);
    return status;
}
