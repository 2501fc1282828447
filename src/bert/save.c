// Parameters into safetensors files, one tensor in host memory at a time.
#include "bert/bert.h"
#include "hf/safetensors.h"

#include <stdio.h>
#include <stdlib.h>

// A tensor on its way into a file. The writer sorts the hf_tensors; their name leads back here.
typedef struct save_entry {
    char name[128]; // first: hf_tensor.name points at it
    gpu_view view;
    const float *values; // on the host, instead
} save_entry;

typedef struct save_list {
    save_entry *entries;
    hf_tensor *tensors;
    uint32_t count;
    uint64_t largest; // bytes in F32
} save_list;

static vkb_status list_create(const vkb_model *model, uint32_t room, save_list *list)
{
    *list = (save_list){.entries = calloc(room, sizeof(*list->entries)),
                        .tensors = calloc(room, sizeof(*list->tensors))};
    if (list->entries && list->tensors)
        return VKB_OK;
    return vkb_fail_memory(gpu_context(model->dev), room * sizeof(*list->entries), "a list");
}

static void list_free(save_list *list)
{
    free(list->entries);
    free(list->tensors);
}

static void list_params(const vkb_model *model, const bert_saved *saved, hf_dtype dtype,
                        save_list *list)
{
    for (uint32_t k = 0; k < model->layout.tensor_count; k++) {
        const bert_tensor *t = &model->layout.tensors[k];
        save_entry *entry = &list->entries[list->count];
        hf_tensor *tensor = &list->tensors[list->count++];
        snprintf(entry->name, sizeof(entry->name), "%s%s", t->name, saved->suffix);
        entry->view = bert_params_view(saved->params, t);
        *tensor = (hf_tensor){.name = entry->name, .dtype = dtype};
        if (t->rows)
            tensor->shape[tensor->rank++] = t->rows;
        tensor->shape[tensor->rank++] = t->cols;
        list->largest = t->bytes > list->largest ? t->bytes : list->largest;
    }
}

static void list_kept(const vkb_model *model, hf_dtype dtype, save_list *list)
{
    for (size_t i = 0; i < model->kept_count; i++) {
        const bert_kept *kept = &model->kept[i];
        save_entry *entry = &list->entries[list->count];
        hf_tensor *tensor = &list->tensors[list->count++];
        snprintf(entry->name, sizeof(entry->name), "%s", kept->name);
        entry->values = kept->values;
        *tensor = (hf_tensor){.name = entry->name, .dtype = dtype, .rank = kept->rank};
        for (uint32_t axis = 0; axis < kept->rank; axis++)
            tensor->shape[axis] = kept->shape[axis];
        if (kept->count * sizeof(float) > list->largest)
            list->largest = kept->count * sizeof(float);
    }
}

void bert_log_overflow(vkb_context *ctx, const char *path, const hf_tensor *tensor,
                       uint64_t overflowed)
{
    if (overflowed)
        vkb_log(ctx, VKB_LOG_WARNING,
                "%s: %llu values of %s are beyond what %s holds, and became infinite: save in bf16 "
                "or fp32",
                path, (unsigned long long)overflowed, tensor->name, hf_dtype_name(tensor->dtype));
}

static vkb_status list_write(const vkb_model *model, const char *path, save_list *list)
{
    vkb_status status = VKB_OK;
    vkb_context *ctx = gpu_context(model->dev);
    hf_safetensors_writer *writer = NULL;
    float *values = malloc(list->largest);
    if (!values)
        return vkb_fail_memory(ctx, list->largest, path);
    BASE_TRY(hf_safetensors_create(ctx, path, list->tensors, list->count, NULL, 0, &writer));
    for (uint32_t i = 0; i < list->count; i++) {
        const hf_tensor *tensor = &list->tensors[i];
        const save_entry *entry = (const save_entry *)tensor->name;
        if (!entry->values)
            BASE_TRY(gpu_download(model->dev, entry->view, values));
        const uint64_t overflowed = hf_tensor_from_f32(
            tensor->dtype, entry->values ? entry->values : values, tensor->count, values);
        bert_log_overflow(ctx, path, tensor, overflowed);
        BASE_TRY(hf_safetensors_write(writer, values, tensor->bytes));
    }
    status = hf_safetensors_commit(&writer);
cleanup:
    hf_safetensors_abandon(&writer);
    free(values);
    return status;
}

vkb_status bert_params_save(const vkb_model *model, const char *path, const bert_saved *saved,
                            uint32_t saved_count)
{
    save_list list;
    vkb_status status = list_create(model, saved_count * model->layout.tensor_count, &list);
    for (uint32_t i = 0; status == VKB_OK && i < saved_count; i++)
        list_params(model, &saved[i], HF_F32, &list);
    if (status == VKB_OK)
        status = list_write(model, path, &list);
    list_free(&list);
    return status;
}

vkb_status bert_model_save(const vkb_model *model, const char *path, hf_dtype dtype)
{
    const bert_saved weights = {&model->weights, ""};
    save_list list;
    vkb_status status =
        list_create(model, model->layout.tensor_count + (uint32_t)model->kept_count, &list);
    if (status == VKB_OK) {
        list_params(model, &weights, dtype, &list);
        list_kept(model, dtype, &list);
        status = list_write(model, path, &list);
    }
    list_free(&list);
    return status;
}
