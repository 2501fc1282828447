// The output folder of a run. A run is finished when its model.safetensors is there; checkpoint-N
// folders are written under a hidden name and renamed, so that they are whole.
#include "cli/train.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char weights_name[] = "model.safetensors";
static const char moments_name[] = "optimizer.safetensors";

// What a checkpoint is made of, the weights first.
static const char *const checkpoint_files[] = {
    weights_name, moments_name,     "trainer_state.json",    "config.json",
    "vocab.txt",  "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
};

// What makes a folder's run look finished.
static const char *const result_files[] = {
    weights_name,        moments_name,       "trainer_state.json", "train_results.json",
    "eval_results.json", "all_results.json", "metrics.jsonl",      "README.md",
};

static bool has(const char *folder, const char *name)
{
    char path[PATH_BYTES];
    return path_in(path, folder, name) && path_exists(path);
}

static void remove_files(const char *folder, const char *const *names, size_t count)
{
    char path[PATH_BYTES];
    for (size_t i = 0; i < count; i++) {
        if (path_in(path, folder, names[i]))
            unlink(path);
    }
}

// Files that are not ours keep their folder.
static void remove_checkpoint(const char *folder)
{
    remove_files(folder, checkpoint_files, CLI_COUNT(checkpoint_files));
    rmdir(folder);
}

// ---- Checkpoints in a folder ----

static bool checkpoint_step(const char *name, uint64_t *step)
{
    static const char prefix[] = "checkpoint-";
    if (strncmp(name, prefix, sizeof(prefix) - 1) != 0)
        return false;
    const char *digits = name + sizeof(prefix) - 1;
    char again[24];
    *step = strtoull(digits, NULL, 10);
    snprintf(again, sizeof(again), "%" PRIu64, *step);
    return strcmp(digits, again) == 0; // checkpoint-07 is not ours
}

typedef struct checkpoint_range {
    uint64_t oldest, newest;
    size_t count;
} checkpoint_range;

// All but that of step `kept`; 0: all.
static checkpoint_range find_checkpoints(const char *folder, uint64_t kept)
{
    checkpoint_range range = {0};
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        uint64_t step;
        if (!checkpoint_step(entry->d_name, &step) || (kept && step == kept))
            continue;
        if (!range.count || step < range.oldest)
            range.oldest = step;
        if (!range.count || step > range.newest)
            range.newest = step;
        range.count++;
    }
    if (dir)
        closedir(dir);
    return range;
}

static bool checkpoint_path(char *path, const char *folder, uint64_t step)
{
    char name[48];
    snprintf(name, sizeof(name), "checkpoint-%" PRIu64, step);
    return path_in(path, folder, name);
}

// ---- Before a run ----

static vkb_status resume_from(train_run *run, const char *folder)
{
    if (!path_is_folder(folder) || !has(folder, moments_name))
        return cli_fail(run->cli, VKB_BAD_FILE, "%s is no checkpoint to resume from: it has no %s",
                        folder, moments_name);
    run->resume = strdup(folder);
    return run->resume ? VKB_OK : cli_fail_memory(run->cli);
}

// The step that the run in folder ended at; 0: its state cannot be read, which resuming will say.
static uint64_t ended_step(const char *folder)
{
    static const char key[] = "\"global_step\":";
    char path[PATH_BYTES], text[4096];
    FILE *file = path_in(path, folder, "trainer_state.json") ? fopen(path, "rb") : NULL;
    size_t bytes = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
    if (file)
        fclose(file);
    text[bytes] = 0;
    const char *at = strstr(text, key);
    return at ? strtoull(at + sizeof(key) - 1, NULL, 10) : 0;
}

static vkb_status resume_newest(train_run *run)
{
    char path[PATH_BYTES];
    const char *folder = run->options->output_dir;
    checkpoint_range range = find_checkpoints(folder, 0);
    bool ended = has(folder, weights_name) && has(folder, moments_name);
    bool newer = range.count && (!ended || range.newest > ended_step(folder));
    if (newer && checkpoint_path(path, folder, range.newest))
        return resume_from(run, path);
    if (ended)
        return resume_from(run, folder);
    return cli_fail(run->cli, VKB_BAD_FILE,
                    "%s holds no checkpoint to resume from; leave --resume-from-checkpoint out to "
                    "start",
                    folder);
}

// A folder with files that the run would replace, and that no run of ours has left there.
static vkb_status check_others(const train_run *run)
{
    static const char *const replaced[] = {
        "config.json",        "vocab.txt",        "tokenizer.json",    "tokenizer_config.json",
        "README.md",          "all_results.json", "eval_results.json", "special_tokens_map.json",
        "train_results.json",
    };
    const char *folder = run->options->output_dir;
    for (size_t i = 0; i < CLI_COUNT(replaced); i++)
        if (has(folder, replaced[i]))
            return cli_fail(run->cli, VKB_BAD_ARGUMENT,
                            "%s holds %s, which the run would replace: choose another "
                            "--output-dir, or allow it with --overwrite-output-dir",
                            folder, replaced[i]);
    return VKB_OK;
}

