// The batch with which a time has room for enough steps: trial steps, measured.
#include "train/trainer.h"

#include <float.h>

// Behind the first, in which drivers compile, and the second, which says whether more are short
// enough.
enum { MORE_STEPS = 3 };

// A step that takes more than this share of the time is not repeated.
#define LONG_STEP 0.01

// Runs until *done or `steps` more are submitted, and waits for them.
static vkb_status run_steps(vkb_trainer *t, uint64_t steps, vkb_metrics *metrics)
{
    vkb_status status = VKB_OK;
    bool done = false;
    for (uint64_t i = 0; i < steps && !done && status == VKB_OK; i++)
        status = vkb_train_step(t, NULL, &done);
    return status == VKB_OK ? vkb_trainer_finish(t, metrics) : status;
}

typedef struct trial {
    vkb_model *model;
    const vkb_tokenizer *tok;
    vkb_dataset *data;
    const vkb_train_params *params;
} trial;

// How long a step of so many rows takes.
static vkb_status try_steps(void *trial_, uint32_t rows, double *seconds)
{
    const trial *x = trial_;
    vkb_status status = VKB_OK;
    vkb_trainer *t = NULL;
    vkb_metrics from, to;
    vkb_train_params params = *x->params;
    params.batch_size = rows;
    params.learning_rate = DBL_MIN; // which is 0 in fp32, as the device has it
    params.max_seconds = 0;
    params.max_steps = 2 + MORE_STEPS;
    BASE_TRY(vkb_trainer_create(x->model, x->tok, x->data, &params, &t));
    BASE_TRY(run_steps(t, 1, &from));
    BASE_TRY(run_steps(t, 1, &to));
    if (to.seconds - from.seconds < LONG_STEP * x->params->max_seconds)
        BASE_TRY(run_steps(t, MORE_STEPS, &to));
    *seconds = (to.seconds - from.seconds) / (double)(to.step - from.step);
cleanup:
    vkb_trainer_destroy(&t);
    return status;
}

vkb_status train_fit_rows(train_try_fn try_rows, void *user, double longest, uint32_t least,
                          uint32_t *rows, double *seconds)
{
    for (;;) {
        const vkb_status status = try_rows(user, *rows, seconds);
        if (status != VKB_OK || *seconds <= longest || *rows / 2 < least)
            return status;
        *rows /= 2;
    }
}

vkb_status vkb_trainer_fit_time(vkb_model *model, const vkb_tokenizer *tok, vkb_dataset *data,
                                uint64_t steps, uint32_t least, vkb_train_params *params,
                                double *seconds_per_step)
{
    trial x = {model, tok, data, params};
    return train_fit_rows(try_steps, &x, params->max_seconds / (double)steps, least,
                          &params->batch_size, seconds_per_step);
}
