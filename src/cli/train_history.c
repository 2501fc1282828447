// What is logged on the way: metrics.jsonl, a line a logged step or evaluation, and the same as
// log_history in trainer_state.json, where transformers' Trainer has it. A checkpoint holds the history
// up to its step; a resumed run goes on from that, whatever was logged behind it.
#include "cli/train.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char log_name[] = "metrics.jsonl", state_name[] = "trainer_state.json";

static vkb_status fail_log(const train_run *run)
{
    return cli_fail(run->cli, VKB_IO, "%s/%s cannot be written: %s", run->options->output_dir,
                    log_name, strerror(errno));
}

// A line, unlike a file, may be the last of a run that broke off.
static vkb_status write_line(train_run *run, const cJSON *entry)
{
    char *text = cJSON_PrintUnformatted(entry);
    if (!text)
        return cli_fail_memory(run->cli);
    bool written = fprintf(run->metrics_log, "%s\n", text) > 0 && fflush(run->metrics_log) == 0;
    free(text);
    return written ? VKB_OK : fail_log(run);
}

// Takes the entry over.
static vkb_status append(train_run *run, cJSON *entry)
{
    if (!entry || !cJSON_AddItemToArray(run->history, entry)) {
        cJSON_Delete(entry);
        return cli_fail_memory(run->cli);
    }
    return write_line(run, entry);
}

// ---- Before and after a run ----

// The trainer state in a folder, or NULL.
static cJSON *read_state(const char *folder)
{
    char path[PATH_BYTES];
    char *text = path_in(path, folder, state_name) ? file_read_text(path) : NULL;
    cJSON *state = text ? cJSON_Parse(text) : NULL;
    free(text);
    return state;
}

uint32_t train_saved_batch(const char *folder)
{
    cJSON *state = read_state(folder);
    const cJSON *rows = cJSON_GetObjectItemCaseSensitive(state, "train_batch_size");
    const double value = cJSON_IsNumber(rows) ? rows->valuedouble : 0;
    cJSON_Delete(state);
    return value >= 1 && value <= UINT32_MAX ? (uint32_t)value : 0;
}

vkb_status train_open_history(train_run *run)
{
    char path[PATH_BYTES];
    vkb_status status = VKB_OK;
    cJSON *state = run->resume ? read_state(run->resume) : NULL;
    run->history = cJSON_DetachItemFromObjectCaseSensitive(state, "log_history");
    cJSON_Delete(state);
    if (!cJSON_IsArray(run->history)) {
        cJSON_Delete(run->history);
        run->history = cJSON_CreateArray();
    }
    if (!run->history)
        return cli_fail_memory(run->cli);
    if (!path_in(path, run->options->output_dir, log_name))
        return cli_fail(run->cli, VKB_IO, "%s: the path is too long", run->options->output_dir);
    run->metrics_log = fopen(path, "w");
    if (!run->metrics_log)
        return fail_log(run);
    for (const cJSON *entry = run->history->child; entry && status == VKB_OK; entry = entry->next)
        status = write_line(run, entry);
    return status;
}

void train_close_history(train_run *run)
{
    if (run->metrics_log)
        fclose(run->metrics_log);
    run->metrics_log = NULL;
    cJSON_Delete(run->history);
    run->history = NULL;
}

vkb_status train_save_history(train_run *run, const char *folder)
{
    const train_options *o = run->options;
    cJSON *state = read_state(folder);
    bool ok = state && cJSON_AddNumberToObject(state, "logging_steps", (double)o->logging_steps) &&
              cJSON_AddNumberToObject(state, "eval_steps", (double)o->eval_steps) &&
              cJSON_AddNumberToObject(state, "save_steps", (double)o->save_steps) &&
              cJSON_AddNullToObject(state, "best_metric") &&
              cJSON_AddNullToObject(state, "best_global_step") &&
              cJSON_AddNullToObject(state, "best_model_checkpoint") &&
              cJSON_AddTrueToObject(state, "is_local_process_zero") &&
              cJSON_AddTrueToObject(state, "is_world_process_zero") &&
              cJSON_AddItemReferenceToObject(state, "log_history", run->history);
    char *text = ok ? cJSON_Print(state) : NULL;
    vkb_status status =
        text ? file_write_text(run->cli, folder, state_name, text) : cli_fail_memory(run->cli);
    free(text);
    cJSON_Delete(state);
    return status;
}

// ---- Entries ----

static void add_number(cJSON *tree, const char *name, double value)
{
    cJSON_AddNumberToObject(tree, name, value);
}

vkb_status train_log_step(train_run *run)
{
    const vkb_metrics *m = &run->metrics;
    if (!run->metrics_log)
        return VKB_OK;
    cJSON *tree = cJSON_CreateObject();
    add_number(tree, "step", (double)m->step);
    add_number(tree, "epoch", m->epoch);
    add_number(tree, "loss", run->log_loss_sum / run->log_losses);
    add_number(tree, "learning_rate", m->learning_rate);
    add_number(tree, "grad_norm", m->grad_norm);
    add_number(tree, "masked_tokens", (double)m->masked_tokens);
    add_number(tree, "overflowed_tokens", (double)m->overflowed_tokens);
    if (run->params.precision == VKB_FP16) {
        add_number(tree, "loss_scale", m->loss_scale);
        add_number(tree, "skipped_steps", (double)m->skipped_steps);
    }
    if (run->params.objective != VKB_OBJECTIVE_MLM) {
        add_number(tree, "next_sentence_loss", m->next_sentence_loss);
        add_number(tree, "next_sentence_accuracy", m->next_sentence_accuracy);
    }
    add_number(tree, "tokens_per_second", m->tokens_per_second);
    add_number(tree, "stalls", (double)m->stalls);
    add_number(tree, "seconds", m->seconds);
    run->log_loss_sum = 0;
    run->log_losses = 0;
    return append(run, tree);
}

// transformers' names where it has one. A perplexity beyond doubles is null: JSON has no infinity.
void train_add_eval_figures(const train_run *run, const vkb_eval_result *r, cJSON *tree)
{
    const vkb_objective objective = run->eval_params.objective;
    if (objective == VKB_OBJECTIVE_NSP) {
        add_number(tree, "eval_loss", r->next_sentence_loss);
    } else {
        add_number(tree, "eval_loss", r->loss);
        add_number(tree, "perplexity", r->perplexity);
        add_number(tree, "eval_accuracy", r->top1);
        add_number(tree, "eval_accuracy_top5", r->top5);
    }
    if (objective != VKB_OBJECTIVE_MLM) {
        add_number(tree, "eval_next_sentence_loss", r->next_sentence_loss);
        add_number(tree, "eval_next_sentence_accuracy", r->next_sentence_accuracy);
    }
}

vkb_status train_log_eval(train_run *run, const vkb_eval_result *result)
{
    if (!run->metrics_log)
        return VKB_OK;
    cJSON *tree = cJSON_CreateObject();
    add_number(tree, "step", (double)run->metrics.step);
    add_number(tree, "epoch", run->metrics.epoch);
    train_add_eval_figures(run, result, tree);
    return append(run, tree);
}
