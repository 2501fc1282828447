// pytorch_model.bin before PyTorch 1.6: pickles of a magic number, the protocol, the machine, the state
// dict and the keys of its storages; then for each key a count of 8 bytes and its elements.
#include "hf/torch.h"

#include <stdlib.h>
#include <string.h>

#define MAGIC_BYTES 15 // weights.c has seen them
#define PROTOCOL 1001

static int compare_keys(const void *a_, const void *b_)
{
    const pickle_value *a = &(*(pickle_storage *const *)a_)->key,
                       *b = &(*(pickle_storage *const *)b_)->key;
    size_t bytes = a->bytes < b->bytes ? a->bytes : b->bytes;
    int order = memcmp(a->is.text, b->is.text, bytes);
    return order ? order : a->bytes < b->bytes ? -1 : a->bytes > b->bytes;
}

// The storage of `key` at *at: its count, its elements. All mentions of it are placed there; sorted
// is of all mentions, by key.
static vkb_status place_legacy_storage(const torch_reader *r, pickle_value key,
                                       pickle_storage **sorted, const uint8_t **at)
{
    const size_t count = r->pickle.storages.count;
    const uint8_t *const end = r->map->data + r->map->bytes;
    pickle_storage wanted = {.key = key}, *pointer = &wanted;
    pickle_storage **first = bsearch(&pointer, sorted, count, sizeof(*sorted), compare_keys);
    if (!first)
        return vkb_fail(r->ctx, VKB_BAD_FILE, "%s: storage %s belongs to no tensor", r->path,
                        torch_shown(key).text);
    while (first > sorted && compare_keys(first - 1, &pointer) == 0)
        first--;
    const uint64_t each = hf_dtype_bits((*first)->dtype) / 8;
    uint64_t elements = 0;
    if ((size_t)(end - *at) >= 8)
        for (int i = 7; i >= 0; i--)
            elements = elements << 8 | (*at)[i];
    if ((size_t)(end - *at) < 8 || elements > ((size_t)(end - *at) - 8) / each)
        return vkb_fail(r->ctx, VKB_BAD_FILE, "%s: is truncated: storage %s is cut off", r->path,
                        torch_shown(key).text);
    vkb_status status = VKB_OK;
    for (; first < sorted + count && compare_keys(first, &pointer) == 0; first++) {
        if ((*first)->data)
            return vkb_fail(r->ctx, VKB_BAD_FILE, "%s: storage %s is there twice", r->path,
                            torch_shown(key).text);
        (*first)->data = *at + 8;
        if ((status = torch_check_storage(r, *first, elements * each)) != VKB_OK)
            return status;
    }
    *at += 8 + elements * each;
    return VKB_OK;
}

static vkb_status place_legacy_storages(torch_reader *r, pickle_value keys, const uint8_t *at)
{
    const size_t count = r->pickle.storages.count;
    vkb_status status = pickle_charge(&r->pickle, count * sizeof(pickle_storage *));
    pickle_storage **sorted =
        status == VKB_OK ? malloc((count + 1) * sizeof(pickle_storage *)) : NULL;
    if (!sorted)
        return status == VKB_OK ? vkb_fail_memory(r->ctx, count, "a list of storages") : status;
    for (size_t i = 0; i < count; i++)
        sorted[i] = &r->pickle.storages.at[i];
    qsort(sorted, count, sizeof(*sorted), compare_keys);
    const pickle_items *list = pickle_items_of(&r->pickle, keys);
    for (size_t i = 0; i < list->count && status == VKB_OK; i++)
        status = list->at[i].kind == PICKLE_STRING
                     ? place_legacy_storage(r, list->at[i], sorted, &at)
                     : vkb_fail(r->ctx, VKB_BAD_FILE, "%s: the key of a storage is not a string",
                                r->path);
    for (size_t i = 0; i < count && status == VKB_OK; i++)
        if (!sorted[i]->data)
            status = vkb_fail(r->ctx, VKB_BAD_FILE, "%s: storage %s is missing", r->path,
                              torch_shown(sorted[i]->key).text);
    free(sorted);
    return status;
}

vkb_status torch_read_legacy(torch_reader *r)
{
    pickle *p = &r->pickle;
    const char *path = r->path;
    const uint8_t *at = r->map->data + MAGIC_BYTES, *end = r->map->data + r->map->bytes;
    pickle_value protocol, machine, keys;
    vkb_status status;
    BASE_TRY(pickle_read(p, at, end, &protocol, &at));
    if (protocol.kind != PICKLE_INT || protocol.is.integer != PROTOCOL)
        return vkb_fail(r->ctx, VKB_BAD_FILE,
                        "%s: is of another protocol of PyTorch's old files, expected %d", path,
                        PROTOCOL);
    BASE_TRY(pickle_read(p, at, end, &machine, &at));
    const pickle_value *little = pickle_member(p, machine, "little_endian");
    if (!little || little->kind != PICKLE_BOOL || !little->is.integer)
        return torch_big_endian(r);
    BASE_TRY(pickle_read(p, at, end, &r->root, &at));
    BASE_TRY(pickle_read(p, at, end, &keys, &at));
    if (keys.kind != PICKLE_LIST)
        return vkb_fail(r->ctx, VKB_BAD_FILE, "%s: has no list of storages behind its state dict",
                        path);
    status = place_legacy_storages(r, keys, at);
cleanup:
    return status;
}
