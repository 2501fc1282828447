// Reading: the index's entries become a list, which is checked as a whole, then against the data.
#include "hf/bundle.h"

#include "base/array.h"
#include "base/crc32c.h"
#include "base/file.h"
#include "base/thread.h"
#include "hf/bundle_entry.h"
#include "hf/sstable.h"
#include "hf/weights.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct bundle_shard {
    uint32_t id;
    char *path;
    file_map map;
} bundle_shard;

typedef struct bundle {
    vkb_context *ctx;
    char *path;
    uint32_t shard_count; // of the checkpoint; those that hold a tensor are in `shards`
    struct {
        bundle_entry *at; // while it is read
        size_t count, capacity;
    } entries;
    struct {
        bundle_shard *at;
        size_t count, capacity;
    } shards;
    size_t names_bytes, names_limit;
    hf_tensor *tensors;
} bundle;

// ---- The index ----

static bool ends_with(const char *text, const char *end)
{
    const size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

// Names share their starts in the index, so that a file could ask for much more memory than it has
// bytes.
static vkb_status copy_name(bundle *b, const hf_sstable_entry *from, char **name)
{
    if (memchr(from->key, 0, from->key_bytes))
        return vkb_fail(b->ctx, VKB_BAD_FILE, "%s: the name of a tensor has a NUL in it: %s",
                        b->path, from->key);
    b->names_bytes += from->key_bytes + 1;
    if (b->names_bytes > b->names_limit)
        return vkb_fail(b->ctx, VKB_BAD_FILE,
                        "%s: is damaged: the names of its tensors are far longer than the file",
                        b->path);
    *name = malloc(from->key_bytes + 1);
    if (!*name)
        return vkb_fail_memory(b->ctx, from->key_bytes + 1, "a name");
    memcpy(*name, from->key, from->key_bytes);
    (*name)[from->key_bytes] = 0;
    return VKB_OK;
}

static vkb_status take_tensor(bundle *b, const hf_sstable_entry *from)
{
    static const char graph[] =
        "_CHECKPOINTABLE_OBJECT_GRAPH"; // an entry that only such a file has
    char *name = NULL;
    if (from->key_bytes == strlen(graph) && memcmp(from->key, graph, strlen(graph)) == 0)
        return vkb_fail(
            b->ctx, VKB_BAD_FILE,
            "%s: is an object-based checkpoint of TensorFlow 2, whose tensors have "
            "other names than BERT's, expected one as Google's bert_model.ckpt: convert "
            "it with transformers, and use the folder that save_pretrained writes",
            b->path);
    if (!array_reserve(&b->entries, b->entries.count + 1))
        return vkb_fail_memory(b->ctx, sizeof(*b->entries.at), "a list of tensors");
    vkb_status status = copy_name(b, from, &name);
    if (status != VKB_OK)
        return status;
    bundle_entry *entry = &b->entries.at[b->entries.count++];
    *entry = (bundle_entry){.tensor.name = name}; // owned from here on
    return bundle_entry_read(b->ctx, b->path, from->value, from->value_bytes, entry);
}

// The first entry, with an empty key, is about the checkpoint. Keys that begin with a NUL are of the
// parts of cut tensors, which are refused by the whole one's entry.
static vkb_status visit_entry(void *bundle_, const hf_sstable_entry *entry)
{
    bundle *b = bundle_;
    if (entry->key_bytes == 0)
        return bundle_header_read(b->ctx, b->path, entry->value, entry->value_bytes,
                                  &b->shard_count);
    if (entry->key[0] == 0)
        return VKB_OK;
    return take_tensor(b, entry);
}

static vkb_status read_index(bundle *b)
{
    file_map map = {0};
    vkb_status status = file_map_open(b->ctx, b->path, &map);
    b->names_limit = 16 * map.bytes;
    if (status == VKB_OK)
        status = hf_sstable_walk(b->ctx, b->path, map.data, map.bytes, visit_entry, b);
    if (status == VKB_OK && b->shard_count == 0)
        status = vkb_fail(b->ctx, VKB_BAD_FILE,
                          "%s: has no header, expected a TensorFlow checkpoint", b->path);
    file_map_close(&map);
    return status;
}

// ---- The training state ----

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const bundle_entry *)a)->tensor.name, ((const bundle_entry *)b)->tensor.name);
}

