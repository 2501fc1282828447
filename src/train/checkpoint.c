// What a resumed run needs besides the model: AdamW's moments and the position in the data.
#include "base/clock.h"
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
    const double now = clock_seconds(gpu_context(t->model->dev));
    cJSON *state = cJSON_CreateObject();
    cJSON *foreign = state ? cJSON_AddObjectToObject(state, STATE_FOREIGN) : NULL;
    cJSON *own = foreign ? cJSON_AddObjectToObject(foreign, STATE_OWN) : NULL;
    ok = own && cJSON_AddNumberToObject(state, "epoch", t->last.epoch) &&
         cJSON_AddNumberToObject(state, "global_step", (double)t->at.step) &&
         cJSON_AddNumberToObject(state, "max_steps", (double)t->at.max_steps) &&
         cJSON_AddNumberToObject(state, "train_batch_size", t->params.batch_size) &&
         cJSON_AddNumberToObject(own, "seconds", budget_used(&t->budget, now)) &&
         cJSON_AddNumberToObject(own, "ready_seconds", t->budget.ready) &&
         cJSON_AddNumberToObject(own, "rated_seconds", t->budget.rated) &&
         cJSON_AddNumberToObject(own, "seconds_per_step", pace_seconds_per_step(&t->pace)) &&
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

static double state_number(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(item) && item->valuedouble > 0 ? item->valuedouble : 0;
}

static vkb_status state_read(vkb_trainer *t, const char *path, const cJSON *state)
{
    vkb_context *ctx = gpu_context(t->model->dev);
    const cJSON *foreign = cJSON_GetObjectItemCaseSensitive(state, STATE_FOREIGN);
    const cJSON *own = cJSON_GetObjectItemCaseSensitive(foreign ? foreign : state, STATE_OWN);
    const cJSON *step = cJSON_GetObjectItemCaseSensitive(state, "global_step");
    uint64_t rows = 0;
    bool ok = cJSON_IsNumber(step) && step->valuedouble >= 0 &&
              cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(own, "seconds")) &&
              number_get(own, "rows", &rows);
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
    // Older states have none of it but the first: then the pace is not known before the first step.
    t->budget = (train_budget){.seconds = t->params.max_seconds,
                               .spent = state_number(own, "seconds"),
                               .ready = state_number(own, "ready_seconds"),
                               .rated = state_number(own, "rated_seconds")};
    t->pace = (train_pace){.earlier = state_number(own, "seconds_per_step")};
    t->last = (vkb_metrics){
        .step = t->at.step, .epoch = state_number(state, "epoch"), .seconds = t->budget.spent};
    train_scale_state scale = {0};
#define X(key, member) number_get(own, key, &scale.member);
    SCALE_LIST(X)
#undef X
    return train_scale_set(t, &scale);
}

static const cJSON *state_kernels(const cJSON *state)
{
    const cJSON *foreign = cJSON_GetObjectItemCaseSensitive(state, STATE_FOREIGN);
    const cJSON *own = cJSON_GetObjectItemCaseSensitive(foreign ? foreign : state, STATE_OWN);
    return cJSON_GetObjectItemCaseSensitive(own, STATE_KERNELS);
}

// The flags may leave nothing to do.
static vkb_status find_the_end(vkb_trainer *t)
{
    vkb_context *ctx = gpu_context(t->model->dev);
    t->ended = false;
    t->at.max_steps = t->most_steps ? t->most_steps : t->at.step + 1;
    t->last.max_steps = t->at.max_steps;
    vkb_status status = train_look(t);
    if (status != VKB_OK || !t->ended)
        return status;
    if (t->most_steps && t->at.step >= t->most_steps)
        vkb_log(ctx, VKB_LOG_INFO, "all %llu steps were done before: give more to go on",
                (unsigned long long)t->most_steps);
    else
        vkb_log(ctx, VKB_LOG_INFO,
                "nothing is left of max_seconds %g, of which %.4g were spent before: give more to "
                "go on",
                t->budget.seconds, t->budget.spent);
    return VKB_OK;
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
    BASE_TRY(vkb_trainer_finish(t, NULL));
    BASE_TRY(gpu_wait_all(t->model->dev)); // the feeder starts again
    BASE_TRY(file_read(ctx, state_path, &text, NULL));
    state = cJSON_Parse(text);
    if (!state)
        BASE_TRY(vkb_fail(ctx, VKB_BAD_FILE, "%s: is not JSON", state_path));
    BASE_TRY(state_read(t, state_path, state));
    BASE_TRY(bert_params_load(t->model, path, moments, BASE_COUNT(moments)));
    BASE_TRY(train_tuning_resume(t, state_kernels(state)));
    t->feeding = false;
    BASE_TRY(find_the_end(t));
cleanup:
    cJSON_Delete(state);
    free(text);
    free(path);
    free(state_path);
    return status;
}
