// The reader: every rule of the format is checked here, so that nobody behind it meets an offset
// outside the file, a shape that is not the data's, or a name twice.
#include "hf/safetensors.h"

#include "hf/json.h"
#include "hf/weights.h"

#include <stdlib.h>
#include <string.h>

#define HEADER_LIMIT 100000000 // the reference implementation's

static uint64_t read_u64(const uint8_t *at)
{
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--)
        value = value << 8 | at[i];
    return value;
}

// Finds the header; *header_bytes is its length.
static vkb_status check_frame(vkb_context *ctx, const hf_safetensors *file, size_t *header_bytes)
{
    const file_map *map = &file->map;
    if (map->bytes < 8)
        return vkb_fail(ctx, VKB_BAD_FILE, "%s: has %zu bytes, too few for a safetensors file",
                        file->path, map->bytes);
    uint64_t bytes = read_u64(map->data);
    if (bytes > HEADER_LIMIT)
        return vkb_fail(ctx, VKB_BAD_FILE,
                        "%s: its header would be %llu bytes long, at most %d are allowed: not a "
                        "safetensors file",
                        file->path, (unsigned long long)bytes, HEADER_LIMIT);
    if (bytes > map->bytes - 8)
        return vkb_fail(ctx, VKB_BAD_FILE,
                        "%s: is truncated: its header is %llu bytes long, but only %zu follow",
                        file->path, (unsigned long long)bytes, map->bytes - 8);
    if (bytes == 0 || map->data[8] != '{')
        return vkb_fail(ctx, VKB_BAD_FILE,
                        "%s: its header does not start with '{': not a safetensors file",
                        file->path);
    *header_bytes = (size_t)bytes;
    return VKB_OK;
}

static vkb_status parse_header(vkb_context *ctx, hf_safetensors *file, size_t bytes)
{
    char *text = malloc(bytes + 1); // cJSON needs the NUL
    if (!text)
        return vkb_fail_memory(ctx, bytes + 1, "a safetensors header");
    memcpy(text, file->map.data + 8, bytes);
    text[bytes] = 0;
    vkb_status status = hf_json_parse(ctx, file->path, text, bytes, &file->header);
    free(text);
    return status;
}

static vkb_status check_metadata(vkb_context *ctx, const hf_safetensors *file, const cJSON *entry)
{
    const cJSON *item;
    if (!cJSON_IsObject(entry) && !cJSON_IsNull(entry))
        return hf_json_unexpected(ctx, file->path, "__metadata__", entry, "an object of strings");
    cJSON_ArrayForEach(item, entry)
    {
        if (!cJSON_IsString(item))
            return vkb_fail(ctx, VKB_BAD_FILE, "%s: __metadata__: %s is not a string", file->path,
                            item->string);
    }
    return VKB_OK;
}

static vkb_status read_shape(vkb_context *ctx, const hf_safetensors *file, const cJSON *shape,
                             hf_tensor *tensor)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, shape)
    {
        if (tensor->rank == HF_MAX_RANK)
            return vkb_fail(ctx, VKB_BAD_FILE, "%s: tensor %s has more than %d dimensions",
                            file->path, tensor->name, HF_MAX_RANK);
        if (!hf_json_integer(item, &tensor->shape[tensor->rank++]))
            return vkb_fail(ctx, VKB_BAD_FILE,
                            "%s: tensor %s: dimension %u is not a whole number of 0 or more",
                            file->path, tensor->name, tensor->rank);
    }
    if (!hf_tensor_measure(tensor))
        return vkb_fail(ctx, VKB_BAD_FILE, "%s: tensor %s: the size of %s %s overflows", file->path,
                        tensor->name, hf_dtype_name(tensor->dtype),
                        hf_shape(tensor->rank, tensor->shape).text);
    return VKB_OK;
}

// Sets tensor->data, once its bytes are known to lie inside the file's data.
static vkb_status read_offsets(vkb_context *ctx, const hf_safetensors *file, const cJSON *offsets,
                               const uint8_t *data, hf_tensor *tensor)
{
    uint64_t begin, end, data_bytes = (uint64_t)(file->map.data + file->map.bytes - data);
    if (cJSON_GetArraySize(offsets) != 2 || !hf_json_integer(offsets->child, &begin) ||
        !hf_json_integer(offsets->child->next, &end) || end < begin)
        return vkb_fail(ctx, VKB_BAD_FILE,
                        "%s: tensor %s: data_offsets is not [begin,end] with begin <= end",
                        file->path, tensor->name);
    if (end - begin != tensor->bytes)
        return vkb_fail(ctx, VKB_BAD_FILE,
                        "%s: tensor %s has %llu bytes of data, expected %llu for %s %s", file->path,
                        tensor->name, (unsigned long long)(end - begin),
                        (unsigned long long)tensor->bytes, hf_dtype_name(tensor->dtype),
                        hf_shape(tensor->rank, tensor->shape).text);
    if (end > data_bytes)
        return vkb_fail(ctx, VKB_BAD_FILE,
                        "%s: is truncated: tensor %s ends at byte %llu of the data, but there are "
                        "only %llu",
                        file->path, tensor->name, (unsigned long long)end,
                        (unsigned long long)data_bytes);
    tensor->data = data + begin;
    tensor->map = file->map;
    return VKB_OK;
}

