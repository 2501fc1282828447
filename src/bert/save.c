// Parameters into safetensors files, one tensor in host memory at a time.
#include "bert/bert.h"
#include "hf/safetensors.h"

#include <stdio.h>
#include <stdlib.h>

// A tensor on its way into a file. The writer sorts the hf_tensors; their name leads back here.
typedef struct save_entry {
    char name[128]; // first: hf_tensor.name points at it
    gpu_view view;
} save_entry;

static void entries_list(const vkb_model *model, const bert_saved *saved, uint32_t saved_count,
                         save_entry *entries, hf_tensor *tensors)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < saved_count; i++)
        for (uint32_t k = 0; k < model->layout.tensor_count; k++, n++) {
            const bert_tensor *t = &model->layout.tensors[k];
            snprintf(entries[n].name, sizeof(entries[n].name), "%s%s", t->name, saved[i].suffix);
            entries[n].view = bert_params_view(saved[i].params, t);
            tensors[n] = (hf_tensor){.name = entries[n].name, .dtype = HF_F32};
            if (t->rows)
                tensors[n].shape[tensors[n].rank++] = t->rows;
            tensors[n].shape[tensors[n].rank++] = t->cols;
        }
}

vkb_status bert_params_save(const vkb_model *model, const char *path, const bert_saved *saved,
                            uint32_t saved_count)
{
    vkb_status status = VKB_OK;
    vkb_context *ctx = gpu_context(model->dev);
    const uint32_t count = saved_count * model->layout.tensor_count;
    hf_safetensors_writer *writer = NULL;
    uint64_t largest = 0;
    float *values = NULL;
    save_entry *entries = calloc(count, sizeof(*entries));
    hf_tensor *tensors = calloc(count, sizeof(*tensors));
    for (uint32_t i = 0; i < model->layout.tensor_count; i++)
        if (model->layout.tensors[i].bytes > largest)
            largest = model->layout.tensors[i].bytes;
    values = malloc(largest);
    if (!entries || !tensors || !values)
        BASE_TRY(vkb_fail_memory(ctx, largest, path));

    entries_list(model, saved, saved_count, entries, tensors);
    BASE_TRY(hf_safetensors_create(ctx, path, tensors, count, NULL, 0, &writer));
    for (uint32_t i = 0; i < count; i++) {
        const save_entry *entry = (const save_entry *)tensors[i].name;
        BASE_TRY(gpu_download(model->dev, entry->view, values));
        BASE_TRY(hf_safetensors_write(writer, values, entry->view.bytes));
    }
    status = hf_safetensors_commit(&writer);
cleanup:
    hf_safetensors_abandon(&writer);
    free(values);
    free(tensors);
    free(entries);
    return status;
}
