// vkbert train: a drop-in for run_mlm.py. The stages, in order; all that can be refused is refused
// before anything slow starts.
#include "cli/train.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// ---- Tokenizer and text ----

// NULL: one is trained.
static const char *tokenizer_folder(const train_run *run)
{
    const char *own = run->tokenizer_source.folder;
    return own ? own : run->model_source.folder;
}

static vkb_status open_tokenizer(train_run *run)
{
    const train_options *o = run->options;
    const char *folder = run->resume ? run->resume : tokenizer_folder(run);
    if (folder)
        return vkb_tokenizer_load(run->cli->ctx, folder, &run->tok);
    vkb_vocab_params params = {.vocab_size = (uint32_t)o->vocab_size,
                               .min_frequency = (uint32_t)o->min_frequency,
                               .cased = o->cased};
    output_note(&run->cli->out, "training a vocabulary of %" PRId64 " on the text", o->vocab_size);
    const vkb_text_source source = text_source(run->cli, &o->train_files, &o->text);
    return vkb_tokenizer_train(run->cli->ctx, &source, &params, &run->tok);
}

static vkb_status load_file_set(train_run *run, const text_list *files, int64_t max_samples,
                                double split, vkb_dataset **out, vkb_dataset **held_out)
{
    const train_options *o = run->options;
    const vkb_text_source source = text_source(run->cli, files, &o->text);
    vkb_dataset_params params = {
        .max_seq_length = run->max_seq_length,
        .max_samples = max_samples > 0 ? (uint64_t)max_samples : 0,
        .max_held_out_samples = o->max_eval_samples > 0 ? (uint64_t)o->max_eval_samples : 0,
        .validation_split = split,
        .seed = (uint64_t)o->seed,
    };
    vkb_status status = row_params(run->cli, &o->rows, &params);
    if (status != VKB_OK)
        return status;
    return vkb_dataset_load(run->tok, &source, &params, out, held_out);
}

static void note_text(train_run *run, const char *what, const vkb_dataset *data)
{
    const uint64_t rows = vkb_dataset_rows(data), tokens = vkb_dataset_tokens(data);
    output_note(&run->cli->out, "%s: %s rows of %u, %s tokens, %.1f %% full%s", what,
                show_count(rows).text, run->max_seq_length, show_count(tokens).text,
                100.0 * (double)tokens / ((double)rows * run->max_seq_length),
                vkb_dataset_was_cached(data) ? ", from the cache" : "");
}

static vkb_status load_text(train_run *run)
{
    const train_options *o = run->options;
    vkb_status status = VKB_OK;
    double split = o->validation_files.count ? 0 : o->validation_split / 100;
    if (run->do_train || !o->validation_files.count)
        CLI_TRY(load_file_set(run, &o->train_files, o->max_train_samples, split, &run->train,
                              split > 0 ? &run->valid : NULL));
    if (o->validation_files.count)
        CLI_TRY(
            load_file_set(run, &o->validation_files, o->max_eval_samples, 0, &run->valid, NULL));
    if (run->train)
        note_text(run, "text", run->train);
    if (run->valid) {
        note_text(run, "held out", run->valid);
        output_note(&run->cli->out, "held out: unigram entropy %.3f nats",
                    vkb_dataset_unigram_entropy(run->valid));
    }
cleanup:
    return status;
}

// ---- Model ----

static const char *model_folder(const train_run *run)
{
    return run->resume ? run->resume : run->model_source.folder;
}

// run->config, without a device.
static vkb_status choose_config(train_run *run)
{
    vkb_status status = VKB_OK;
    vkb_folder *folder = NULL;
    if (train_from_scratch(run)) {
        CLI_TRY(train_make_config(run));
        run->config.vocab_size =
            run->tok ? vkb_tokenizer_size(run->tok) : (uint32_t)run->options->vocab_size;
        if (run->tok)
            run->config.pad_token_id = vkb_tokenizer_special(run->tok).pad;
    } else {
        CLI_TRY(vkb_folder_open(run->cli->ctx, model_folder(run), &folder));
        run->config = *vkb_folder_config(folder);
        // As run_mlm: a larger tokenizer makes the vocabulary grow, a smaller one leaves it as it is.
        if (run->do_train && vkb_tokenizer_size(run->tok) > run->config.vocab_size)
            run->config.vocab_size = vkb_tokenizer_size(run->tok);
    }
    run->config.next_sentence =
        run->config.next_sentence || row_objective(&run->options->rows) != VKB_OBJECTIVE_MLM;
    status = train_choose_length(run);
cleanup:
    vkb_folder_close(&folder);
    return status;
}

