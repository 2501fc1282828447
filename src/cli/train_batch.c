// How many rows a batch has, where the flags leave it open: as many as memory has room for
// (--per-device-train-batch-size auto), or as few as the time wants (--recipe with --max-seconds).
#include "cli/train.h"

#include <inttypes.h>
#include <math.h>

enum { MOST_ROWS = 65536 };

vkb_status train_fit_memory(train_run *run)
{
    const uint64_t rows = run->train ? vkb_dataset_rows(run->train) : UINT64_MAX;
    if (run->options->batch_size || (!run->do_train && !run->options->plan))
        return VKB_OK;
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

// Of the small recipe on English text; docs/small-models.md has the figures.
enum {
    GOOD_STEPS = 1000,  // more steps learn more than more rows do
    LEAST_ROWS = 8,     // fewer only add noise
    FEWEST_STEPS = 600, // of LEAST_ROWS rows: less than these learn word frequencies alone
};

vkb_status train_fit_time(train_run *run)
{
    const train_options *o = run->options;
    output *out = &run->cli->out;
    double step = 0;
    if (!o->recipe || o->max_seconds <= 0 || !run->do_train || run->resume ||
        flags_given(run->set, &o->batch_size))
        return VKB_OK;
    const uint32_t rows = run->params.batch_size;
    vkb_status status = vkb_trainer_fit_time(run->model, run->tok, run->train, GOOD_STEPS,
                                             LEAST_ROWS, &run->params, &step);
    if (status != VKB_OK)
        return status;
    const double steps = o->max_seconds / step;
    if (run->params.batch_size < rows)
        output_note(out,
                    "recipe %s: --per-device-train-batch-size %u, so that there is time for %.0f "
                    "steps",
                    o->recipe, run->params.batch_size, steps);
    if (train_from_scratch(run) && steps < FEWEST_STEPS)
        output_warn(out,
                    "%g seconds are about %.0f steps on this device: too few to learn more than "
                    "which words are frequent; --max-seconds %.0f would do",
                    o->max_seconds, steps, ceil(FEWEST_STEPS * step / 10) * 10);
    return VKB_OK;
}
