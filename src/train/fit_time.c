// The batch with which a time has room for enough steps: trial steps, measured.
#include "train/trainer.h"

#include <float.h>
#include <math.h>

enum { TRIAL_STEPS = 3 }; // behind one to warm up

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

// How long a step takes.
static vkb_status try_steps(vkb_model *model, const vkb_tokenizer *tok, vkb_dataset *data,
                            const vkb_train_params *params, double *seconds)
{
    vkb_status status = VKB_OK;
    vkb_trainer *t = NULL;
    vkb_metrics first, all;
    vkb_train_params trial = *params;
    trial.learning_rate = DBL_MIN; // which is 0 in fp32, as the device has it
    trial.max_seconds = 0;
    trial.max_steps = 1 + TRIAL_STEPS;
    BASE_TRY(vkb_trainer_create(model, tok, data, &trial, &t));
    BASE_TRY(run_steps(t, 1, &first));
    *seconds = first.seconds;
    if (first.seconds < LONG_STEP * params->max_seconds) {
        BASE_TRY(run_steps(t, TRIAL_STEPS, &all));
        *seconds = (all.seconds - first.seconds) / (double)(all.step - first.step);
    }
cleanup:
    vkb_trainer_destroy(&t);
    return status;
}

vkb_status vkb_trainer_fit_time(vkb_model *model, const vkb_tokenizer *tok, vkb_dataset *data,
                                uint64_t steps, uint32_t least, vkb_train_params *params,
                                double *seconds_per_step)
{
    for (;;) {
        vkb_status status = try_steps(model, tok, data, params, seconds_per_step);
        const uint32_t half = params->batch_size / 2;
        if (status != VKB_OK || half < least ||
            (double)steps * *seconds_per_step <= params->max_seconds)
            return status;
        params->batch_size = half;
    }
}