static vkb_position_init position_init_of(const char *name)
{
    return !strcmp(name, "near")         ? VKB_POSITION_NEAR
           : !strcmp(name, "sinusoidal") ? VKB_POSITION_SINUSOIDAL
                                         : VKB_POSITION_NORMAL;
}

static vkb_key_init key_init_of(const char *name)
{
    return !strcmp(name, "near")    ? VKB_KEY_NEAR
           : !strcmp(name, "query") ? VKB_KEY_QUERY
                                    : VKB_KEY_NORMAL;
}

static vkb_status make_model(train_run *run)
{
    const train_options *o = run->options;
    const vkb_load_params load = {.next_sentence = run->config.next_sentence,
                                  .masked_lm = run->do_train, // untrained, it would be evaluated
                                  .vocab_size = run->config.vocab_size,
                                  .seed = (uint64_t)o->seed};
    if (!train_from_scratch(run))
        return vkb_model_load(run->device, model_folder(run), &load, &run->model);
    vkb_init_params init = {
        .seed = (uint64_t)o->seed,
        .position = position_init_of(o->position_init),
        .key = key_init_of(o->key_init),
    };
    return vkb_model_create(run->device, &run->config, &init, &run->model);
}

// The model, and the rows of a batch, for which there is time.
static vkb_status make_fitting_model(train_run *run)
{
    vkb_status status = VKB_OK;
    CLI_TRY(make_model(run));
    CLI_TRY(train_fit_size(run));
    if (run->little_time) {
        vkb_model_destroy(&run->model);
        CLI_TRY(choose_config(run));
        CLI_TRY(make_model(run));
    }
    CLI_TRY(train_fit_time(run));
cleanup:
    return status;
}

// ---- Stages ----

// What is wrong with the files and folders that the command line names.
static vkb_status check_files(train_run *run)
{
    const train_options *o = run->options;
    vkb_status status = VKB_OK;
    CLI_TRY(text_check(run->cli, &o->train_files));
    CLI_TRY(text_check(run->cli, &o->validation_files));
    if (o->model)
        CLI_TRY(model_find(run->cli, o->model, 0, &o->hub, &run->model_source));
    if (o->tokenizer)
        CLI_TRY(model_find(run->cli, o->tokenizer, VKB_PART_TOKENIZER, &o->hub,
                           &run->tokenizer_source));
    if (o->config_name && (path_is_folder(o->config_name) || !path_exists(o->config_name)))
        CLI_TRY(
            model_find(run->cli, o->config_name, VKB_PART_CONFIG, &o->hub, &run->config_source));
cleanup:
    return status;
}

// The device that training would have; none is needed unless --device names one.
static vkb_status plan_device(train_run *run)
{
    vkb_status status = cli_open_device(run->cli, &run->options->common, &run->device);
    if (status != VKB_NO_DEVICE || run->options->common.device)
        return status;
    output_note(&run->cli->out, "no device here: the plan is for a GPU");
    return VKB_OK;
}

static vkb_status print_plan(train_run *run)
{
    vkb_plan_entry *plan = NULL;
    uint64_t total = 0;
    const char *folder = tokenizer_folder(run);
    vkb_status status = VKB_OK;
    if (folder)
        CLI_TRY(vkb_tokenizer_load(run->cli->ctx, folder, &run->tok));
    CLI_TRY(choose_config(run));
    train_print_recipe(run);
    CLI_TRY(plan_device(run));
    CLI_TRY(train_fit_memory(run));
    CLI_TRY(vkb_trainer_plan(run->cli->ctx, run->device, &run->config, &run->params,
                             run->max_seq_length, &plan));
    for (const vkb_plan_entry *entry = plan; entry->name; entry++) {
        printf("%12s  %s", show_bytes(entry->bytes).text, entry->name);
        if (entry->shared)
            printf(" (%s of it shared)", show_bytes(entry->shared).text);
        printf("\n");
        total += entry->bytes - entry->shared;
    }
    printf("%12s  in all, for %u x %u rows of %u\n", show_bytes(total).text,
           run->params.gradient_accumulation_steps, run->params.batch_size, run->max_seq_length);
cleanup:
    free(plan);
    return status;
}

