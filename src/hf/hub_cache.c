#include "hf/hub_cache.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

// A path of parts, ended by NULL.
static char *path_of(const char *first, ...)
{
    va_list args;
    char *path = strdup(first);
    va_start(args, first);
    for (const char *part; path && (part = va_arg(args, const char *));) {
        char *longer = path_join(path, part);
        free(path);
        path = longer;
    }
    va_end(args);
    return path;
}

vkb_status hub_cache_open(vkb_context *ctx, const char *folder, const char *repo, hub_cache *out)
{
    char name[2 * HUB_REPO_MAX + 16] = "models--";
    size_t used = strlen(name);
    for (const char *c = repo; *c && used + 3 < sizeof(name); c++)
        used += (size_t)snprintf(name + used, sizeof(name) - used, *c == '/' ? "--" : "%c", *c);
    hub_cache cache = {ctx, path_of(folder, name, (char *)NULL),
                       path_of(folder, ".locks", name, (char *)NULL)};
    if (!cache.model || !cache.locks) {
        hub_cache_close(&cache);
        return vkb_fail_memory(ctx, strlen(folder), "a path");
    }
    *out = cache;
    return VKB_OK;
}

void hub_cache_close(hub_cache *cache)
{
    free(cache->model);
    free(cache->locks);
    *cache = (hub_cache){0};
}

// ---- Commits ----

bool hub_cache_read_ref(const hub_cache *cache, const char *revision,
                        char commit[HUB_COMMIT_DIGITS + 1])
{
    char *path = path_of(cache->model, "refs", revision, (char *)NULL);
    FILE *file = path && !file_is_folder(path) ? fopen(path, "re") : NULL;
    size_t bytes = file ? fread(commit, 1, HUB_COMMIT_DIGITS, file) : 0;
    commit[bytes] = 0;
    if (file)
        fclose(file);
    free(path);
    return hub_is_commit(commit);
}

// The folder that a path's file lies in.
static vkb_status make_parent(vkb_context *ctx, const char *path)
{
    char *folder = strdup(path), *slash = folder ? strrchr(folder, '/') : NULL;
    if (slash)
        *slash = 0;
    vkb_status status =
        folder ? folder_create(ctx, folder) : vkb_fail_memory(ctx, strlen(path), "a path");
    free(folder);
    return status;
}

vkb_status hub_cache_write_ref(const hub_cache *cache, const char *revision, const char *commit)
{
    char known[HUB_COMMIT_DIGITS + 1];
    if (strcmp(revision, commit) == 0 ||
        (hub_cache_read_ref(cache, revision, known) && strcmp(known, commit) == 0))
        return VKB_OK; // the cache may be another's, and read-only
    char *path = path_of(cache->model, "refs", revision, (char *)NULL);
    vkb_status status = path ? make_parent(cache->ctx, path)
                             : vkb_fail_memory(cache->ctx, strlen(revision), "a path");
    if (status == VKB_OK)
        status = file_write_whole(cache->ctx, path, commit, strlen(commit));
    free(path);
    return status;
}

// ---- Files of a commit ----

char *hub_cache_snapshot(const hub_cache *cache, const char *commit)
{
    return path_of(cache->model, "snapshots", commit, (char *)NULL);
}

char *hub_cache_file(const hub_cache *cache, const char *commit, const char *name)
{
    return path_of(cache->model, "snapshots", commit, name, (char *)NULL);
}

static bool exists(char *path)
{
    const bool found = path && file_exists(path) && !file_is_folder(path);
    free(path);
    return found;
}

bool hub_cache_has(const hub_cache *cache, const char *commit, const char *name)
{
    return exists(hub_cache_file(cache, commit, name));
}

bool hub_cache_lacks(const hub_cache *cache, const char *commit, const char *name)
{
    return exists(path_of(cache->model, ".no_exist", commit, name, (char *)NULL));
}

