// --profile: some of the run's steps are timed kernel by kernel, between steps as they are.
#include "cli/train.h"

#include <inttypes.h>

// Steps that are timed as they are, and then as many kernel by kernel; fewer in a short run.
enum { PROFILE_STEPS = 10 };

vkb_status train_profile_check(train_run *run)
{
    const train_options *o = run->options;
    vkb_status status = VKB_OK;
    if (o->profile_trace && !o->profile)
        return cli_fail(run->cli, VKB_BAD_ARGUMENT, "--profile-trace is for a run with --profile");
    if (o->profile && !run->do_train)
        return cli_fail(run->cli, VKB_BAD_ARGUMENT, "--profile times training: give --do-train");
    if (o->profile_trace)
        status = profile_check_trace(run->cli, o->profile_trace);
    return status;
}

vkb_status train_profile_prepare(train_run *run)
{
    const vkb_device_info *info = vkb_device_get_info(run->device);
    if (!run->options->profile || !run->do_train)
        return VKB_OK;
    if (!info->timestamps) {
        output_warn(&run->cli->out,
                    "%s (%s) has no timestamps, so that its kernels cannot be timed: training goes "
                    "on without --profile",
                    info->name, info->driver);
        return VKB_OK;
    }
    run->profile = PROFILE_WANTED;
    return vkb_device_measure(run->device, run->params.precision, &run->ceilings);
}

// Table and trace.
static vkb_status show(train_run *run, const vkb_profile *profile)
{
    const train_options *o = run->options;
    char path[PATH_BYTES];
    if (!profile->steps)
        return VKB_OK;
    output_end_line(&run->cli->out);
    profile_print(profile, &run->ceilings);
    printf("\n");
    fflush(stdout);
    if (!o->profile_trace && !path_in(path, o->output_dir, "profile_trace.json"))
        return cli_fail(run->cli, VKB_IO, "%s: the path is too long", o->output_dir);
    return profile_write_trace(run->cli, o->profile_trace ? o->profile_trace : path,
                               vkb_device_get_info(run->device), profile);
}

// How far the run is known once a step has finished: then half of what is left stays as it is.
static void plan(train_run *run)
{
    const vkb_metrics *m = &run->metrics;
    const uint64_t left = m->max_steps > run->submitted ? m->max_steps - run->submitted : 0;
    const uint64_t steps = left < 2 * PROFILE_STEPS ? (left + 1) / 2 : PROFILE_STEPS;
    run->profile = PROFILE_PLANNED;
    run->profile_begin = run->submitted + (left < 2 * PROFILE_STEPS ? left - steps : steps);
    run->profile_end = run->profile_begin + steps;
}

vkb_status train_profile_turn(train_run *run)
{
    vkb_status status = VKB_OK;
    if (run->profile == PROFILE_WANTED && run->submitted > run->first_step) {
        CLI_TRY(train_wait_for_steps(run, false));
        plan(run);
    }
    if (run->profile == PROFILE_PLANNED && run->submitted >= run->profile_begin) {
        CLI_TRY(train_wait_for_steps(run, false));
        CLI_TRY(vkb_trainer_profile_begin(run->trainer));
        run->profile = PROFILE_RUNNING;
    }
    if (run->profile == PROFILE_RUNNING && run->submitted >= run->profile_end)
        CLI_TRY(train_profile_end(run));
cleanup:
    return status;
}

vkb_status train_profile_end(train_run *run)
{
    vkb_profile *profile = NULL;
    vkb_status status = VKB_OK;
    if (run->profile == PROFILE_WANTED || run->profile == PROFILE_PLANNED)
        output_warn(&run->cli->out, "the run ended before --profile could time a step");
    if (run->profile != PROFILE_RUNNING)
        return VKB_OK;
    CLI_TRY(vkb_trainer_profile_end(run->trainer, &profile));
    run->profile = PROFILE_DONE;
    CLI_TRY(show(run, profile));
cleanup:
    vkb_profile_free(&profile);
    return status;
}
