// Steps, what is said about them, checkpoints on the way, and signals.
#include "cli/train.h"

#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { SECONDS_BETWEEN_LINES = 10, BAR_WIDTH = 20 };
#define SECONDS_BETWEEN_REDRAWS 0.1

// ---- Signals ----

static volatile sig_atomic_t signals_seen, signals_wait;

// The first signal while steps run is left to the loop; any other ends the program at once. What it
// was writing has not got its name yet.
static void on_signal(int number)
{
    static const char sentence[] = "\nvkbert: interrupted\n";
    (void)number;
    if (!signals_wait || signals_seen) {
        (void)!write(STDERR_FILENO, sentence, sizeof(sentence) - 1);
        _exit(130);
    }
    signals_seen = 1;
}

void train_catch_signals(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

void train_keep_signals(bool on)
{
    signals_wait = on;
}

bool train_signalled(void *unused)
{
    (void)unused;
    return signals_seen;
}

// Appends a word as a shell takes it back; false when it does not fit.
static bool add_quoted(char *line, size_t bytes, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-_./=:,+@%";
    size_t at = strlen(line);
    bool quoted = !*word || strspn(word, plain) != strlen(word);
    if (at + 4 * strlen(word) + 4 > bytes) // each ' becomes four characters
        return false;
    at += (size_t)sprintf(line + at, " %s", quoted ? "'" : "");
    for (; *word; word++)
        at += (size_t)sprintf(line + at, *word == '\'' ? "'\\''" : "%c", *word);
    strcpy(line + at, quoted ? "'" : "");
    return true;
}

// The command line that goes on from the checkpoint; false when it does not fit.
static bool make_resume_line(const cli_state *cli, const char *checkpoint, char *line, size_t bytes)
{
    bool fits = true;
    for (int i = 0; i < cli->argc && fits; i++) {
        if (strncmp(cli->argv[i], "--resume", 8) != 0) {
            fits = add_quoted(line, bytes, cli->argv[i]);
            continue;
        }
        // The new one replaces it and its value.
        bool apart = i + 1 < cli->argc && cli->argv[i + 1][0] != '-';
        i += apart && !strchr(cli->argv[i], '=');
    }
    return fits && add_quoted(line, bytes, "--resume-from-checkpoint") &&
           add_quoted(line, bytes, checkpoint);
}

static vkb_status fail_interrupted(train_run *run)
{
    cli_state *cli = run->cli;
    char path[PATH_BYTES], line[1536] = "";
    if (!run->metrics.step)
        return cli_fail(cli, VKB_INTERRUPTED, "interrupted before the first step");
    vkb_status status = train_save_checkpoint(run, path);
    if (status != VKB_OK)
        return status;
    if (!make_resume_line(cli, path, line, sizeof(line)))
        return cli_fail(cli, VKB_INTERRUPTED,
                        "interrupted at step %" PRIu64 "; to go on, add this to the same command: "
                        "--resume-from-checkpoint %s",
                        run->metrics.step, path);
    return cli_fail(cli, VKB_INTERRUPTED, "interrupted at step %" PRIu64 "; to go on:\n\n  %s\n",
                    run->metrics.step, line + 1);
}

// ---- Progress ----

// Before there is a pace there is no estimate.
static short_text show_pace(const vkb_metrics *m)
{
    if (m->tokens_per_second > 0)
        return show_count((uint64_t)m->tokens_per_second);
    return (short_text){"?"};
}

static short_text show_left(const vkb_metrics *m)
{
    return show_seconds(m->tokens_per_second > 0 ? m->seconds_left : -1);
}

static void show_live(train_run *run, bool last)
{
    if (!last && output_clock() - run->shown < SECONDS_BETWEEN_REDRAWS)
        return;
    run->shown = output_clock();
    const vkb_metrics *m = &run->metrics;
    char line[256], bar[BAR_WIDTH + 1];
    double share = m->max_steps ? (double)m->step / (double)m->max_steps : 0;
    output_bar(bar, BAR_WIDTH, share);
    snprintf(line, sizeof(line),
             "[%s] %" PRIu64 "/%" PRIu64 "  loss %.3f  lr %.1e  %s tok/s  %s left", bar, m->step,
             m->max_steps, m->loss, m->learning_rate, show_pace(m).text, show_left(m).text);
    output_live(&run->cli->out, line);
}

static void show_line(train_run *run)
{
    const vkb_metrics *m = &run->metrics;
    run->shown = output_clock();
    output_note(&run->cli->out,
                "step %" PRIu64 "/%" PRIu64 "  epoch %.2f  loss %.4f  learning rate %.2e  %s "
                "tokens/s  %s left",
                m->step, m->max_steps, m->epoch, m->loss, m->learning_rate, show_pace(m).text,
                show_left(m).text);
}

// Takes the metrics of a step that has finished.
static vkb_status note_step(train_run *run, const vkb_metrics *m, bool last)
{
    uint64_t before = run->metrics.step, every = (uint64_t)run->options->logging_steps;
    if (m->step == before || !m->step)
        return VKB_OK;
    run->metrics = *m;
    if (!isfinite(m->loss))
        return cli_fail(run->cli, VKB_FAILED,
                        "the loss is not a number any more at step %" PRIu64
                        ": lower --learning-rate, or raise --warmup-steps",
                        m->step);
    // Steps that finished unseen are taken to have had the loss of the next that was seen.
    double steps = run->losses > 0 ? (double)(m->step - before) : 1;
    bool due = last || run->losses == 0 || m->step / every != before / every;
    run->loss_sum += steps * m->loss;
    run->log_loss_sum += steps * m->loss;
    run->losses += steps;
    run->log_losses += steps;
    if (run->cli->out.live)
        show_live(run, last);
    else if (due || output_clock() - run->shown >= SECONDS_BETWEEN_LINES)
        show_line(run);
    return due ? train_log_step(run) : VKB_OK;
}

// ---- Steps ----

vkb_status train_evaluate(train_run *run, vkb_eval_result *result, const char *when)
{
    vkb_status status = vkb_evaluate(run->model, run->tok, run->valid, &run->eval_params, result);
    if (status != VKB_OK)
        return status;
    output_note(&run->cli->out,
                "held out, %s: loss %.4f, perplexity %.2f, top-1 %.1f %%, top-5 %.1f %%", when,
                result->loss, result->perplexity, 100 * result->top1, 100 * result->top5);
    return train_log_eval(run, result);
}

static bool is_due(const train_run *run, const char *strategy, int64_t every)
{
    return strcmp(strategy, "steps") == 0 && run->submitted % (uint64_t)every == 0;
}

vkb_status train_wait_for_steps(train_run *run, bool last)
{
    vkb_metrics metrics = {0};
    vkb_status status = vkb_trainer_finish(run->trainer, &metrics);
    return status == VKB_OK ? note_step(run, &metrics, last) : status;
}

// What is due between two steps, when all those submitted have finished.
static vkb_status pause_steps(train_run *run)
{
    const train_options *o = run->options;
    char path[PATH_BYTES], when[48];
    vkb_status status = VKB_OK;
    bool save = is_due(run, o->save_strategy, o->save_steps);
    bool evaluate = run->valid && is_due(run, o->eval_strategy, o->eval_steps);
    if (!save && !evaluate)
        return VKB_OK;
    CLI_TRY(train_wait_for_steps(run, false));
    if (evaluate) {
        vkb_eval_result result = {0};
        snprintf(when, sizeof(when), "step %" PRIu64, run->metrics.step);
        CLI_TRY(train_evaluate(run, &result, when));
    }
    if (save) {
        CLI_TRY(train_save_checkpoint(run, path));
        output_note(&run->cli->out, "saved %s", path);
    }
cleanup:
    return status;
}

vkb_status train_loop(train_run *run)
{
    bool done = false;
    vkb_status status = VKB_OK;
    signals_wait = 1;
    run->first_step = run->submitted;
    if (run->params.max_seconds > 0)
        output_note(&run->cli->out,
                    "--max-seconds %g: the learning rate follows the time, so that this run is not "
                    "repeatable to the bit",
                    run->params.max_seconds);
    while (!done && !signals_seen) {
        vkb_metrics metrics = {0};
        CLI_TRY(train_profile_turn(run));
        CLI_TRY(vkb_train_step(run->trainer, &metrics, &done));
        run->submitted++;
        CLI_TRY(note_step(run, &metrics, false));
        if (!done && !signals_seen)
            CLI_TRY(pause_steps(run));
    }
    CLI_TRY(train_wait_for_steps(run, true));
    CLI_TRY(train_profile_end(run));
    output_end_line(&run->cli->out);
    if (!done)
        status = fail_interrupted(run);
cleanup:
    if (status != VKB_OK)
        signals_wait = 0;
    return status;
}

vkb_status train_end_signals(train_run *run)
{
    signals_wait = 0;
    if (!signals_seen)
        return VKB_OK;
    return cli_fail(run->cli, VKB_INTERRUPTED,
                    "interrupted when all steps were done; the trained model is saved in %s",
                    run->options->output_dir);
}
