// A model folder into another one, as save_pretrained would write it, whatever form its weights are in.
// Tensors pass through in pieces; it needs no device.
#include "base/file.h"
#include "bert/bert.h"
#include "hf/config.h"
#include "hf/folder.h"
#include "hf/names.h"
#include "hf/safetensors.h"

#include <stdlib.h>
#include <string.h>

enum { PIECE = 1 << 16 }; // elements

typedef struct conversion {
    vkb_context *ctx;
    const vkb_folder *folder;
    bert_layout layout; // of the folder's config
    hf_dtype dtype;
    bool has_mlm_head, bare; // bare: a BertModel, whose names have no "bert."
    hf_tensor *out;          // [count]; each name points into the canonical one of the folder
    size_t count;
} conversion;

// What BERT with its heads is made of; buffers and the tied decoder are not.
static bool is_written(const conversion *c, const hf_entry *entry)
{
    for (uint32_t i = 0; i < c->layout.tensor_count; i++)
        if (strcmp(c->layout.tensors[i].name, entry->name) == 0)
            return true;
    return hf_name_of_pair(entry->name);
}

static vkb_status check(conversion *c)
{
    vkb_status status;
    vkb_tensor_fault *faults = NULL;
    size_t count = 0, absent;
    const bool optional[BERT_PARTS] = {[BERT_MLM_HEAD] = !c->has_mlm_head};
    BASE_TRY(bert_folder_compare(c->ctx, c->folder, &c->layout, &faults, &count));
    absent = bert_split_absent(&c->layout, optional, faults, count);
    BASE_TRY(bert_fail_faults(c->ctx, c->folder, faults, count - absent, c->layout.tensor_count));
    bert_log_unexpected(c->ctx, c->folder, faults, count);
cleanup:
    free(faults);
    return status;
}

static vkb_status list_tensors(conversion *c)
{
    const size_t entries = vkb_folder_tensor_count(c->folder);
    c->out = calloc(entries + 1, sizeof(*c->out));
    if (!c->out)
        return vkb_fail_memory(c->ctx, entries * sizeof(*c->out), "a list of tensors");
    c->bare = !c->has_mlm_head;
    for (size_t i = 0; i < entries; i++)
        if (strncmp(hf_folder_entry(c->folder, i)->name, "cls.seq_relationship.", 21) == 0)
            c->bare = false;
    for (size_t i = 0; i < entries; i++) {
        const hf_entry *entry = hf_folder_entry(c->folder, i);
        if (!is_written(c, entry))
            continue;
        hf_tensor *out = &c->out[c->count++];
        *out = (hf_tensor){.name = entry->name + (c->bare ? strlen("bert.") : 0),
                           .dtype = c->dtype,
                           .rank = entry->tensor->rank};
        memcpy(out->shape, entry->tensor->shape, sizeof(out->shape));
    }
    return VKB_OK;
}

static vkb_status write_tensor(const conversion *c, const hf_tensor *out, const hf_tensor *from,
                               float *piece, hf_safetensors_writer *writer)
{
    vkb_status status = VKB_OK;
    uint64_t overflowed = 0;
    for (uint64_t at = 0; at < from->count; at += PIECE) {
        const uint64_t count = from->count - at < PIECE ? from->count - at : PIECE;
        if (!hf_tensor_to_f32(from, at, count, piece))
            return vkb_fail(c->ctx, VKB_BAD_FILE,
                            "%s: tensor %s is %s, expected F32, F16, BF16 or F64",
                            vkb_folder_weights(c->folder), from->name, hf_dtype_name(from->dtype));
        overflowed += hf_tensor_from_f32(out->dtype, piece, count, piece);
        BASE_TRY(hf_safetensors_write(writer, piece, count * hf_dtype_bits(out->dtype) / 8));
    }
    bert_log_overflow(c->ctx, vkb_folder_weights(c->folder), out, overflowed);
cleanup:
    return status;
}

static vkb_status write_weights(conversion *c, const char *path)
{
    vkb_status status = VKB_OK;
    hf_safetensors_writer *writer = NULL;
    float *piece = malloc(PIECE * sizeof(*piece));
    if (!piece)
        return vkb_fail_memory(c->ctx, PIECE * sizeof(*piece), path);
    BASE_TRY(hf_safetensors_create(c->ctx, path, c->out, c->count, NULL, 0, &writer));
    for (size_t i = 0; i < c->count; i++) {
        const char *canonical = c->out[i].name - (c->bare ? strlen("bert.") : 0);
        BASE_TRY(write_tensor(c, &c->out[i], hf_folder_find(c->folder, canonical), piece, writer));
    }
    status = hf_safetensors_commit(&writer);
cleanup:
    hf_safetensors_abandon(&writer);
    free(piece);
    return status;
}

vkb_status vkb_folder_save(vkb_context *ctx, const vkb_folder *folder, const char *path,
                           const vkb_save_params *params)
{
    vkb_status status = VKB_OK;
    conversion c = {.ctx = ctx,
                    .folder = folder,
                    .dtype = bert_dtype(params ? params->precision : VKB_FP32),
                    .has_mlm_head = bert_folder_has_mlm_head(folder)};
    const hf_config_form form = {.no_masked_lm = !c.has_mlm_head,
                                 .precision = params ? params->precision : VKB_FP32,
                                 .original = hf_folder_config_file(folder)};
    char *weights = path_join(path, "model.safetensors");
    if (!weights)
        return vkb_fail_memory(ctx, strlen(path), "a path");
    BASE_TRY(
        bert_layout_create(ctx, vkb_folder_config(folder), UINT64_MAX, sizeof(float), &c.layout));
    BASE_TRY(check(&c));
    BASE_TRY(list_tensors(&c));
    BASE_TRY(folder_create(ctx, path));
    BASE_TRY(hf_config_write(ctx, path, vkb_folder_config(folder), &form));
    BASE_TRY(write_weights(&c, weights)); // last: a folder with weights is whole
cleanup:
    bert_layout_free(&c.layout);
    free(c.out);
    free(weights);
    return status;
}
