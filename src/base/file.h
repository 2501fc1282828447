// Files: read whole or mapped, written whole or not at all.
#ifndef VKB_BASE_FILE_H
#define VKB_BASE_FILE_H

#include "base/context.h"

// ---- Reading ----

// A file mapped read-only. data is NULL for an empty file.
typedef struct file_map {
    const uint8_t *data;
    size_t bytes;
} file_map;

// VKB_BAD_FILE when the file is missing, a folder, or unreadable.
vkb_status file_map_open(vkb_context *ctx, const char *path, file_map *map);
void file_map_close(file_map *map);
// Takes the map's pages out of the process's memory; a later look brings them back. All of them:
// the kernel maps neighbours of a page that is touched, so that parts given back by themselves do
// not stay so.
void file_map_release(const file_map *map);

// The whole file as a string with a NUL behind it, freed with free(). VKB_BAD_FILE as
// file_map_open.
vkb_status file_read(vkb_context *ctx, const char *path, char **text, size_t *bytes);

bool file_exists(const char *path);
bool file_is_folder(const char *path);

// ---- Writing ----

// A file that appears under its name only when file_commit has succeeded: written beside it under a
// temporary name, then synced and renamed.
typedef struct file_writer file_writer;

vkb_status file_create(vkb_context *ctx, const char *path, file_writer **out);
vkb_status file_write(file_writer *writer, const void *data, size_t bytes);
vkb_status file_commit(file_writer **writer); // frees the writer, also when it fails
void file_abandon(file_writer **writer);      // NULL-safe: removes the temporary file

// file_create, file_write, file_commit.
vkb_status file_write_whole(vkb_context *ctx, const char *path, const void *data, size_t bytes);
// The same without waiting for the disk: whole whatever becomes of this process, but not of the
// machine.
vkb_status file_write_soon(vkb_context *ctx, const char *path, const void *data, size_t bytes);

// ---- Folders and paths ----

// Creates path and its parents; a folder that exists is fine. VKB_IO when it cannot.
vkb_status folder_create(vkb_context *ctx, const char *path);

// folder/name, freed with free(); NULL when memory is exhausted.
char *path_join(const char *folder, const char *name);

// $VKBERT_CACHE, else $XDG_CACHE_HOME/vkbert, else ~/.cache/vkbert; freed with free(). NULL: there
// is no home.
char *path_cache_folder(void);

#endif
