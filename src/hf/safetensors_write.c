// The writer: the header first, from the list of tensors, then their data as it comes.
#include "hf/safetensors.h"

#include "hf/json.h"

#include <stdlib.h>
#include <string.h>

struct hf_safetensors_writer {
    vkb_context *ctx;
    char *path;
    file_writer *file;
    uint64_t declared, written; // bytes of data
};

// As the reference orders: widest elements first, so that each is aligned, then by name.
static int compare_order(const void *a_, const void *b_)
{
    const hf_tensor *a = a_, *b = b_;
    uint32_t a_bits = hf_dtype_bits(a->dtype), b_bits = hf_dtype_bits(b->dtype);
    if (a_bits != b_bits)
        return a_bits > b_bits ? -1 : 1;
    return strcmp(a->name, b->name);
}

static bool add_metadata(cJSON *header, const hf_metadata *metadata, size_t count)
{
    cJSON *object = cJSON_AddObjectToObject(header, "__metadata__");
    bool ok = cJSON_AddStringToObject(object, "format", "pt");
    for (size_t i = 0; i < count; i++)
        ok = ok && cJSON_AddStringToObject(object, metadata[i].key, metadata[i].value);
    return ok;
}

static bool add_tensor(cJSON *header, const hf_tensor *tensor, uint64_t begin)
{
    cJSON *entry = cJSON_AddObjectToObject(header, tensor->name);
    bool ok = cJSON_AddStringToObject(entry, "dtype", hf_dtype_name(tensor->dtype));
    cJSON *shape = cJSON_AddArrayToObject(entry, "shape");
    for (uint32_t i = 0; i < tensor->rank; i++)
        ok = ok && cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)tensor->shape[i]));
    cJSON *offsets = cJSON_AddArrayToObject(entry, "data_offsets");
    return ok && cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)begin)) &&
           cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)(begin + tensor->bytes)));
}

// The header's text, without padding; *data_bytes is what the tensors need. NULL: no memory.
static char *header_text(const hf_tensor *tensors, size_t count, const hf_metadata *metadata,
                         size_t metadata_count, uint64_t *data_bytes)
{
    cJSON *header = cJSON_CreateObject();
    bool ok = add_metadata(header, metadata, metadata_count);
    *data_bytes = 0;
    for (size_t i = 0; i < count; i++) {
        ok = ok && add_tensor(header, &tensors[i], *data_bytes);
        *data_bytes += tensors[i].bytes;
    }
    char *text = ok ? cJSON_PrintUnformatted(header) : NULL;
    cJSON_Delete(header);
    return text;
}

static vkb_status write_header(file_writer *file, const char *text)
{
    static const char spaces[] = "        ";
    uint64_t bytes = strlen(text), padded = (bytes + 7) / 8 * 8;
    uint8_t length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)(padded >> 8 * i);
    vkb_status status = file_write(file, length, sizeof(length));
    if (status == VKB_OK)
        status = file_write(file, text, bytes);
    if (status == VKB_OK)
        status = file_write(file, spaces, padded - bytes);
    return status;
}

vkb_status hf_safetensors_create(vkb_context *ctx, const char *path, hf_tensor *tensors,
                                 size_t count, const hf_metadata *metadata, size_t metadata_count,
                                 hf_safetensors_writer **out)
{
    vkb_status status = VKB_OK;
    char *text = NULL;
    hf_safetensors_writer *writer = calloc(1, sizeof(*writer));
    if (!writer)
        return vkb_fail_memory(ctx, sizeof(*writer), path);
    *writer = (hf_safetensors_writer){.ctx = ctx, .path = strdup(path)};
    for (size_t i = 0; i < count; i++)
        if (!hf_tensor_measure(&tensors[i])) {
            status =
                vkb_fail(ctx, VKB_BAD_ARGUMENT, "%s: tensor %s: the size of %s overflows", path,
                         tensors[i].name, hf_shape(tensors[i].rank, tensors[i].shape).text);
            goto cleanup;
        }
    qsort(tensors, count, sizeof(*tensors), compare_order);
    text = header_text(tensors, count, metadata, metadata_count, &writer->declared);
    if (!text || !writer->path) {
        status = vkb_fail(ctx, VKB_OUT_OF_MEMORY, "out of memory: the header of %s", path);
        goto cleanup;
    }
    BASE_TRY(file_create(ctx, path, &writer->file));
    BASE_TRY(write_header(writer->file, text));
cleanup:
    cJSON_free(text);
    if (status == VKB_OK)
        *out = writer;
    else
        hf_safetensors_abandon(&writer);
    return status;
}

vkb_status hf_safetensors_write(hf_safetensors_writer *writer, const void *data, size_t bytes)
{
    writer->written += bytes;
    return file_write(writer->file, data, bytes);
}

vkb_status hf_safetensors_commit(hf_safetensors_writer **writer_)
{
    hf_safetensors_writer *writer = *writer_;
    vkb_status status =
        writer->written == writer->declared
            ? file_commit(&writer->file)
            : vkb_fail(writer->ctx, VKB_FAILED, "%s: %llu bytes of data written, %llu declared",
                       writer->path, (unsigned long long)writer->written,
                       (unsigned long long)writer->declared);
    hf_safetensors_abandon(writer_);
    return status;
}

void hf_safetensors_abandon(hf_safetensors_writer **writer_)
{
    hf_safetensors_writer *writer = *writer_;
    *writer_ = NULL;
    if (!writer)
        return;
    file_abandon(&writer->file);
    free(writer->path);
    free(writer);
}