// One entry of the header; data is where the file's data starts.
static vkb_status read_entry(vkb_context *ctx, const hf_safetensors *file, const cJSON *entry,
                             const uint8_t *data, hf_tensor *tensor)
{
    const char *name = entry->string;
    const cJSON *dtype = hf_json_member(entry, "dtype"), *shape = hf_json_member(entry, "shape"),
                *offsets = hf_json_member(entry, "data_offsets");
    *tensor = (hf_tensor){.name = name};
    if (!cJSON_IsObject(entry) || !cJSON_IsString(dtype) || !cJSON_IsArray(shape) ||
        !cJSON_IsArray(offsets))
        return vkb_fail(ctx, VKB_BAD_FILE,
                        "%s: tensor %s lacks dtype, shape or data_offsets in the header",
                        file->path, name);
    if (!hf_dtype_find(dtype->valuestring, &tensor->dtype))
        return vkb_fail(ctx, VKB_BAD_FILE, "%s: tensor %s has the unknown dtype %s", file->path,
                        name, dtype->valuestring);
    vkb_status status = read_shape(ctx, file, shape, tensor);
    return status == VKB_OK ? read_offsets(ctx, file, offsets, data, tensor) : status;
}

static int compare_places(const void *a_, const void *b_)
{
    const hf_tensor *a = a_, *b = b_;
    if (a->data != b->data)
        return a->data < b->data ? -1 : 1;
    return a->bytes < b->bytes ? -1 : a->bytes > b->bytes; // empty ones first
}

// The tensors fill the data from its first byte to its last without a hole.
static vkb_status check_places(vkb_context *ctx, hf_safetensors *file, const uint8_t *data)
{
    const uint8_t *at = data, *end = file->map.data + file->map.bytes;
    qsort(file->tensors, file->tensor_count, sizeof(*file->tensors), compare_places);
    for (size_t i = 0; i < file->tensor_count; i++) {
        const hf_tensor *tensor = &file->tensors[i];
        if (tensor->data != at)
            return vkb_fail(ctx, VKB_BAD_FILE,
                            "%s: tensor %s starts at byte %llu of the data, %s, expected %llu",
                            file->path, tensor->name, (unsigned long long)(tensor->data - data),
                            tensor->data > at ? "leaving a hole" : "inside another tensor",
                            (unsigned long long)(at - data));
        at += tensor->bytes;
    }
    if (at != end)
        return vkb_fail(ctx, VKB_BAD_FILE, "%s: has %llu bytes behind its last tensor", file->path,
                        (unsigned long long)(end - at));
    return VKB_OK;
}

static vkb_status read_header(vkb_context *ctx, hf_safetensors *file)
{
    size_t header_bytes = 0;
    vkb_status status = check_frame(ctx, file, &header_bytes);
    if (status == VKB_OK)
        status = parse_header(ctx, file, header_bytes);
    if (status != VKB_OK)
        return status;

    const uint8_t *data = file->map.data + 8 + header_bytes;
    size_t room = (size_t)cJSON_GetArraySize(file->header) + 1;
    file->tensors = calloc(room, sizeof(*file->tensors));
    if (!file->tensors)
        return vkb_fail_memory(ctx, room * sizeof(*file->tensors), "a list of tensors");
    const cJSON *entry;
    cJSON_ArrayForEach(entry, file->header)
    {
        if (strcmp(entry->string, "__metadata__") == 0)
            status = check_metadata(ctx, file, entry);
        else
            status = read_entry(ctx, file, entry, data, &file->tensors[file->tensor_count++]);
        if (status != VKB_OK)
            return status;
    }
    status = check_places(ctx, file, data);
    qsort(file->tensors, file->tensor_count, sizeof(*file->tensors), hf_tensor_compare);
    return status;
}

vkb_status hf_safetensors_open(vkb_context *ctx, const char *path, hf_safetensors *out)
{
    hf_safetensors file = {.path = strdup(path)};
    vkb_status status = file.path ? file_map_open(ctx, path, &file.map)
                                  : vkb_fail_memory(ctx, strlen(path), "a path");
    if (status == VKB_OK)
        status = read_header(ctx, &file);
    if (status == VKB_OK)
        *out = file;
    else
        hf_safetensors_close(&file);
    return status;
}

void hf_safetensors_close(hf_safetensors *file)
{
    cJSON_Delete(file->header);
    free(file->tensors);
    free(file->path);
    file_map_close(&file->map);
    *file = (hf_safetensors){0};
}

const hf_tensor *hf_safetensors_find(const hf_safetensors *file, const char *name)
{
    return hf_tensor_find(file->tensors, file->tensor_count, name);
}

const char *hf_safetensors_metadata(const hf_safetensors *file, const char *key)
{
    const cJSON *metadata = hf_json_member(file->header, "__metadata__");
    const cJSON *item = hf_json_member(metadata, key);
    return item ? item->valuestring : NULL;
}

// ---- As one of the formats ----

static void weights_close(void *file)
{
    hf_safetensors_close(file);
    free(file);
}

vkb_status hf_safetensors_weights(vkb_context *ctx, const char *path, hf_weights *out)
{
    hf_safetensors *file = malloc(sizeof(*file));
    if (!file)
        return vkb_fail_memory(ctx, sizeof(*file), path);
    vkb_status status = hf_safetensors_open(ctx, path, file);
    if (status == VKB_OK)
        *out = (hf_weights){file->path, file->tensors, file->tensor_count, file, weights_close};
    else
        free(file);
    return status;
}
