// Before the first step: the kernels that the run gets. A resumed run has those of its checkpoint, so that it
// equals an uninterrupted one.
#include "cli/train.h"
#include "cli/tuning.h"

vkb_status train_tune(train_run *run)
{
    vkb_tuning *tuning = NULL;
    if (run->options->no_tune || run->resume)
        return VKB_OK;
    train_keep_signals(true);
    vkb_status status = tuning_run(run->cli, run->trainer, false, train_signalled, &tuning);
    train_keep_signals(false);
    if (status == VKB_OK && train_signalled(NULL))
        status = cli_fail(run->cli, VKB_INTERRUPTED, "interrupted before the first step");
    if (status == VKB_OK)
        tuning_note(&run->cli->out, tuning);
    vkb_tuning_free(&tuning);
    return status;
}
