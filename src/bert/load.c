// Parameters from safetensors files and model folders, one tensor in host memory at a time.
#include "base/file.h"
#include "bert/bert.h"
#include "hf/folder.h"
#include "hf/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Elements on their way at a time: of whole rows, which transposed tensors are converted by.
static uint64_t chunk_of(const bert_tensor *t)
{
    const uint64_t most = 1 << 20, rows = most / t->cols;
    return (rows >= 16 ? rows / 16 * 16 : 16) * t->cols;
}

// Elements first .. first+count-1 of the tensor at `view`; values is room for them.
static vkb_status chunk_load(const vkb_model *model, const char *path, const hf_tensor *from,
                             uint64_t first, uint64_t count, float *values, gpu_view view)
{
    const gpu_view to = gpu_part(view, first * sizeof(float), count * sizeof(float));
    if (from->dtype == HF_F32 && !from->strided)
        return gpu_upload(model->dev, to, from->data + first * sizeof(float));
    if (hf_tensor_to_f32(from, first, count, values))
        return gpu_upload(model->dev, to, values);
    return vkb_fail(gpu_context(model->dev), VKB_BAD_FILE,
                    "%s: tensor %s is %s, expected F32, F16, BF16 or F64", path, from->name,
                    hf_dtype_name(from->dtype));
}

// Sets the tensor at `view` from the file's, which has its shape. Where device memory is the host's,
// the weights would be in it twice at the end: pages of the file are given back as they are done with.
static vkb_status tensor_load(const vkb_model *model, const char *path, const bert_tensor *t,
                              const hf_tensor *from, gpu_view view)
{
    vkb_status status = VKB_OK;
    const uint64_t total = t->bytes / sizeof(float), chunk = chunk_of(t);
    const bool copied = from->dtype == HF_F32 && !from->strided;
    float *values = copied ? NULL : malloc((total < chunk ? total : chunk) * sizeof(float));
    if (!copied && !values)
        return vkb_fail_memory(gpu_context(model->dev), chunk * sizeof(float), t->name);
    for (uint64_t first = 0; first < total && status == VKB_OK; first += chunk) {
        const uint64_t count = total - first < chunk ? total - first : chunk;
        status = chunk_load(model, path, from, first, count, values, view);
        file_map_release(&from->map);
    }
    free(values);
    return status;
}

// ---- A folder ----

// A folder without any tensor of the MLM head is a sentence of its own.
static vkb_status check_head(vkb_context *ctx, const vkb_folder *folder,
                             const bool optional[BERT_PARTS])
{
    if (optional[BERT_MLM_HEAD] || bert_folder_has_mlm_head(folder))
        return VKB_OK;
    return vkb_fail(ctx, VKB_BAD_FILE,
                    "%s: has no MLM head (a bare BertModel has none), which predicting tokens "
                    "needs: vkbert train gives it one",
                    vkb_folder_weights(folder));
}

static vkb_status tensors_load(vkb_model *model, const vkb_folder *folder, uint64_t seed)
{
    const char *path = vkb_folder_weights(folder);
    hf_dtype converted = HF_F32;
    for (uint32_t i = 0; i < model->layout.tensor_count; i++) {
        const bert_tensor *t = &model->layout.tensors[i];
        const hf_tensor *from = hf_folder_find(folder, t->name);
        const gpu_view view = bert_params_view(&model->weights, t);
        vkb_status status;
        if (from) {
            const uint64_t bytes = from->count * sizeof(float);
            status = tensor_load(model, path, t, from, gpu_part(view, 0, bytes));
            if (status == VKB_OK && bytes < t->bytes)
                status = bert_grow_tensor(model, t, from, seed);
        } else {
            status = bert_init_tensor(model, &(vkb_init_params){.seed = seed}, i);
        }
        if (status != VKB_OK)
            return status;
        if (from && from->dtype != HF_F32)
            converted = from->dtype;
    }
    if (converted != HF_F32)
        vkb_log(gpu_context(model->dev), VKB_LOG_INFO, "%s: weights are %s, converted to F32", path,
                hf_dtype_name(converted));
    return VKB_OK;
}

bool bert_folder_has_mlm_head(const vkb_folder *folder)
{
    for (size_t i = 0; i < vkb_folder_tensor_count(folder); i++) {
        const hf_entry *entry = hf_folder_entry(folder, i);
        if (!entry->unused && strncmp(entry->name, "cls.predictions.", 16) == 0)
            return true;
    }
    return false;
}

vkb_status bert_folder_load(vkb_model *model, const vkb_folder *folder,
                            const bool optional[BERT_PARTS], uint64_t seed)
{
    vkb_status status;
    vkb_context *ctx = gpu_context(model->dev);
    vkb_tensor_fault *faults = NULL;
    bert_layout saved = {0}; // the model's, before its vocabulary grows
    size_t count = 0, absent;
    vkb_config config = model->config;
    config.vocab_size = vkb_folder_config(folder)->vocab_size;
    BASE_TRY(bert_layout_create(ctx, &config, UINT64_MAX, sizeof(float), &saved));
    BASE_TRY(bert_folder_compare(ctx, folder, &saved, &faults, &count));
    BASE_TRY(check_head(ctx, folder, optional));
    absent = bert_split_absent(&saved, optional, faults, count);
    BASE_TRY(bert_fail_faults(ctx, folder, faults, count - absent, model->layout.tensor_count));
    bert_log_unexpected(ctx, folder, faults, count);
    BASE_TRY(tensors_load(model, folder, seed));
    bert_log_random(ctx, folder, faults, count);
    if (model->config.vocab_size > config.vocab_size)
        vkb_log(ctx, VKB_LOG_INFO,
                "%s: the vocabulary grows from %u to %u tokens; the new rows start beside the mean "
                "of the old ones, the new biases at 0",
                vkb_folder_weights(folder), config.vocab_size, model->config.vocab_size);
cleanup:
    bert_layout_free(&saved);
    free(faults);
    return status;
}

// ---- A file of vkbert's own ----

static vkb_status file_load(const vkb_model *model, const char *path, const hf_safetensors *file,
                            const bert_saved *saved)
{
    vkb_context *ctx = gpu_context(model->dev);
    for (uint32_t i = 0; i < model->layout.tensor_count; i++) {
        const bert_tensor *t = &model->layout.tensors[i];
        char name[128];
        snprintf(name, sizeof(name), "%s%s", t->name, saved->suffix);
        const hf_tensor *from = hf_safetensors_find(file, name);
        if (!from || from->count != t->bytes / sizeof(float))
            return vkb_fail(ctx, VKB_BAD_FILE, "%s: tensor %s is %s: not of this model's run", path,
                            name, from ? hf_shape(from->rank, from->shape).text : "missing");
        vkb_status status = tensor_load(model, path, t, from, bert_params_view(saved->params, t));
        if (status != VKB_OK)
            return status;
    }
    return VKB_OK;
}

vkb_status bert_params_load(const vkb_model *model, const char *path, const bert_saved *saved,
                            uint32_t saved_count)
{
    hf_safetensors file = {0};
    vkb_status status = hf_safetensors_open(gpu_context(model->dev), path, &file);
    for (uint32_t i = 0; status == VKB_OK && i < saved_count; i++)
        status = file_load(model, path, &file, &saved[i]);
    hf_safetensors_close(&file);
    return status;
}
