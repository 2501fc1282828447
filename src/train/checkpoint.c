// What a resumed run needs besides the model: AdamW's moments and the position in the data.
#include "base/file.h"
#include "train/trainer.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOMENTS_FILE "optimizer.safetensors"
#define STATE_FILE "trainer_state.json"
// Our part of trainer_state.json: transformers' TrainerState takes what is below that key as it is.
#define STATE_FOREIGN "stateful_callbacks"
#define STATE_OWN "vkbert"
#define STATE_KERNELS "kernels" // the variants of the run's products, where it was tuned

// Everything that must be the same again: X(key, place in the trainer).
#define STATE_LIST(X)                                                                              \
    X("draw", at.draw)                                                                             \
    X("epoch", at.cursor.epoch)                                                                    \
    X("row", at.cursor.row)                                                                        \
    X("epoch_rows", at.cursor.rows)                                                                \
    X("seed", params.seed)

// 64-bit numbers are strings: JSON's are doubles.
static bool number_add(cJSON *object, const char *key, uint64_t value)
{
    char text[32];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    return cJSON_AddStringToObject(object, key, text) != NULL;
}

static bool number_get(const cJSON *object, const char *key, uint64_t *value)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    char *end;
    if (!cJSON_IsString(item) || !item->valuestring[0])
        return false;
    *value = strtoull(item->valuestring, &end, 10);
    return *end == 0;
}

// ---- Saving ----

// Of loss scaling; a state without them is of a run without it.
#define SCALE_LIST(X)                                                                              \
    X("loss_scale_bits", bits)                                                                     \
    X("loss_scale_good_steps", good)                                                               \
    X("skipped_steps", skipped)

static char *state_print(const vkb_trainer *t, const train_scale_state *scale)
{
    bool ok = true;
    cJSON *state = cJSON_CreateObject();
    cJSON *foreign = state ? cJSON_AddObjectToObject(state, STATE_FOREIGN) : NULL;
    cJSON *own = foreign ? cJSON_AddObjectToObject(foreign, STATE_OWN) : NULL;
    ok = own && cJSON_AddNumberToObject(state, "epoch", t->last.epoch) &&
         cJSON_AddNumberToObject(state, "global_step", (double)t->at.step) &&
         cJSON_AddNumberToObject(state, "max_steps", (double)t->at.max_steps) &&
         cJSON_AddNumberToObject(state, "train_batch_size", t->params.batch_size) &&
         cJSON_AddNumberToObject(own, "seconds", t->last.seconds) &&
         number_add(own, "rows", vkb_dataset_rows(t->data));
#define X(key, member) ok = ok && number_add(own, key, t->member);
    STATE_LIST(X)
#undef X
#define X(key, member) ok = ok && (!t->scaling || number_add(own, key, scale->member));
    SCALE_LIST(X)
#undef X
    cJSON *kernels = ok ? cJSON_AddObjectToObject(own, STATE_KERNELS) : NULL;
    ok = kernels && train_tuning_save(t, kernels);
    char *text = ok ? cJSON_Print(state) : NULL;
    cJSON_Delete(state);
    return text;
}

vkb_status vkb_trainer_save_state(vkb_trainer *t, const char *folder)
{
    vkb_status status = VKB_OK;
    vkb_context *ctx = gpu_context(t->model->dev);
    train_scale_state scale;
    char *text = NULL, *path = path_join(folder, STATE_FILE);
    if (!path)
        BASE_TRY(vkb_fail_memory(ctx, strlen(folder), "a path"));
    BASE_TRY(vkb_trainer_finish(t, NULL));
    BASE_TRY(folder_create(ctx, folder));
    BASE_TRY(train_scale_get(t, &scale));
    text = state_print(t, &scale);
    if (!text)
        BASE_TRY(vkb_fail_memory(ctx, 4096, STATE_FILE));
    BASE_TRY(file_write_whole(ctx, path, text, strlen(text)));
cleanup:
    cJSON_free(text);
    free(path);
    return status;
}

vkb_status vkb_trainer_save(vkb_trainer *t, const char *folder)
{
    vkb_status status = VKB_OK;
    vkb_context *ctx = gpu_context(t->model->dev);
    const bert_saved moments[] = {{&t->exp_avg, ".exp_avg"}, {&t->exp_avg_sq, ".exp_avg_sq"}};
    char *path = path_join(folder, MOMENTS_FILE);
    if (!path)
        return vkb_fail_memory(ctx, strlen(folder), "a path");
    BASE_TRY(vkb_trainer_finish(t, NULL));
    BASE_TRY(folder_create(ctx, folder));
    BASE_TRY(bert_params_save(t->model, path, moments, BASE_COUNT(moments)));
    status = vkb_trainer_save_state(t, folder);
cleanup:
    free(path);
    return status;
}

