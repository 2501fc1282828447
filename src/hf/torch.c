// pytorch_model.bin as a list of tensors in the mapped file. pickle.c knows what a pickle may say,
// torch_zip.c and torch_legacy.c the two containers; here is what tensors mean, and that they lie in
// their storages.
#include "hf/torch.h"

#include "hf/weights.h"

#include <stdlib.h>
#include <string.h>

#define NAME_LIMIT 512 // BERT's longest tensor name has 55 bytes

typedef struct torch_file {
    char *path;
    file_map map;
    hf_tensor *tensors; // sorted by name
    size_t tensor_count;
    char *names; // of the tensors
} torch_file;

// ---- For the containers ----

hf_shown_text torch_shown(pickle_value text)
{
    return hf_shown(text.is.text, text.bytes);
}

vkb_status torch_big_endian(const torch_reader *r)
{
    return vkb_fail(r->ctx, VKB_BAD_FILE,
                    "%s: was saved on a big-endian machine, expected little-endian numbers",
                    r->path);
}

vkb_status torch_check_storage(const torch_reader *r, const pickle_storage *storage, uint64_t bytes)
{
    const uint64_t each = hf_dtype_bits(storage->dtype) / 8;
    if (storage->count == bytes / each && bytes % each == 0)
        return VKB_OK;
    return vkb_fail(r->ctx, VKB_BAD_FILE,
                    "%s: storage %s has %llu bytes, expected %llu elements of %s", r->path,
                    torch_shown(storage->key).text, (unsigned long long)bytes,
                    (unsigned long long)storage->count, hf_dtype_name(storage->dtype));
}

// ---- Tensors ----

static vkb_status refuse_tensor(const torch_reader *r, pickle_value name, const char *what)
{
    return vkb_fail(r->ctx, VKB_BAD_FILE, "%s: tensor %s %s", r->path, torch_shown(name).text,
                    what);
}

// Whether elements lie one behind the other, last index fastest.
static bool is_contiguous(const hf_tensor *tensor)
{
    uint64_t expected = 1;
    for (uint32_t i = tensor->rank; i-- > 0 && tensor->count;) {
        if (tensor->shape[i] != 1 && tensor->stride[i] != expected)
            return false;
        expected *= tensor->shape[i];
    }
    return true;
}

// Whether every element lies in the storage: offset + sum (size - 1) stride < count.
static bool is_inside(const hf_tensor *tensor, uint64_t offset, uint64_t count)
{
    if (tensor->count == 0)
        return offset <= count;
    if (offset >= count)
        return false;
    for (uint32_t i = 0; i < tensor->rank; i++) {
        if (tensor->stride[i] && tensor->shape[i] - 1 > (count - 1 - offset) / tensor->stride[i])
            return false;
        offset += (tensor->shape[i] - 1) * tensor->stride[i];
    }
    return true;
}

static vkb_status read_shape(const torch_reader *r, pickle_value name, const pickle_items *sizes,
                             const pickle_items *strides, hf_tensor *tensor)
{
    if (sizes->count > HF_MAX_RANK)
        return refuse_tensor(r, name, "has more than 8 dimensions");
    if (sizes->count != strides->count)
        return refuse_tensor(r, name, "has not as many strides as dimensions");
    tensor->rank = (uint32_t)sizes->count;
    for (size_t i = 0; i < sizes->count; i++) {
        if (sizes->at[i].kind != PICKLE_INT || sizes->at[i].is.integer < 0 ||
            strides->at[i].kind != PICKLE_INT || strides->at[i].is.integer < 0)
            return refuse_tensor(r, name,
                                 "has a size or stride that is not a whole number of 0 or more");
        tensor->shape[i] = (uint64_t)sizes->at[i].is.integer;
        tensor->stride[i] = (uint64_t)strides->at[i].is.integer;
    }
    return hf_tensor_measure(tensor) ? VKB_OK : refuse_tensor(r, name, "has a size that overflows");
}

// value: of the state dict, under `name`.
static vkb_status read_tensor(const torch_reader *r, pickle_value name, pickle_value value,
                              hf_tensor *tensor)
{
    if (value.kind != PICKLE_TENSOR)
        return refuse_tensor(r, name, "is something else than a tensor, expected a state dict");
    const pickle_value *a = pickle_items_of(&r->pickle, value)->at; // checked by pickle.c
    const pickle_storage *storage = &r->pickle.storages.at[a[0].is.index];
    const uint64_t offset = (uint64_t)a[1].is.integer;
    tensor->dtype = storage->dtype;
    vkb_status status = read_shape(r, name, pickle_items_of(&r->pickle, a[2]),
                                   pickle_items_of(&r->pickle, a[3]), tensor);
    if (status != VKB_OK)
        return status;
    // More elements than the storage has: an expanded tensor, which could be of any size.
    if (!is_inside(tensor, offset, storage->count) || tensor->count > storage->count)
        return refuse_tensor(r, name, "reaches outside its storage");
    tensor->strided = !is_contiguous(tensor);
    tensor->data = storage->data + offset * (hf_dtype_bits(tensor->dtype) / 8);
    tensor->map = *r->map;
    return VKB_OK;
}

