// Files on POSIX: mapping, temporary names, renames.
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

// ---- Reading ----

// Opens a regular file for reading; *fd is -1 on failure.
static vkb_status open_regular(vkb_context *ctx, const char *path, int *fd, size_t *bytes)
{
    struct stat st;
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0)
        return vkb_fail(ctx, VKB_BAD_FILE, "%s: cannot be opened: %s", path, strerror(errno));
    if (fstat(*fd, &st) != 0 || S_ISDIR(st.st_mode)) {
        close(*fd);
        *fd = -1;
        return vkb_fail(ctx, VKB_BAD_FILE, "%s: is a folder, expected a file", path);
    }
    *bytes = (size_t)st.st_size;
    return VKB_OK;
}

vkb_status file_map_open(vkb_context *ctx, const char *path, file_map *map)
{
    int fd;
    size_t bytes;
    vkb_status status = open_regular(ctx, path, &fd, &bytes);
    if (status != VKB_OK)
        return status;
    void *data = bytes ? mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
    int error = errno;
    close(fd);
    if (data == MAP_FAILED)
        return vkb_fail(ctx, VKB_BAD_FILE, "%s: cannot be mapped: %s", path, strerror(error));
    *map = (file_map){data, bytes};
    return VKB_OK;
}

void file_map_close(file_map *map)
{
    if (map->data)
        munmap((void *)map->data, map->bytes);
    *map = (file_map){0};
}

void file_map_release(const file_map *map)
{
    if (map->data)
        (void)madvise((void *)map->data, map->bytes,
                      MADV_DONTNEED); // memory use is all it is about
}

vkb_status file_read(vkb_context *ctx, const char *path, char **text, size_t *bytes)
{
    int fd;
    size_t size_hint, used = 0, capacity;
    vkb_status status = open_regular(ctx, path, &fd, &size_hint);
    if (status != VKB_OK)
        return status;

    // The size is only a hint: pipes and /proc report 0.
    capacity = size_hint + 4096;
    char *buffer = malloc(capacity);
    while (buffer) {
        ssize_t got = read(fd, buffer + used, capacity - used - 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            status = vkb_fail(ctx, VKB_BAD_FILE, "%s: cannot be read: %s", path, strerror(errno));
            free(buffer);
            close(fd);
            return status;
        }
        if (got == 0)
            break;
        used += (size_t)got;
        if (capacity - used < 2) {
            char *larger = realloc(buffer, capacity *= 2);
            if (!larger)
                free(buffer);
            buffer = larger;
        }
    }
    close(fd);
    if (!buffer)
        return vkb_fail_memory(ctx, capacity, path);
    buffer[used] = 0;
    *text = buffer;
    if (bytes)
        *bytes = used;
    return VKB_OK;
}

bool file_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

bool file_is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

// ---- Writing ----

struct file_writer {
    vkb_context *ctx;
    char *path, *temporary;
    int fd;
};

static void writer_free(file_writer *writer)
{
    free(writer->path);
    free(writer->temporary);
    free(writer);
}

vkb_status file_create(vkb_context *ctx, const char *path, file_writer **out)
{
    size_t room = strlen(path) + 32;
    file_writer *writer = calloc(1, sizeof(*writer));
    if (!writer)
        return vkb_fail_memory(ctx, sizeof(*writer), path);
    *writer = (file_writer){.ctx = ctx, .path = strdup(path), .temporary = malloc(room), .fd = -1};
    if (!writer->path || !writer->temporary) {
        writer_free(writer);
        return vkb_fail_memory(ctx, room, path);
    }
    snprintf(writer->temporary, room, "%s.%ld.tmp", path, (long)getpid());
    writer->fd = open(writer->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (writer->fd < 0) {
        vkb_status status =
            vkb_fail(ctx, VKB_IO, "%s: cannot be created: %s", path, strerror(errno));
        writer_free(writer);
        return status;
    }
    *out = writer;
    return VKB_OK;
}

vkb_status file_write(file_writer *writer, const void *data, size_t bytes)
{
    const uint8_t *at = data;
    while (bytes) {
        ssize_t put = write(writer->fd, at, bytes);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return vkb_fail(writer->ctx, VKB_IO, "%s: cannot be written: %s", writer->path,
                            strerror(errno));
        at += put;
        bytes -= (size_t)put;
    }
    return VKB_OK;
}

// Makes a rename in path's folder last; what a file system cannot sync is left to it.
static void folder_sync(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    int fd = folder ? open(folder, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    free(folder);
}

static vkb_status commit(file_writer **writer_, bool sync)
{
    file_writer *writer = *writer_;
    *writer_ = NULL;
    bool ok = !sync || fsync(writer->fd) == 0;
    ok = close(writer->fd) == 0 && ok;
    ok = ok && rename(writer->temporary, writer->path) == 0;
    vkb_status status = VKB_OK;
    if (!ok) {
        status = vkb_fail(writer->ctx, VKB_IO, "%s: cannot be written: %s", writer->path,
                          strerror(errno));
        unlink(writer->temporary);
    } else if (sync) {
        folder_sync(writer->path);
    }
    writer_free(writer);
    return status;
}

vkb_status file_commit(file_writer **writer)
{
    return commit(writer, true);
}

void file_abandon(file_writer **writer_)
{
    file_writer *writer = *writer_;
    *writer_ = NULL;
    if (!writer)
        return;
    close(writer->fd);
    unlink(writer->temporary);
    writer_free(writer);
}

static vkb_status write_whole(vkb_context *ctx, const char *path, const void *data, size_t bytes,
                              bool sync)
{
    file_writer *writer = NULL;
    vkb_status status = file_create(ctx, path, &writer);
    if (status == VKB_OK)
        status = file_write(writer, data, bytes);
    if (status == VKB_OK)
        return commit(&writer, sync);
    file_abandon(&writer);
    return status;
}

vkb_status file_write_whole(vkb_context *ctx, const char *path, const void *data, size_t bytes)
{
    return write_whole(ctx, path, data, bytes, true);
}

vkb_status file_write_soon(vkb_context *ctx, const char *path, const void *data, size_t bytes)
{
    return write_whole(ctx, path, data, bytes, false);
}

// ---- Folders and paths ----

vkb_status folder_create(vkb_context *ctx, const char *path)
{
    char *partial = strdup(path);
    if (!partial)
        return vkb_fail_memory(ctx, strlen(path), path);
    int error = 0;
    for (char *at = partial + 1; error == 0; at++) {
        char end = *at;
        if (end != '/' && end != 0)
            continue;
        *at = 0;
        if (mkdir(partial, 0777) != 0 && !file_is_folder(partial))
            error = errno;
        *at = end;
        if (end == 0)
            break;
    }
    free(partial);
    if (error)
        return vkb_fail(ctx, VKB_IO, "%s: the folder cannot be created: %s", path, strerror(error));
    return VKB_OK;
}

char *path_join(const char *folder, const char *name)
{
    size_t length = strlen(folder), room = length + strlen(name) + 2;
    char *path = malloc(room);
    if (path)
        snprintf(path, room, "%s%s%s", folder, length && folder[length - 1] == '/' ? "" : "/",
                 name);
    return path;
}

char *path_cache_folder(void)
{
    const char *own = getenv("VKBERT_CACHE"), *xdg = getenv("XDG_CACHE_HOME"),
               *home = getenv("HOME");
    if (own && *own)
        return strdup(own);
    if (xdg && *xdg)
        return path_join(xdg, "vkbert");
    return home && *home ? path_join(home, ".cache/vkbert") : NULL;
}
