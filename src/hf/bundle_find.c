// Which of a folder's TensorFlow checkpoints is meant.
#include "hf/bundle.h"

#include "base/array.h"
#include "base/file.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENDING ".index"

typedef struct name_list {
    char **at; // sorted; of checkpoints, without .index
    size_t count, capacity;
} name_list;

static void names_free(name_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->at[i]);
    free(list->at);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool add_name(name_list *list, const char *file)
{
    const size_t length = strlen(file), stem = length - strlen(ENDING);
    if (length < sizeof(ENDING) || strcmp(file + stem, ENDING) != 0)
        return true;
    if (!array_reserve(list, list->count + 1))
        return false;
    list->at[list->count] = strndup(file, stem);
    return list->at[list->count++] != NULL;
}

static vkb_status list_checkpoints(vkb_context *ctx, const char *folder, name_list *list)
{
    bool ok = true;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && ok && (entry = readdir(dir));)
        ok = add_name(list, entry->d_name);
    if (dir)
        closedir(dir);
    if (!ok)
        return vkb_fail_memory(ctx, sizeof(*list->at), folder);
    if (list->count)
        qsort(list->at, list->count, sizeof(*list->at), compare_names);
    return VKB_OK;
}

// The file `checkpoint`, a line of which is
//     model_checkpoint_path: "bert_model.ckpt-1000"
// with the path where the model was trained: its last part counts. *name is freed with free(), NULL
// when there is no such line.
static vkb_status read_newest(vkb_context *ctx, const char *folder, char **name)
{
    static const char key[] = "model_checkpoint_path:";
    char *path = path_join(folder, "checkpoint"), *text = NULL;
    vkb_status status = VKB_OK;
    if (!path)
        return vkb_fail_memory(ctx, strlen(folder), "a path");
    if (!file_exists(path) || file_is_folder(path))
        goto cleanup;
    BASE_TRY(file_read(ctx, path, &text, NULL));
    for (char *rest, *line = strtok_r(text, "\r\n", &rest); line && !*name;
         line = strtok_r(NULL, "\r\n", &rest)) {
        line += strspn(line, " \t");
        if (strncmp(line, key, strlen(key)) != 0)
            continue;
        char *from = strchr(line, '"'), *to = strrchr(line, '"');
        if (!from || from == to)
            continue;
        *to = 0;
        char *slash = strrchr(from + 1, '/');
        *name = strdup(slash ? slash + 1 : from + 1);
        if (!*name)
            BASE_TRY(vkb_fail_memory(ctx, strlen(from), "a name"));
    }
cleanup:
    free(text);
    free(path);
    return status;
}

static vkb_status fail_several(vkb_context *ctx, const char *folder, const name_list *list)
{
    enum { SHOWN = 8 };
    char text[1024] = "";
    size_t used = 0;
    for (size_t i = 0; i < list->count && i < SHOWN && used < sizeof(text); i++)
        used +=
            (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", i ? ", " : "", list->at[i]);
    return vkb_fail(ctx, VKB_BAD_FILE,
                    "%s: has %zu TensorFlow checkpoints: %s%s: keep one, or name it in the file "
                    "`checkpoint`, as model_checkpoint_path: \"%s\"",
                    folder, list->count, text, list->count > SHOWN ? ", ..." : "",
                    list->at[list->count - 1]);
}

static vkb_status choose(vkb_context *ctx, const char *folder, const name_list *list, char **name)
{
    char *newest = NULL;
    vkb_status status = read_newest(ctx, folder, &newest);
    if (status == VKB_OK && newest &&
        bsearch(&newest, list->at, list->count, sizeof(*list->at), compare_names)) {
        *name = newest;
        return VKB_OK;
    }
    free(newest);
    if (status != VKB_OK)
        return status;
    if (list->count > 1)
        return fail_several(ctx, folder, list);
    *name = strdup(list->at[0]);
    return *name ? VKB_OK : vkb_fail_memory(ctx, strlen(list->at[0]), "a name");
}

// Puts .index behind *name.
static bool add_ending(char **name)
{
    const size_t length = strlen(*name);
    char *longer = realloc(*name, length + sizeof(ENDING));
    if (!longer)
        return false;
    memcpy(longer + length, ENDING, sizeof(ENDING));
    *name = longer;
    return true;
}

vkb_status hf_bundle_find(vkb_context *ctx, const char *folder, char **index)
{
    name_list list = {0};
    char *name = NULL;
    vkb_status status;
    *index = NULL;
    BASE_TRY(list_checkpoints(ctx, folder, &list));
    if (list.count) {
        BASE_TRY(choose(ctx, folder, &list, &name));
        *index = add_ending(&name) ? path_join(folder, name) : NULL;
    } else {
        *index = path_join(folder, "variables/variables" ENDING); // of a SavedModel
    }
    if (!*index) {
        status = vkb_fail_memory(ctx, strlen(folder), "a path");
    } else if (!list.count && !file_exists(*index)) {
        free(*index);
        *index = NULL;
    }
cleanup:
    free(name);
    names_free(&list);
    return status;
}