// Only saves a question later: a cache that cannot take it is left as it is.
void hub_cache_set_lack(const hub_cache *cache, const char *commit, const char *name)
{
    char *path = path_of(cache->model, ".no_exist", commit, name, (char *)NULL);
    if (path && !file_exists(path) && make_parent(cache->ctx, path) == VKB_OK) {
        int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (file >= 0)
            close(file);
    }
    free(path);
}

// ---- Blobs ----

char *hub_cache_blob(const hub_cache *cache, const char *etag, bool incomplete)
{
    char name[HUB_ETAG_MAX + 16];
    snprintf(name, sizeof(name), "%s%s", etag, incomplete ? ".incomplete" : "");
    return path_of(cache->model, "blobs", name, (char *)NULL);
}

vkb_status hub_cache_make_folders(const hub_cache *cache, const char *commit)
{
    char *blobs = path_of(cache->model, "blobs", (char *)NULL);
    char *snapshot = hub_cache_snapshot(cache, commit);
    vkb_status status = blobs && snapshot ? folder_create(cache->ctx, cache->locks)
                                          : vkb_fail_memory(cache->ctx, 0, "a path");
    if (status == VKB_OK)
        status = folder_create(cache->ctx, blobs);
    if (status == VKB_OK)
        status = folder_create(cache->ctx, snapshot);
    free(snapshot);
    free(blobs);
    return status;
}

static vkb_status fail_file(const hub_cache *cache, const char *path)
{
    return vkb_fail(cache->ctx, VKB_IO, "%s: cannot be written: %s", path, strerror(errno));
}

vkb_status hub_cache_link(const hub_cache *cache, const char *commit, const char *name,
                          const char *etag)
{
    char target[HUB_ETAG_MAX + 32], suffix[64];
    vkb_status status = VKB_OK;
    char *path = hub_cache_file(cache, commit, name), *blob = hub_cache_blob(cache, etag, false);
    char *temporary = path ? malloc(strlen(path) + sizeof(suffix)) : NULL;
    if (!path || !blob || !temporary) {
        status = vkb_fail_memory(cache->ctx, strlen(name), "a path");
        goto cleanup;
    }
    if (file_exists(path))
        goto cleanup;
    snprintf(target, sizeof(target), "../../blobs/%s", etag);
    snprintf(suffix, sizeof(suffix), ".%ld.tmp", (long)getpid());
    strcat(strcpy(temporary, path), suffix);
    unlink(temporary);
    if (symlink(target, temporary) != 0) {
        if (errno != EPERM && errno != ENOTSUP && errno != EOPNOTSUPP && errno != ENOSYS)
            status = fail_file(cache, path);
        else if (rename(blob, path) != 0)
            status = fail_file(cache, path);
    } else if (rename(temporary, path) != 0) {
        status = fail_file(cache, path);
        unlink(temporary);
    }
cleanup:
    free(temporary);
    free(blob);
    free(path);
    return status;
}

vkb_status hub_cache_lock(const hub_cache *cache, const char *etag, int *lock)
{
    char name[HUB_ETAG_MAX + 8];
    struct stat found;
    vkb_status status = VKB_OK;
    snprintf(name, sizeof(name), "%s.lock", etag);
    char *path = path_of(cache->locks, name, (char *)NULL);
    *lock = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666) : -1;
    if (!path)
        status = vkb_fail_memory(cache->ctx, strlen(name), "a path");
    else if (*lock < 0)
        status = fail_file(cache, path);
    else if (flock(*lock, LOCK_EX | LOCK_NB) != 0) {
        // A file system without locks is used without them.
        if (errno == EWOULDBLOCK || errno == EACCES || errno == EINTR)
            hub_cache_unlock(lock);
    } else if (fstat(*lock, &found) != 0 || found.st_nlink == 0) {
        hub_cache_unlock(lock); // removed between open and flock: it guards nothing
    }
    free(path);
    return status;
}

void hub_cache_unlock(int *lock)
{
    if (*lock >= 0)
        close(*lock);
    *lock = -1;
}