// Copies name to *at, which moves behind its NUL.
static vkb_status read_name(const torch_reader *r, pickle_value name, char **at)
{
    if (name.kind != PICKLE_STRING)
        return vkb_fail(r->ctx, VKB_BAD_FILE, "%s: the name of a tensor is not a string", r->path);
    if (name.bytes > NAME_LIMIT || hf_utf8_valid(name.is.text, name.bytes) < name.bytes ||
        (name.bytes && memchr(name.is.text, 0, name.bytes)))
        return refuse_tensor(r, name, "has a name that is too long or not text");
    memcpy(*at, name.is.text, name.bytes);
    (*at)[name.bytes] = 0;
    *at += name.bytes + 1;
    return VKB_OK;
}

// What was saved is a state dict, or what a training framework keeps with one inside.
static pickle_value find_state_dict(const torch_reader *r)
{
    static const char *const keys[] = {"state_dict", "model"};
    for (size_t i = 0; i < BASE_COUNT(keys); i++) {
        const pickle_value *inner = pickle_member(&r->pickle, r->root, keys[i]);
        if (inner && inner->kind == PICKLE_DICT)
            return *inner;
    }
    return r->root;
}

static vkb_status list_tensors(torch_reader *r, torch_file *file)
{
    const pickle_value dict = find_state_dict(r);
    if (dict.kind != PICKLE_DICT)
        return vkb_fail(r->ctx, VKB_BAD_FILE, "%s: holds no dict, expected a state dict", r->path);
    const pickle_items *items = pickle_items_of(&r->pickle, dict);
    const size_t count = items->count / 2;
    size_t bytes = count * sizeof(*file->tensors), names = 0;
    for (size_t i = 0; i < count; i++)
        names += items->at[2 * i].kind == PICKLE_STRING ? (size_t)items->at[2 * i].bytes + 1 : 0;
    vkb_status status = pickle_charge(&r->pickle, bytes + names);
    if (status != VKB_OK)
        return status;
    file->names = malloc(names + 1);
    file->tensors = calloc(count + 1, sizeof(*file->tensors));
    if (!file->names || !file->tensors)
        return vkb_fail_memory(r->ctx, bytes + names, r->path);
    char *at = file->names;
    for (size_t i = 0; i < count; i++) {
        const pickle_value name = items->at[2 * i], value = items->at[2 * i + 1];
        file->tensors[i].name = at;
        if ((status = read_name(r, name, &at)) != VKB_OK ||
            (status = read_tensor(r, name, value, &file->tensors[i])) != VKB_OK)
            return status;
    }
    file->tensor_count = count;
    qsort(file->tensors, count, sizeof(*file->tensors), hf_tensor_compare);
    for (size_t i = 1; i < count; i++)
        if (hf_tensor_compare(&file->tensors[i - 1], &file->tensors[i]) == 0)
            return vkb_fail(r->ctx, VKB_BAD_FILE, "%s: tensor %s is there twice", r->path,
                            file->tensors[i].name);
    return VKB_OK;
}

// ---- As one of the formats ----

static void torch_close(void *file_)
{
    torch_file *file = file_;
    file_map_close(&file->map);
    free(file->tensors);
    free(file->names);
    free(file->path);
    free(file);
}

static vkb_status torch_open(vkb_context *ctx, const char *path,
                             vkb_status (*read_container)(torch_reader *r), hf_weights *out)
{
    torch_file *file = calloc(1, sizeof(*file));
    if (!file)
        return vkb_fail_memory(ctx, sizeof(*file), path);
    torch_reader r = {.ctx = ctx, .path = path, .map = &file->map};
    vkb_status status;
    file->path = strdup(path);
    BASE_TRY(file->path ? VKB_OK : vkb_fail_memory(ctx, strlen(path), "a path"));
    BASE_TRY(file_map_open(ctx, path, &file->map));
    pickle_init(&r.pickle, ctx, path, file->map.data, file->map.bytes);
    BASE_TRY(read_container(&r));
    BASE_TRY(list_tensors(&r, file));
    *out = (hf_weights){file->path, file->tensors, file->tensor_count, file, torch_close};
cleanup:
    pickle_free(&r.pickle);
    if (status != VKB_OK)
        torch_close(file);
    return status;
}

vkb_status hf_torch_zip_weights(vkb_context *ctx, const char *path, hf_weights *out)
{
    return torch_open(ctx, path, torch_read_zip, out);
}

vkb_status hf_torch_legacy_weights(vkb_context *ctx, const char *path, hf_weights *out)
{
    return torch_open(ctx, path, torch_read_legacy, out);
}
