// The model object: made from random weights or from a Hugging Face folder, saved into one.
#include "base/file.h"
#include "bert/bert.h"
#include "hf/config.h"
#include "hf/folder.h"
#include "hf/json.h"

#include <stdlib.h>
#include <string.h>

vkb_status bert_model_allocate(vkb_device *dev, const vkb_config *config, vkb_model **out)
{
    vkb_status status = VKB_OK;
    const uint64_t allocation = vkb_device_get_info(dev)->max_allocation;
    const uint64_t limit =
        gpu_binding_limit(dev) < allocation ? gpu_binding_limit(dev) : allocation;
    vkb_model *model = calloc(1, sizeof(*model));
    if (!model)
        return vkb_fail_memory(gpu_context(dev), sizeof(*model), "the model");
    model->dev = dev;
    model->config = *config;
    BASE_TRY(bert_layout_create(gpu_context(dev), config, limit, 2 * gpu_alignment(dev),
                                &model->layout));
    BASE_TRY(bert_params_create(dev, &model->layout, config->num_hidden_layers, "weights",
                                &model->weights));
    BASE_TRY(bert_params_clear_rooms(dev, &model->layout, &model->weights));
    *out = model;
    return VKB_OK;
cleanup:
    vkb_model_destroy(&model);
    return status;
}

vkb_status vkb_model_create(vkb_device *dev, const vkb_config *config,
                            const vkb_init_params *params, vkb_model **out)
{
    vkb_model *model = NULL;
    vkb_status status =
        hf_config_check(gpu_context(dev), VKB_BAD_ARGUMENT, "the model's config", config);
    if (status == VKB_OK)
        status = bert_model_allocate(dev, config, &model);
    for (uint32_t i = 0; status == VKB_OK && i < model->layout.tensor_count; i++)
        status = bert_init_tensor(model, params, i);
    if (status == VKB_OK)
        *out = model;
    else
        vkb_model_destroy(&model);
    return status;
}

void vkb_model_destroy(vkb_model **model_)
{
    vkb_model *model = model_ ? *model_ : NULL;
    if (!model)
        return;
    *model_ = NULL;
    bert_passes_free(model);
    bert_params_free(&model->weights);
    bert_layout_free(&model->layout);
    bert_kept_free(model);
    cJSON_Delete(model->config_file);
    free(model);
}

const vkb_config *vkb_model_config(const vkb_model *model)
{
    return &model->config;
}

uint64_t vkb_model_parameters(const vkb_model *model)
{
    return model->layout.elements;
}

// ---- Folders ----

vkb_status vkb_model_load(vkb_device *dev, const char *path, const vkb_load_params *params,
                          vkb_model **out)
{
    vkb_status status = VKB_OK;
    vkb_context *ctx = gpu_context(dev);
    vkb_folder *folder = NULL;
    vkb_model *model = NULL;
    bool optional[BERT_PARTS] = {false};
    BASE_TRY(vkb_folder_open(ctx, path, &folder));
    vkb_config config = *vkb_folder_config(folder);
    optional[BERT_PAIR_HEAD] = params && params->next_sentence && !config.next_sentence;
    optional[BERT_MLM_HEAD] = params && params->masked_lm;
    config.next_sentence = config.next_sentence || optional[BERT_PAIR_HEAD];
    if (params && params->vocab_size > config.vocab_size)
        config.vocab_size = params->vocab_size;
    BASE_TRY(bert_model_allocate(dev, &config, &model));
    BASE_TRY(bert_folder_load(model, folder, optional, params ? params->seed : 0));
    BASE_TRY(bert_kept_load(model, folder));
    model->config_file = cJSON_Duplicate(hf_folder_config_file(folder), true);
    if (!model->config_file)
        BASE_TRY(vkb_fail_memory(ctx, 0, "a copy of config.json"));
    *out = model;
    model = NULL;
cleanup:
    vkb_model_destroy(&model);
    vkb_folder_close(&folder);
    return status;
}

hf_dtype bert_dtype(vkb_precision precision)
{
    return precision == VKB_FP16 ? HF_F16 : precision == VKB_BF16 ? HF_BF16 : HF_F32;
}

vkb_status vkb_model_save(const vkb_model *model, const char *folder, const vkb_save_params *params)
{
    vkb_status status = VKB_OK;
    vkb_context *ctx = gpu_context(model->dev);
    const hf_config_form form = {.original = model->config_file,
                                 .precision = params ? params->precision : VKB_FP32};
    char *path = path_join(folder, "model.safetensors");
    if (!path)
        return vkb_fail_memory(ctx, strlen(folder), "a path");
    // In what order the weights lie is nothing that a caller sees.
    BASE_TRY(bert_weights_borrow((vkb_model *)model));
    BASE_TRY(gpu_wait_all(model->dev));
    BASE_TRY(folder_create(ctx, folder));
    BASE_TRY(hf_config_write(ctx, folder, &model->config, &form));
    // last: a folder with weights is whole
    BASE_TRY(bert_model_save(model, path, bert_dtype(form.precision)));
cleanup:
    bert_weights_return((vkb_model *)model);
    free(path);
    return status;
}