// ---- Resuming ----

static vkb_status state_read(vkb_trainer *t, const char *path, const cJSON *state)
{
    vkb_context *ctx = gpu_context(t->model->dev);
    const cJSON *foreign = cJSON_GetObjectItemCaseSensitive(state, STATE_FOREIGN);
    const cJSON *own = cJSON_GetObjectItemCaseSensitive(foreign ? foreign : state, STATE_OWN);
    const cJSON *step = cJSON_GetObjectItemCaseSensitive(state, "global_step");
    const cJSON *max_steps = cJSON_GetObjectItemCaseSensitive(state, "max_steps");
    const cJSON *seconds = cJSON_GetObjectItemCaseSensitive(own, "seconds");
    uint64_t rows = 0;
    bool ok = cJSON_IsNumber(step) && cJSON_IsNumber(max_steps) && step->valuedouble >= 0 &&
              cJSON_IsNumber(seconds) && number_get(own, "rows", &rows);
#define X(key, member) ok = ok && number_get(own, key, &t->member);
    STATE_LIST(X)
#undef X
    if (!ok)
        return vkb_fail(ctx, VKB_BAD_FILE,
                        "%s: not a trainer state that vkbert wrote: resume from a folder that "
                        "vkbert train saved, or start anew with its model",
                        path);
    if (rows != vkb_dataset_rows(t->data) || t->at.cursor.row > t->at.cursor.rows)
        return vkb_fail(ctx, VKB_BAD_FILE,
                        "%s: was saved with %llu rows of text, but now there are %llu: resume with "
                        "the same text and max_seq_length",
                        path, (unsigned long long)rows,
                        (unsigned long long)vkb_dataset_rows(t->data));
    t->at.step = (uint64_t)step->valuedouble;
    t->at.seconds = seconds->valuedouble;
    train_scale_state scale = {0};
#define X(key, member) number_get(own, key, &scale.member);
    SCALE_LIST(X)
#undef X
    vkb_status status = train_scale_set(t, &scale);
    if (status != VKB_OK)
        return status;
    // A run that was fitted to a time keeps the length it had; else the flags decide anew.
    if (t->params.max_seconds > 0)
        t->at.max_steps = (uint64_t)max_steps->valuedouble;
    return VKB_OK;
}

static const cJSON *state_kernels(const cJSON *state)
{
    const cJSON *foreign = cJSON_GetObjectItemCaseSensitive(state, STATE_FOREIGN);
    const cJSON *own = cJSON_GetObjectItemCaseSensitive(foreign ? foreign : state, STATE_OWN);
    return cJSON_GetObjectItemCaseSensitive(own, STATE_KERNELS);
}

vkb_status vkb_trainer_resume(vkb_trainer *t, const char *folder)
{
    vkb_status status = VKB_OK;
    vkb_context *ctx = gpu_context(t->model->dev);
    const bert_saved moments[] = {{&t->exp_avg, ".exp_avg"}, {&t->exp_avg_sq, ".exp_avg_sq"}};
    char *text = NULL, *path = path_join(folder, MOMENTS_FILE);
    char *state_path = path_join(folder, STATE_FILE);
    cJSON *state = NULL;
    if (!path || !state_path)
        BASE_TRY(vkb_fail_memory(ctx, strlen(folder), "a path"));
    BASE_TRY(gpu_wait_all(t->model->dev)); // the feeder starts again
    BASE_TRY(file_read(ctx, state_path, &text, NULL));
    state = cJSON_Parse(text);
    if (!state)
        BASE_TRY(vkb_fail(ctx, VKB_BAD_FILE, "%s: is not JSON", state_path));
    BASE_TRY(state_read(t, state_path, state));
    BASE_TRY(bert_params_load(t->model, path, moments, BASE_COUNT(moments)));
    BASE_TRY(train_tuning_resume(t, state_kernels(state)));
    t->feeding = false;
    t->last = (vkb_metrics){.step = t->at.step, .max_steps = t->at.max_steps};
cleanup:
    cJSON_Delete(state);
    free(text);
    free(path);
    free(state_path);
    return status;
}
