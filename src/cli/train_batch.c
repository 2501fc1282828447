// How many rows a batch has, where the flags leave it open: as many as memory has room for
// (--per-device-train-batch-size auto), or as few as the time wants (--recipe with --max-seconds).
#include "cli/train.h"

#include <inttypes.h>
#include <math.h>

enum { MOST_ROWS = 65536 };

// A resumed run goes on with the rows it had.
static vkb_status resume_batch(train_run *run)
{
    run->params.batch_size = train_saved_batch(run->resume);
    if (run->params.batch_size)
        return VKB_OK;
    return cli_fail(run->cli, VKB_BAD_FILE,
                    "%s does not say how many rows a batch had: give --per-device-train-batch-size "
                    "N",
                    run->resume);
}

vkb_status train_fit_memory(train_run *run)
{
    const uint64_t rows = run->train ? vkb_dataset_rows(run->train) : UINT64_MAX;
    if (run->options->batch_size || (!run->do_train && !run->options->plan))
        return VKB_OK;
    if (run->resume)
        return resume_batch(run);
    run->params.batch_size = rows < MOST_ROWS ? (uint32_t)rows : MOST_ROWS;
    if (!run->device)
        return cli_fail(run->cli, VKB_NO_DEVICE,
                        "--per-device-train-batch-size auto needs the device: give a number");
    vkb_status status = vkb_trainer_fit(run->cli->ctx, run->device, &run->config,
                                        run->max_seq_length, &run->params);
    if (status == VKB_OK)
        output_note(&run->cli->out, "batch: %u rows fit", run->params.batch_size);
    return status;
}

// Of the small recipe on English text, rows of 32 tokens; docs/small-models.md has the figures.
enum {
    FULL_STEPS = 3000,   // of the recipe's rows: with fewer a model half as wide learns more
    GOOD_STEPS = 2000,   // of that: more steps learn more than more rows do,
    LEAST_ROWS = 8,      // but fewer rows only add noise
    FEWEST_STEPS = 800,  // fewer learn little more than word frequencies
};

static bool batch_is_open(const train_run *run)
{
    return run->options->recipe && run->options->max_seconds > 0 && run->do_train &&
           !flags_given(run->set, &run->options->batch_size);
}

vkb_status train_fit_size(train_run *run)
{
    const train_options *o = run->options;
    vkb_train_params params = run->params;
    double step = 0;
    if (!batch_is_open(run) || !train_from_scratch(run) || o->size || o->config_name ||
        o->config_overrides || o->model_type)
        return VKB_OK;
    vkb_status status = vkb_trainer_fit_time(run->model, run->tok, run->train, 1, params.batch_size,
                                             &params, &step);
    run->little_time = status == VKB_OK && o->max_seconds < FULL_STEPS * step;
    return status;
}

vkb_status train_fit_time(train_run *run)
{
    const train_options *o = run->options;
    output *out = &run->cli->out;
    double step = 0;
    if (!batch_is_open(run))
        return VKB_OK;
    if (run->resume)
        return resume_batch(run);
    vkb_status status = vkb_trainer_fit_time(run->model, run->tok, run->train, GOOD_STEPS,
                                             LEAST_ROWS, &run->params, &step);
    if (status != VKB_OK)
        return status;
    const double steps = o->max_seconds / step;
    output_note(out, "recipe %s: there is time for about %.0f steps of %u rows", o->recipe, steps,
                run->params.batch_size);
    if (train_from_scratch(run) && steps < FEWEST_STEPS)
        output_warn(out,
                    "%g seconds are too few on this device to learn much more than which words are "
                    "frequent: --max-seconds %.0f would do",
                    o->max_seconds, ceil(FEWEST_STEPS * step / 10) * 10);
    return VKB_OK;
}
