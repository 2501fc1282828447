// Parameters from safetensors files and model folders, one tensor in host memory at a time.
#include "bert/bert.h"
#include "hf/folder.h"
#include "hf/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Sets the tensor at `view` from the file's.
static vkb_status tensor_load(const vkb_model *model, const char *path, const bert_tensor *t,
                              const hf_tensor *from, gpu_view view)
{
    vkb_context *ctx = gpu_context(model->dev);
    const uint32_t rank = t->rows ? 2 : 1;
    const uint64_t shape[2] = {t->rows ? t->rows : t->cols, t->cols};
    if (from->rank != rank || memcmp(from->shape, shape, rank * sizeof(shape[0])) != 0)
        return vkb_fail(ctx, VKB_BAD_FILE, "%s: tensor %s is %s, expected %s by config.json", path,
                        from->name, hf_shape(from->rank, from->shape).text,
                        hf_shape(rank, shape).text);
    if (from->dtype == HF_F32 && !from->strided)
        return gpu_upload(model->dev, view, from->data);

    float *values = malloc(t->bytes);
    if (!values)
        return vkb_fail_memory(ctx, t->bytes, t->name);
    vkb_status status;
    if (hf_tensor_to_f32(from, 0, from->count, values))
        status = gpu_upload(model->dev, view, values);
    else
        status = vkb_fail(ctx, VKB_BAD_FILE, "%s: tensor %s is %s, expected F32, F16, BF16 or F64",
                          path, from->name, hf_dtype_name(from->dtype));
    free(values);
    return status;
}

// Finds a tensor by the name of params.def; `from` is what the two kinds of files have in common.
typedef const hf_tensor *(*tensor_find_fn)(const void *from, const char *name);

static const hf_tensor *find_in_folder(const void *folder, const char *name)
{
    return hf_folder_find(folder, name);
}

static const hf_tensor *find_in_file(const void *file, const char *name)
{
    return hf_safetensors_find(file, name);
}

// Names of missing tensors, the first four of them.
typedef struct name_list {
    char text[BERT_NAMES_BYTES];
    size_t used, count;
} name_list;

static void name_add(name_list *list, const char *name)
{
    if (list->count++ < 4)
        list->used += (size_t)snprintf(list->text + list->used, sizeof(list->text) - list->used,
                                       "%s%s", list->used ? ", " : "", name);
}

// absent_pair, when not NULL: of pooler and NSP head, tensors may be missing, and are listed there.
static vkb_status params_load(const vkb_model *model, const char *path, tensor_find_fn find,
                              const void *from, const bert_saved *saved, name_list *absent_pair)
{
    name_list missing = {0};
    for (uint32_t i = 0; i < model->layout.tensor_count; i++) {
        const bert_tensor *t = &model->layout.tensors[i];
        char name[128];
        snprintf(name, sizeof(name), "%s%s", t->name, saved->suffix);
        const hf_tensor *tensor = find(from, name);
        if (!tensor) {
            name_add(absent_pair && t->part == BERT_PAIR_HEAD ? absent_pair : &missing, name);
            continue;
        }
        vkb_status status = tensor_load(model, path, t, tensor, bert_params_view(saved->params, t));
        if (status != VKB_OK)
            return status;
    }
    if (missing.count)
        return vkb_fail(gpu_context(model->dev), VKB_BAD_FILE,
                        "%s: %zu of the model's %u tensors are missing: %s%s", path, missing.count,
                        model->layout.tensor_count, missing.text, missing.count > 4 ? ", ..." : "");
    return VKB_OK;
}

vkb_status bert_folder_load(vkb_model *model, const vkb_folder *folder, bool pair_may_be_absent,
                            char absent[BERT_NAMES_BYTES])
{
    const bert_saved weights = {&model->weights, ""};
    name_list absent_pair = {0};
    vkb_status status = params_load(model, vkb_folder_weights(folder), find_in_folder, folder,
                                    &weights, pair_may_be_absent ? &absent_pair : NULL);
    memcpy(absent, absent_pair.text, BERT_NAMES_BYTES);
    return status;
}

vkb_status bert_params_load(const vkb_model *model, const char *path, const bert_saved *saved,
                            uint32_t saved_count)
{
    hf_safetensors file = {0};
    vkb_status status = hf_safetensors_open(gpu_context(model->dev), path, &file);
    for (uint32_t i = 0; status == VKB_OK && i < saved_count; i++)
        status = params_load(model, path, find_in_file, &file, &saved[i], NULL);
    hf_safetensors_close(&file);
    return status;
}
