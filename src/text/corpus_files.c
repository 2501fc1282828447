#include "text/corpus_files.h"

#include "base/array.h"
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEEPEST_FOLDER = 64 }; // a link to a folder above would go round in circles

static vkb_status add_file(vkb_context *ctx, const char *path, const char *shown, bool is_stream,
                           const struct stat *st, corpus_files *files)
{
    char *copy = strdup(shown);
    if (!copy || !array_reserve(files, files->count + 1)) {
        free(copy);
        return vkb_fail_memory(ctx, strlen(path), path);
    }
#ifdef __APPLE__
    const struct timespec modified = st->st_mtimespec;
#else
    const struct timespec modified = st->st_mtim;
#endif
    files->at[files->count++] = (corpus_file){
        .path = copy,
        .bytes = is_stream ? 0 : (uint64_t)st->st_size,
        .modified = is_stream ? 0 : (int64_t)modified.tv_sec * 1000000000 + modified.tv_nsec,
        .is_stream = is_stream,
    };
    return VKB_OK;
}

static vkb_status add_path(vkb_context *ctx, const char *path, int depth, corpus_files *files);

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

// The names in a folder, sorted; hidden ones left out.
static vkb_status list_folder(vkb_context *ctx, const char *path, char ***names, size_t *count)
{
    struct {
        char **at;
        size_t count, capacity;
    } list = {0};
    DIR *folder = opendir(path);
    if (!folder)
        return vkb_fail(ctx, VKB_BAD_FILE, "%s: cannot be listed: %s", path, strerror(errno));
    bool ok = true;
    for (struct dirent *entry; ok && (entry = readdir(folder));) {
        if (entry->d_name[0] == '.')
            continue;
        ok = array_reserve(&list, list.count + 1) &&
             (list.at[list.count] = strdup(entry->d_name)) != NULL;
        list.count += ok;
    }
    closedir(folder);
    if (list.count)
        qsort(list.at, list.count, sizeof(*list.at), by_name);
    *names = list.at;
    *count = list.count;
    return ok ? VKB_OK : vkb_fail_memory(ctx, list.count * sizeof(char *), path);
}

static vkb_status add_folder(vkb_context *ctx, const char *path, int depth, corpus_files *files)
{
    char **names = NULL;
    size_t count = 0;
    vkb_status status = depth < DEEPEST_FOLDER
                            ? list_folder(ctx, path, &names, &count)
                            : vkb_fail(ctx, VKB_BAD_FILE,
                                       "%s: is %d folders deep: a link in a circle?", path, depth);
    for (size_t i = 0; i < count && status == VKB_OK; i++) {
        char *inside = path_join(path, names[i]);
        status = inside ? add_path(ctx, inside, depth + 1, files)
                        : vkb_fail_memory(ctx, strlen(path), path);
        free(inside);
    }
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
    return status;
}

static vkb_status add_path(vkb_context *ctx, const char *path, int depth, corpus_files *files)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return vkb_fail(ctx, VKB_BAD_FILE, "%s: cannot be read: %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return add_folder(ctx, path, depth, files);
    if (access(path, R_OK) != 0)
        return vkb_fail(ctx, VKB_BAD_FILE, "%s: cannot be read: %s", path, strerror(errno));
    return add_file(ctx, path, path, !S_ISREG(st.st_mode), &st, files);
}

static vkb_status add_glob(vkb_context *ctx, const char *pattern, corpus_files *files)
{
    glob_t found;
    vkb_status status = VKB_OK;
    const int result = glob(pattern, 0, NULL, &found);
    if (result == GLOB_NOMATCH)
        return vkb_fail(ctx, VKB_BAD_FILE, "%s: no file matches it", pattern);
    if (result != 0)
        return vkb_fail(ctx, VKB_BAD_FILE, "%s: cannot be searched for", pattern);
    for (size_t i = 0; i < found.gl_pathc && status == VKB_OK; i++)
        status = add_path(ctx, found.gl_pathv[i], 0, files);
    globfree(&found);
    return status;
}

vkb_status corpus_files_add(vkb_context *ctx, const char *path, corpus_files *files)
{
    const size_t before = files->count;
    struct stat st = {0};
    if (strcmp(path, "-") == 0)
        return add_file(ctx, path, path, true, &st, files);
    // A file whose name holds a star is that file.
    const bool is_glob = strpbrk(path, "*?[") && stat(path, &st) != 0;
    vkb_status status = is_glob ? add_glob(ctx, path, files) : add_path(ctx, path, 0, files);
    if (status == VKB_OK && files->count == before)
        status = vkb_fail(ctx, VKB_BAD_FILE, "%s: there is no file in this folder", path);
    return status;
}

void corpus_files_free(corpus_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        free((char *)files->at[i].path);
    free(files->at);
    *files = (corpus_files){0};
}
