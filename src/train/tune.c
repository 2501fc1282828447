// Tuning a trainer: the products of its step are heard in a rehearsal, tried, and the step is recorded anew.
// And what a checkpoint keeps of it.
#include "train/trainer.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_SECONDS 20.0
// Beyond what a product should take. Software drivers compile a kernel when it first runs.
#define HANG_SECONDS 10.0
#define HANG_SECONDS_SOFTWARE 120.0

static vkb_status hear(vkb_trainer *t, op_products *products)
{
    vkb_device *dev = t->model->dev;
    const uint32_t micro = t->params.gradient_accumulation_steps;
    op_products more = {0};
    vkb_status status = VKB_OK;
    BASE_TRY(op_products_hear(dev, train_record_first, t, products));
    if (micro > 1)
        BASE_TRY(op_products_hear(dev, train_record_more, t, &more));
    for (size_t i = 0; i < more.count; i++)
        for (double call = 0; call < more.at[i].calls * (micro - 1); call++)
            op_products_add(products, &more.at[i].params);
    if (products->failed)
        status = vkb_fail_memory(gpu_context(dev), sizeof(op_product), "tuning");
cleanup:
    op_products_free(&more);
    return status;
}

static vkb_status record_anew(vkb_trainer *t)
{
    vkb_status status = vkb_trainer_finish(t, NULL);
    if (status == VKB_OK)
        status = gpu_wait_all(t->model->dev);
    return status == VKB_OK ? train_record_step(t, t->profiler != NULL) : status;
}

vkb_status vkb_trainer_tune(vkb_trainer *t, const vkb_tune_params *params_, vkb_tuning **out)
{
    static const vkb_tune_params defaults = {0};
    const vkb_tune_params *p = params_ ? params_ : &defaults;
    const bool software = vkb_device_get_info(t->model->dev)->type == VKB_SOFTWARE;
    op_tune_params params = {.max_seconds = p->max_seconds,
                             .run_seconds = t->params.max_seconds,
                             .thorough = p->thorough,
                             .hang_seconds = software ? HANG_SECONDS_SOFTWARE : HANG_SECONDS,
                             .progress = p->progress,
                             .stop = p->stop,
                             .user = p->user};
    op_products products = {0};
    vkb_tuning *made = calloc(1, sizeof(*made));
    vkb_status status = VKB_OK;
    if (!made)
        BASE_TRY(vkb_fail_memory(gpu_context(t->model->dev), sizeof(*made), "tuning"));
    if (params.max_seconds <= 0)
        params.max_seconds = p->thorough ? 1e9 : DEFAULT_SECONDS;
    if (t->most_steps > t->at.step)
        params.steps = (double)(t->most_steps - t->at.step);
    BASE_TRY(vkb_trainer_finish(t, NULL));
    BASE_TRY(gpu_wait_all(t->model->dev));
    BASE_TRY(hear(t, &products));
    BASE_TRY(op_tune(t->model->dev, &products, &params, made));
    BASE_TRY(record_anew(t));
    if (out) {
        *out = made;
        made = NULL;
    }
cleanup:
    op_products_free(&products);
    vkb_tuning_free(&made);
    return status;
}

void vkb_tuning_free(vkb_tuning **tuning)
{
    if (!tuning || !*tuning)
        return;
    op_tuning_free(*tuning);
    free(*tuning);
    *tuning = NULL;
}

// ---- Checkpoints ----

bool train_tuning_save(const vkb_trainer *t, cJSON *object)
{
    const char *product, *variant;
    bool ok = true;
    for (size_t i = 0; ok && gpu_note_at(t->model->dev, GPU_NOTE_IN_USE, i, &product, &variant);
         i++)
        ok = cJSON_AddStringToObject(object, product, variant) != NULL;
    return ok;
}

vkb_status train_tuning_resume(vkb_trainer *t, const cJSON *object)
{
    vkb_device *dev = t->model->dev;
    vkb_status status = VKB_OK;
    const char *product, *variant;
    bool changed = gpu_note_at(dev, GPU_NOTE_IN_USE, 0, &product, &variant);
    gpu_note_clear(dev, GPU_NOTE_IN_USE);
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, object)
    {
        if (!cJSON_IsString(item) || !item->string)
            continue;
        BASE_TRY(gpu_note_set(dev, GPU_NOTE_IN_USE, item->string, item->valuestring));
        changed = true;
    }
    if (changed)
        status = record_anew(t);
cleanup:
    return status;
}