static vkb_status prepare(train_run *run)
{
    vkb_status status = VKB_OK;
    CLI_TRY(cli_open_device(run->cli, &run->options->common, &run->device));
    CLI_TRY(train_profile_prepare(run));
    CLI_TRY(open_tokenizer(run));
    CLI_TRY(choose_config(run));
    CLI_TRY(load_text(run));
    CLI_TRY(train_fit_memory(run));
    CLI_TRY(make_fitting_model(run));
    train_print_recipe(run);
    if (run->do_train)
        CLI_TRY(vkb_trainer_create(run->model, run->tok, run->train, &run->params, &run->trainer));
    if (run->do_train)
        CLI_TRY(train_tune(run));
    if (run->do_train && run->resume) {
        CLI_TRY(vkb_trainer_resume(run->trainer, run->resume));
        CLI_TRY(vkb_trainer_finish(run->trainer, &run->metrics));
        run->submitted = run->metrics.step;
        output_note(&run->cli->out, "going on from step %" PRIu64 " of %s", run->submitted,
                    run->resume);
    }
cleanup:
    return status;
}

static vkb_status train_stage(train_run *run)
{
    vkb_status status = VKB_OK;
    train_clear_folder(run);
    CLI_TRY(train_open_history(run));
    if (run->options->eval_on_start && run->valid && !run->resume) {
        CLI_TRY(train_evaluate(run, &run->before, "before training"));
        run->evaluated_before = true;
    }
    CLI_TRY(train_loop(run));
    CLI_TRY(train_save_final(run));
    CLI_TRY(train_end_signals(run));
cleanup:
    return status;
}

static vkb_status work(train_run *run)
{
    vkb_status status = VKB_OK;
    train_catch_signals();
    CLI_TRY(prepare(run));
    if (run->do_train)
        CLI_TRY(train_stage(run));
    if (run->do_eval) {
        CLI_TRY(train_evaluate(run, &run->after, run->do_train ? "at the end" : "as it is"));
        run->evaluated = true;
    }
    CLI_TRY(train_write_reports(run));
    train_print_summary(run);
cleanup:
    return status;
}

static vkb_status run_end(train_run *run, vkb_status status)
{
    train_close_history(run);
    vkb_trainer_destroy(&run->trainer);
    vkb_model_destroy(&run->model);
    vkb_dataset_destroy(&run->valid);
    vkb_dataset_destroy(&run->train);
    vkb_tokenizer_destroy(&run->tok);
    free(run->resume);
    vkb_model_source_free(&run->config_source);
    vkb_model_source_free(&run->tokenizer_source);
    vkb_model_source_free(&run->model_source);
    return cli_close_device(run->cli, &run->device, status);
}

static vkb_status run_train(cli_state *cli, flag_set *set)
{
    train_run run = {.cli = cli, .set = set, .options = set->options};
    vkb_status status = VKB_OK;
    CLI_TRY(train_apply_recipe(&run));
    CLI_TRY(train_check_flags(&run));
    train_fill_params(&run);
    CLI_TRY(precision_chosen(cli, set, &run.options->precision, &run.params.precision));
    CLI_TRY(check_files(&run));
    if (run.options->plan) {
        status = print_plan(&run);
        goto cleanup;
    }
    CLI_TRY(train_open_folder(&run));
    status = work(&run);
    if (status != VKB_OK)
        folder_remove_empty(run.options->output_dir);
cleanup:
    return run_end(&run, status);
}

const command command_train = {
    .name = "train",
    .usage = "--train-file F... --output-dir DIR [flags of run_mlm.py]",
    .summary = "Trains BERT by masked-language modelling",
    .flags = &train_flags,
    .options_size = sizeof(train_options),
    .run = run_train,
};