// TensorFlow's optimisers keep what they know of a variable below its name.
static bool is_slot(const bundle *b, const bundle_entry *entry)
{
    char parent[HF_SSTABLE_KEY_LIMIT + 1];
    const bundle_entry key = {.tensor.name = parent};
    snprintf(parent, sizeof(parent), "%s", entry->tensor.name);
    char *slash = strrchr(parent, '/');
    if (!slash)
        return false;
    *slash = 0;
    return bsearch(&key, b->entries.at, b->entries.count, sizeof(key), compare_names) != NULL;
}

static void drop_training_state(bundle *b)
{
    size_t kept = 0;
    for (size_t i = 0; i < b->entries.count; i++) // sorted, and whole until the second loop
        b->entries.at[i].dropped = b->entries.at[i].text || b->entries.at[i].tensor.rank == 0 ||
                                   is_slot(b, &b->entries.at[i]);
    for (size_t i = 0; i < b->entries.count; i++) {
        if (b->entries.at[i].dropped)
            free((char *)b->entries.at[i].tensor.name);
        else
            b->entries.at[kept++] = b->entries.at[i];
    }
    if (kept < b->entries.count)
        vkb_log(b->ctx, VKB_LOG_DEBUG, "%s: %zu tensors of the training state are left out",
                b->path, b->entries.count - kept);
    b->entries.count = kept;
}

// ---- The data ----

static char *shard_path(const bundle *b, uint32_t id)
{
    const size_t stem = strlen(b->path) - strlen(".index"), room = stem + 48;
    char *path = malloc(room);
    if (path)
        snprintf(path, room, "%.*s.data-%05u-of-%05u", (int)stem, b->path, id, b->shard_count);
    return path;
}

// The shard of the number, opened when it is not yet.
static vkb_status open_shard(bundle *b, uint32_t id, const bundle_shard **out)
{
    for (size_t i = b->shards.count; i-- > 0;)
        if (b->shards.at[i].id == id) {
            *out = &b->shards.at[i];
            return VKB_OK;
        }
    if (!array_reserve(&b->shards, b->shards.count + 1))
        return vkb_fail_memory(b->ctx, sizeof(*b->shards.at), "a list of files");
    bundle_shard *shard = &b->shards.at[b->shards.count++];
    *shard = (bundle_shard){.id = id, .path = shard_path(b, id)};
    *out = shard;
    return shard->path ? file_map_open(b->ctx, shard->path, &shard->map)
                       : vkb_fail_memory(b->ctx, strlen(b->path), "a path");
}

static int compare_places(const void *a_, const void *b_)
{
    const bundle_entry *a = a_, *b = b_;
    if (a->shard != b->shard)
        return a->shard < b->shard ? -1 : 1;
    if (a->offset != b->offset)
        return a->offset < b->offset ? -1 : 1;
    return a->tensor.bytes < b->tensor.bytes ? -1 : a->tensor.bytes > b->tensor.bytes;
}

// Sets tensor->data, once its bytes are known to lie inside the shard; `behind` is where the tensor
// before it ends.
static vkb_status place_tensor(bundle *b, bundle_entry *entry, uint64_t behind)
{
    const bundle_shard *shard = NULL;
    hf_tensor *tensor = &entry->tensor;
    if (entry->shard >= b->shard_count)
        return vkb_fail(b->ctx, VKB_BAD_FILE, "%s: tensor %s is in shard %u, but there are only %u",
                        b->path, tensor->name, entry->shard, b->shard_count);
    vkb_status status = open_shard(b, entry->shard, &shard);
    if (status != VKB_OK)
        return status;
    if (tensor->bytes > shard->map.bytes || entry->offset > shard->map.bytes - tensor->bytes)
        return vkb_fail(b->ctx, VKB_BAD_FILE,
                        "%s: is truncated: tensor %s has %llu bytes at byte %llu, but there are "
                        "only %zu",
                        shard->path, tensor->name, (unsigned long long)tensor->bytes,
                        (unsigned long long)entry->offset, shard->map.bytes);
    if (entry->offset < behind)
        return vkb_fail(b->ctx, VKB_BAD_FILE, "%s: tensor %s starts inside another tensor", b->path,
                        tensor->name);
    tensor->data = shard->map.data ? shard->map.data + entry->offset : NULL;
    tensor->map = shard->map;
    return VKB_OK;
}

