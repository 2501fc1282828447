// The list of formats, and what else is found under a weights file's name.
#include "hf/weights.h"

#include "base/file.h"
#include "hf/bundle.h"

#include <string.h>

typedef vkb_status (*open_fn)(vkb_context *ctx, const char *path, hf_weights *out);

// By a file's first bytes, white space aside. safetensors and TensorFlow's index have none of their
// own.
static const struct {
    const char *start;
    size_t bytes;
    open_fn open;
    const char *otherwise; // what the file is, and what to do
} kinds[] = {
#define KIND(start, open, otherwise)                                                               \
    {                                                                                              \
        start, sizeof(start) - 1, open, otherwise                                                  \
    }
    KIND("PK\3\4", hf_torch_zip_weights, NULL),
    KIND("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e", hf_torch_legacy_weights,
         NULL), // a pickle of torch's magic number
    KIND("\x80", NULL,
         "is a pickle, but not of torch.save: save the model's state_dict with torch.save"),
    KIND("version https://git-lfs", NULL,
         "is a git-lfs pointer, not the weights: fetch them with `git lfs pull`"),
    KIND("<", NULL,
         "is a page of HTML or XML, not the weights: a server sent it instead, fetch them again"),
#undef KIND
};

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

// A length below 2^56 and a header: nothing else starts so.
static bool is_safetensors(const file_map *map)
{
    return map->bytes > 8 && map->data[7] == 0 && map->data[8] == '{';
}

static vkb_status find_format(vkb_context *ctx, const char *path, const file_map *map,
                              open_fn *format)
{
    size_t at = 0;
    const bool is_index = hf_bundle_is_index(path);
    *format = is_index ? hf_bundle_weights : hf_safetensors_weights;
    if (map->bytes == 0)
        return vkb_fail(ctx, VKB_BAD_FILE, "%s: is empty, expected a model's weights", path);
    if (!is_index && is_safetensors(map))
        return VKB_OK;
    while (at < map->bytes && at < 64 && strchr(" \t\r\n", map->data[at]) && map->data[at])
        at++;
    for (size_t i = 0; i < BASE_COUNT(kinds); i++)
        if (map->bytes - at >= kinds[i].bytes &&
            memcmp(map->data + at, kinds[i].start, kinds[i].bytes) == 0) {
            *format = kinds[i].open;
            return *format ? VKB_OK
                           : vkb_fail(ctx, VKB_BAD_FILE, "%s: %s", path, kinds[i].otherwise);
        }
    if (is_index || ends_with(path, ".safetensors"))
        return VKB_OK; // the format says what is wrong
    return vkb_fail(ctx, VKB_BAD_FILE,
                    "%s: is neither safetensors nor a file of torch.save: fetch the weights again",
                    path);
}

vkb_status hf_weights_open(vkb_context *ctx, const char *path, hf_weights *out)
{
    file_map map = {0};
    open_fn format = NULL;
    vkb_status status = file_map_open(ctx, path, &map);
    if (status != VKB_OK)
        return status;
    status = find_format(ctx, path, &map, &format);
    file_map_close(&map);
    return status == VKB_OK ? format(ctx, path, out) : status;
}

void hf_weights_close(hf_weights *weights)
{
    if (weights->close)
        weights->close(weights->file);
    *weights = (hf_weights){0};
}

const hf_tensor *hf_weights_find(const hf_weights *weights, const char *name)
{
    return hf_tensor_find(weights->tensors, weights->tensor_count, name);
}
