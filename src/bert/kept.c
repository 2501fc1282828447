// Tensors on their way through the model: a pooler without its next-sentence head, and the reverse. MLM
// has no use for them, but what is trained here may be another task's start.
#include "bert/bert.h"
#include "hf/folder.h"
#include "hf/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_kept(const vkb_model *model, const char *name)
{
    for (uint32_t i = 0; i < model->layout.tensor_count; i++)
        if (strcmp(model->layout.tensors[i].name, name) == 0)
            return false;
    return hf_name_of_pair(name) && strlen(name) < sizeof(model->kept->name);
}

static vkb_status keep(vkb_model *model, const vkb_folder *folder, const hf_entry *entry)
{
    const hf_tensor *from = entry->tensor;
    vkb_context *ctx = gpu_context(model->dev);
    bert_kept kept = {.rank = from->rank, .count = from->count};
    snprintf(kept.name, sizeof(kept.name), "%s", entry->name);
    memcpy(kept.shape, from->shape, sizeof(kept.shape));
    kept.values = malloc(from->count * sizeof(float) + 1);
    if (!kept.values)
        return vkb_fail_memory(ctx, from->count * sizeof(float), kept.name);
    if (!hf_tensor_to_f32(from, 0, from->count, kept.values)) {
        free(kept.values);
        return vkb_fail(ctx, VKB_BAD_FILE, "%s: tensor %s is %s, expected F32, F16, BF16 or F64",
                        vkb_folder_weights(folder), from->name, hf_dtype_name(from->dtype));
    }
    model->kept[model->kept_count++] = kept;
    return VKB_OK;
}

vkb_status bert_kept_load(vkb_model *model, const vkb_folder *folder)
{
    const size_t count = vkb_folder_tensor_count(folder);
    vkb_status status = VKB_OK;
    model->kept = calloc(count + 1, sizeof(*model->kept));
    if (!model->kept)
        return vkb_fail_memory(gpu_context(model->dev), count * sizeof(*model->kept), "tensors");
    for (size_t i = 0; i < count && status == VKB_OK; i++) {
        const hf_entry *entry = hf_folder_entry(folder, i);
        if (is_kept(model, entry->name))
            status = keep(model, folder, entry);
    }
    return status;
}

void bert_kept_free(vkb_model *model)
{
    for (size_t i = 0; i < model->kept_count; i++)
        free(model->kept[i].values);
    free(model->kept);
    model->kept = NULL;
    model->kept_count = 0;
}
