// The train command, one file a subject:
//
//   train_flags.c     the table of flags, and those of run_mlm that are not taken
//   train_recipe.c    flags -> what the library is asked for; --recipe small
//   train_folder.c    the output folder: what is there, checkpoints, clearing, final save
//   train_loop.c      steps, progress, signals
//   train_history.c   what is logged on the way: metrics.jsonl, log_history
//   train_batch.c     how many rows a batch has, where the flags leave it open
//   train_profile.c   --profile
//   train_report.c    results in JSON and the model card
//   cmd_train.c       the stages, in order
#ifndef VKB_CLI_TRAIN_H
#define VKB_CLI_TRAIN_H

#include <stdio.h>

#include "cli/cli.h"
#include "cli/files.h"
#include "cli/models.h"
#include "cli/profile.h"
#include "cli/text_flags.h"

typedef struct train_options {
    common_options common;
    // model
    const char *model, *model_type, *size, *config_name, *config_overrides, *tokenizer;
    hub_options hub;
    int64_t vocab_size, min_frequency;
    bool cased;
    const char *recipe, *position_init, *key_init;
    double initializer_range, dropout;
    // data
    text_list train_files, validation_files;
    double validation_split;
    int64_t max_seq_length, max_train_samples, max_eval_samples;
    bool pad_to_max_length;
    text_options text;
    row_options rows;
    // objective
    mask_options mask;
    double eval_mlm_probability;
    // optimiser
    double learning_rate, weight_decay, adam_beta1, adam_beta2, adam_epsilon, max_grad_norm;
    const char *scheduler;
    int64_t warmup_steps, max_steps, batch_size, accumulation, seed;
    double warmup_ratio, epochs, max_seconds;
    precision_options precision;
    // watching and keeping
    bool do_train, do_eval, eval_on_start, overwrite, plan, disable_tqdm, checkpointing, no_tune;
    int64_t logging_steps, eval_steps, save_steps, save_total_limit, eval_batch_size;
    const char *eval_strategy, *save_strategy, *save_precision, *resume, *output_dir;
    bool profile;
    const char *profile_trace;
} train_options;

extern const flag_table train_flags;

// A run, from its flags to its results.
typedef struct train_run {
    cli_state *cli;
    flag_set *set;
    train_options *options;
    bool do_train, do_eval;
    char *resume; // the folder that the run goes on from, or NULL
    // Of the flags; the folder is NULL without the flag.
    vkb_model_source model_source, tokenizer_source, config_source;

    vkb_device *device;
    vkb_tokenizer *tok;
    vkb_dataset *train, *valid;
    vkb_config config;
    vkb_model *model;
    vkb_trainer *trainer;
    bool little_time; // for the recipe's usual size
    uint32_t max_seq_length;
    vkb_train_params params;
    vkb_eval_params eval_params;

    FILE *metrics_log;               // out/metrics.jsonl
    cJSON *history;                  // its lines
    vkb_metrics metrics;             // of the newest finished step
    uint64_t submitted;              // steps
    uint64_t first_step;             // those before this run, which it goes on from
    double loss_sum, losses;         // over all steps of this run
    double log_loss_sum, log_losses; // since the last line of metrics.jsonl
    double shown;                    // when the last line was shown
    enum { PROFILE_NONE, PROFILE_WANTED, PROFILE_PLANNED, PROFILE_RUNNING, PROFILE_DONE } profile;
    uint64_t profile_begin, profile_end; // steps submitted by then
    vkb_ceilings ceilings;
    bool evaluated_before, evaluated;
    vkb_eval_result before, after;
} train_run;

// ---- train_recipe.c ----

vkb_status train_apply_recipe(train_run *run); // defaults of --recipe
vkb_status train_check_flags(train_run *run);  // which flags go together
vkb_status train_make_config(train_run *run);  // from scratch: run->config but for vocab_size
vkb_status train_choose_length(train_run *run);
void train_fill_params(train_run *run);
void train_print_recipe(train_run *run);
bool train_from_scratch(const train_run *run);

// ---- train_batch.c ----

// --per-device-train-batch-size auto: as many rows as fit, and are there.
vkb_status train_fit_memory(train_run *run);
// --recipe with --max-seconds, once there are model and text. Sets run->little_time where the
// recipe's smaller model would learn more;
vkb_status train_fit_size(train_run *run);
// takes fewer rows where there will be few steps, and says when there is too little time to learn.
vkb_status train_fit_time(train_run *run);

// ---- train_folder.c ----

// Refuses a finished run, finds what to resume from, proves that files can be written.
vkb_status train_open_folder(train_run *run);
void train_clear_folder(train_run *run); // --overwrite_output_dir: the old run's files
// Writes out/checkpoint-STEP, whole or not at all.
vkb_status train_save_checkpoint(train_run *run, char path[PATH_BYTES]);
vkb_status train_save_final(train_run *run);

// ---- train_loop.c ----

vkb_status train_loop(train_run *run);
// Until all submitted steps have finished, and takes their metrics. last: of the run.
vkb_status train_wait_for_steps(train_run *run, bool last);
// After the final save: signals end the program at once again. VKB_INTERRUPTED: there was one.
vkb_status train_end_signals(train_run *run);
vkb_status train_evaluate(train_run *run, vkb_eval_result *result, const char *when);
// SIGINT and SIGTERM end the program with 130 from here on, but inside train_loop, which first
// writes a checkpoint.
void train_catch_signals(void);
// Between true and false a first signal is kept for train_signalled.
void train_keep_signals(bool on);
bool train_signalled(void *unused);

// ---- train_tune.c ----

// Gives the run the fastest kernels, unless --no-tune or a checkpoint says which.
vkb_status train_tune(train_run *run);

// ---- train_profile.c ----

vkb_status train_profile_check(train_run *run); // which flags go together
// Measures the device's ceilings; a device without timestamps gets a warning and no profile.
vkb_status train_profile_prepare(train_run *run);
// Before each step: begins or ends what is due.
vkb_status train_profile_turn(train_run *run);
// Prints and writes what was seen, if anything.
vkb_status train_profile_end(train_run *run);

// ---- train_history.c ----

vkb_status train_open_history(train_run *run); // that of the checkpoint that the run goes on from
void train_close_history(train_run *run);
uint32_t train_saved_batch(const char *folder); // rows of a checkpoint's batch; 0: it does not say
vkb_status train_log_step(train_run *run);
vkb_status train_log_eval(train_run *run, const vkb_eval_result *result);
void train_add_eval_figures(const train_run *run, const vkb_eval_result *r, cJSON *tree);
// Adds the history to the trainer state that was saved in the folder.
vkb_status train_save_history(train_run *run, const char *folder);

// ---- train_report.c ----

vkb_status train_write_reports(train_run *run);
void train_print_summary(const train_run *run);

#endif