// A tensor lies in one shard and in no other tensor, so that checking all of them reads every byte
// once at most.
static vkb_status place_tensors(bundle *b)
{
    uint64_t behind = 0;
    if (b->entries.count)
        qsort(b->entries.at, b->entries.count, sizeof(*b->entries.at), compare_places);
    for (size_t i = 0; i < b->entries.count; i++) {
        bundle_entry *entry = &b->entries.at[i];
        if (i && b->entries.at[i - 1].shard != entry->shard)
            behind = 0;
        vkb_status status = place_tensor(b, entry, behind);
        if (status != VKB_OK)
            return status;
        behind = entry->offset + entry->tensor.bytes;
    }
    return VKB_OK;
}

static void check_sum(void *bundle_, size_t item, uint32_t thread)
{
    (void)thread;
    const bundle *b = bundle_;
    bundle_entry *entry = &b->entries.at[item];
    entry->wrong_sum =
        crc32c_masked(crc32c(0, entry->tensor.data, (size_t)entry->tensor.bytes)) != entry->sum;
}

static vkb_status check_sums(bundle *b)
{
    enum { WORTH_THREADS = 1 << 22 }; // bytes
    uint64_t bytes = 0;
    for (size_t i = 0; i < b->entries.count; i++)
        bytes += b->entries.at[i].tensor.bytes;
    thread_each(bytes < WORTH_THREADS ? 1 : thread_count(0), b->entries.count, check_sum, b);
    for (size_t i = 0; i < b->entries.count; i++)
        if (b->entries.at[i].wrong_sum)
            return vkb_fail(b->ctx, VKB_BAD_FILE,
                            "%s: tensor %s is damaged: its bytes do not have the checksum of the "
                            "index",
                            b->path, b->entries.at[i].tensor.name);
    return VKB_OK;
}

// ---- As one of the formats ----

bool hf_bundle_is_index(const char *path)
{
    return ends_with(path, ".index");
}

static void transpose(hf_tensor *tensor)
{
    const uint64_t in = tensor->shape[0], out = tensor->shape[1];
    tensor->strided = true;
    tensor->shape[0] = out;
    tensor->shape[1] = in;
    tensor->stride[0] = 1;
    tensor->stride[1] = out;
}

// The names go over to the tensors.
static vkb_status list_tensors(bundle *b)
{
    const size_t count = b->entries.count;
    b->tensors = calloc(count + 1, sizeof(*b->tensors));
    if (!b->tensors)
        return vkb_fail_memory(b->ctx, (count + 1) * sizeof(*b->tensors), "a list of tensors");
    for (size_t i = 0; i < count; i++) {
        b->tensors[i] = b->entries.at[i].tensor;
        if (b->tensors[i].rank == 2 && ends_with(b->tensors[i].name, "/kernel"))
            transpose(&b->tensors[i]);
    }
    qsort(b->tensors, count, sizeof(*b->tensors), hf_tensor_compare);
    return VKB_OK;
}

static vkb_status read_bundle(bundle *b)
{
    vkb_status status;
    BASE_TRY(read_index(b));
    drop_training_state(b);
    for (size_t i = 0; i < b->entries.count; i++)
        if (b->entries.at[i].slices) {
            status =
                vkb_fail(b->ctx, VKB_BAD_FILE,
                         "%s: tensor %s is cut into %zu slices (a partitioned variable), which "
                         "vkbert does not join: save the checkpoint without a partitioner",
                         b->path, b->entries.at[i].tensor.name, b->entries.at[i].slices);
            goto cleanup;
        }
    BASE_TRY(place_tensors(b));
    BASE_TRY(check_sums(b));
    status = list_tensors(b);
cleanup:
    return status;
}

static void bundle_close(void *bundle_)
{
    bundle *b = bundle_;
    for (size_t i = 0; i < b->entries.count; i++)
        free((char *)b->entries.at[i].tensor.name);
    for (size_t i = 0; i < b->shards.count; i++) {
        file_map_close(&b->shards.at[i].map);
        free(b->shards.at[i].path);
    }
    free(b->entries.at);
    free(b->shards.at);
    free(b->tensors);
    free(b->path);
    free(b);
}

vkb_status hf_bundle_weights(vkb_context *ctx, const char *path, hf_weights *out)
{
    assert(hf_bundle_is_index(path));
    bundle *b = calloc(1, sizeof(*b));
    if (!b)
        return vkb_fail_memory(ctx, sizeof(*b), path);
    b->ctx = ctx;
    b->path = strdup(path);
    vkb_status status = b->path ? read_bundle(b) : vkb_fail_memory(ctx, strlen(path), "a path");
    if (status == VKB_OK)
        *out = (hf_weights){b->path, b->tensors, b->entries.count, b, bundle_close};
    else
        bundle_close(b);
    return status;
}