static vkb_status resume_unfinished(train_run *run)
{
    char path[PATH_BYTES];
    const char *folder = run->options->output_dir;
    checkpoint_range range = find_checkpoints(folder, 0);
    if (has(folder, weights_name))
        return cli_fail(run->cli, VKB_BAD_ARGUMENT,
                        "%s holds a finished run: choose another --output-dir, replace it with "
                        "--overwrite-output-dir, or go on from it with --resume-from-checkpoint",
                        folder);
    if (!range.count || !checkpoint_path(path, folder, range.newest))
        return check_others(run);
    output_note(&run->cli->out, "going on from %s (--overwrite-output-dir starts anew)", path);
    return resume_from(run, path);
}

vkb_status train_open_folder(train_run *run)
{
    const train_options *o = run->options;
    vkb_status status = VKB_OK;
    if (o->plan)
        return VKB_OK;
    if (run->do_train && o->resume)
        status = *o->resume ? resume_from(run, o->resume) : resume_newest(run);
    else if (run->do_train && !o->overwrite)
        status = resume_unfinished(run);
    return status == VKB_OK ? folder_prepare(run->cli, o->output_dir) : status;
}

void train_clear_folder(train_run *run)
{
    const char *folder = run->options->output_dir;
    char path[PATH_BYTES];
    if (!run->options->overwrite || run->resume)
        return;
    remove_files(folder, result_files, CLI_COUNT(result_files));
    for (checkpoint_range range; (range = find_checkpoints(folder, 0)).count;) {
        if (!checkpoint_path(path, folder, range.oldest))
            break;
        remove_checkpoint(path);
        if (path_exists(path)) {
            output_warn(&run->cli->out, "%s holds files of others and stays", path);
            break;
        }
    }
}

// ---- Saving ----

// Whether the final model is rounded; no run can go on from it then, and none is offered to.
static bool is_rounded(const train_run *run)
{
    return precision_named(run->options->save_precision) != VKB_FP32;
}

static vkb_status save_into(train_run *run, const char *folder, bool rounded)
{
    const vkb_save_params params = {
        .precision = rounded ? precision_named(run->options->save_precision) : VKB_FP32};
    vkb_status status = VKB_OK;
    CLI_TRY(vkb_tokenizer_save(run->tok, folder));
    CLI_TRY(rounded ? vkb_trainer_save_state(run->trainer, folder)
                    : vkb_trainer_save(run->trainer, folder));
    CLI_TRY(train_save_history(run, folder));
    CLI_TRY(vkb_model_save(run->model, folder, &params)); // last: it marks a finished run
cleanup:
    return status;
}

// Removes the oldest beyond the limit, never the one of step `kept`, which was just written.
static void limit_checkpoints(const train_run *run, uint64_t kept)
{
    const train_options *o = run->options;
    char path[PATH_BYTES];
    checkpoint_range range = find_checkpoints(o->output_dir, kept);
    while (o->save_total_limit > 0 && range.count + 1 > (size_t)o->save_total_limit) {
        if (!checkpoint_path(path, o->output_dir, range.oldest))
            return;
        remove_checkpoint(path);
        if (path_exists(path))
            return;
        range = find_checkpoints(o->output_dir, kept);
    }
}

vkb_status train_save_checkpoint(train_run *run, char path[PATH_BYTES])
{
    char hidden[PATH_BYTES], name[64];
    const char *folder = run->options->output_dir;
    vkb_status status = VKB_OK;
    snprintf(name, sizeof(name), ".checkpoint-%" PRIu64 ".%ld", run->metrics.step, (long)getpid());
    if (!path_in(hidden, folder, name) || !checkpoint_path(path, folder, run->metrics.step))
        return cli_fail(run->cli, VKB_IO, "%s: the path is too long", folder);
    CLI_TRY(folder_prepare(run->cli, hidden));
    CLI_TRY(save_into(run, hidden, false));
    remove_checkpoint(path); // of the same step, when a run was resumed before it
    if (rename(hidden, path) != 0)
        CLI_TRY(cli_fail(run->cli, VKB_IO, "%s cannot be made: %s", path, strerror(errno)));
    limit_checkpoints(run, run->metrics.step);
cleanup:
    if (status != VKB_OK)
        remove_checkpoint(hidden);
    return status;
}

// Everything is written beside its place first; then the weights, which mark a finished run, go
// first and come last.
vkb_status train_save_final(train_run *run)
{
    char hidden[PATH_BYTES], from[PATH_BYTES], to[PATH_BYTES], name[64];
    const char *folder = run->options->output_dir;
    vkb_status status = VKB_OK;
    snprintf(name, sizeof(name), ".final.%ld", (long)getpid());
    if (!path_in(hidden, folder, name) || !path_in(to, folder, weights_name))
        return cli_fail(run->cli, VKB_IO, "%s: the path is too long", folder);
    CLI_TRY(folder_prepare(run->cli, hidden));
    CLI_TRY(save_into(run, hidden, is_rounded(run)));
    unlink(to);
    for (size_t i = CLI_COUNT(checkpoint_files); i-- > 0;) {
        if (!path_in(from, hidden, checkpoint_files[i]) ||
            !path_in(to, folder, checkpoint_files[i]))
            CLI_TRY(cli_fail(run->cli, VKB_IO, "%s: the path is too long", folder));
        if (checkpoint_files[i] == moments_name && is_rounded(run))
            unlink(to); // those of a resumed run do not belong to what is there now
        else if (rename(from, to) != 0)
            CLI_TRY(cli_fail(run->cli, VKB_IO, "%s cannot be made: %s", to, strerror(errno)));
    }
cleanup:
    remove_checkpoint(hidden);
    return status;
}
