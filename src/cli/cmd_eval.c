// vkbert eval: loss, perplexity and accuracy of a model on held-out text, over masks that depend on
// the seed alone, or with every token masked on its own.
#include "cli/cli.h"
#include "cli/eval_rows.h"
#include "cli/models.h"
#include "cli/text_flags.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SECONDS_BETWEEN_LINES = 10 };

typedef struct eval_options {
    common_options common;
    const char *model;
    text_list files;
    int64_t max_seq_length, max_samples, batch_size, seed;
    text_options text;
    row_options rows;
    mask_options mask;
    bool pseudo, json;
    const char *export_masks;
} eval_options;

#define AT(member) offsetof(eval_options, member)
static const flag rows[] = {
    FLAG_GROUP("Model and text"),
    {"model", FLAG_TEXT, AT(model), .letter = 'm', .value = "MODEL", .help = CLI_MODEL},
    {"validation-file", FLAG_LIST, AT(files), .value = "F...", .help = CLI_TEXT_FILES},
    {"max-seq-length", FLAG_INT, AT(max_seq_length), .value = "N", .low = 4,
     .help = "tokens a row; else as many as the model takes, 512 at most"},
    CLI_FLAGS_TEXT(eval_options, text),
    CLI_FLAGS_ROWS(eval_options, rows),
    {"max-eval-samples", FLAG_INT, AT(max_samples), .value = "N", .low = 1,
     .help = "rows used; else all"},
    FLAG_GROUP("What is measured"),
    {"pseudo-perplexity", FLAG_BOOL, AT(pseudo),
     .help = "mask each token of each line on its own, cut at --max-seq-length; a pass a token. "
             "With --line-by-line false of full rows"},
    CLI_FLAG_OBJECTIVE(eval_options, rows),
    CLI_FLAGS_MASKS(eval_options, mask),
    {"seed", FLAG_INT, AT(seed), "42", .value = "N",
     .help = "masks and pairs are a function of it"},
    FLAG_GROUP("Work and result"),
    {"per-device-eval-batch-size", FLAG_INT, AT(batch_size), "8", .value = "N", .low = 1,
     .high = 65536, .help = "rows a pass; of shorter lines as many as have their tokens"},
    {"export-masks", FLAG_TEXT, AT(export_masks), .value = "FILE.jsonl",
     .help = "write each row as the model read it, a JSON object a line: input_ids, labels (-100: "
             "not predicted), token_type_ids, position_ids, segments, log_likelihood"},
    {"json", FLAG_BOOL, AT(json), .help = "one JSON document"},
    CLI_FLAGS_DEVICE,
    CLI_FLAGS_OUTPUT,
};
#undef AT

// An evaluation, from its flags to its result.
typedef struct evaluation {
    cli_state *cli;
    const eval_options *options;
    vkb_device *device;
    vkb_tokenizer *tok;
    vkb_model *model;
    vkb_dataset *data;
    eval_rows rows;
    uint32_t length;
    double told; // when progress was last told in a line
} evaluation;

// ---- Results ----

static vkb_status print_pseudo(const evaluation *e, const vkb_pseudo_result *r)
{
    if (!e->options->json) {
        printf("pseudo-perplexity  %.3f\n", r->pseudo_perplexity);
        printf("log-likelihood     %.4f nats per token\n",
               r->pseudo_log_likelihood / (double)r->tokens);
        printf("top-1              %.2f %%\n", 100 * r->top1);
        printf("top-5              %.2f %%\n", 100 * r->top5);
        printf("masked             %s tokens, each on its own, in %s rows of at most %u\n",
               show_count(r->tokens).text, show_count(r->rows).text, e->length);
        printf("time               %s\n", show_seconds(r->seconds).text);
        return VKB_OK;
    }
    cJSON *tree = cJSON_CreateObject();
    cJSON_AddNumberToObject(tree, "pseudo_perplexity", r->pseudo_perplexity); // or null
    cJSON_AddNumberToObject(tree, "pseudo_log_likelihood", r->pseudo_log_likelihood);
    cJSON_AddNumberToObject(tree, "top1", r->top1);
    cJSON_AddNumberToObject(tree, "top5", r->top5);
    cJSON_AddNumberToObject(tree, "tokens", (double)r->tokens);
    cJSON_AddNumberToObject(tree, "rows", (double)r->rows);
    cJSON_AddNumberToObject(tree, "max_seq_length", e->length);
    cJSON_AddNumberToObject(tree, "seconds", r->seconds);
    return output_json(e->cli, tree);
}

static vkb_status print_result(const evaluation *e, const vkb_eval_result *r)
{
    const double unigram = vkb_dataset_unigram_entropy(e->data);
    const vkb_objective objective = row_objective(&e->options->rows);
    if (!e->options->json) {
        if (objective != VKB_OBJECTIVE_NSP) {
            printf("loss        %.4f nats per masked token\n", r->loss);
            printf("perplexity  %.3f\n", r->perplexity);
            printf("top-1       %.2f %%\n", 100 * r->top1);
            printf("top-5       %.2f %%\n", 100 * r->top5);
            printf("unigram     %.4f nats: the loss without any context\n", unigram);
        }
        if (objective != VKB_OBJECTIVE_MLM)
            printf("next        %.4f nats a pair, %.2f %% right\n", r->next_sentence_loss,
                   100 * r->next_sentence_accuracy);
        printf("masked      %s tokens in %s rows of %u\n", show_count(r->masked_tokens).text,
               show_count(r->rows).text, e->length);
        printf("time        %s\n", show_seconds(r->seconds).text);
        return VKB_OK;
    }
    cJSON *tree = cJSON_CreateObject();
    if (objective != VKB_OBJECTIVE_NSP) {
        cJSON_AddNumberToObject(tree, "loss", r->loss);
        cJSON_AddNumberToObject(tree, "perplexity", r->perplexity); // null when infinite
        cJSON_AddNumberToObject(tree, "top1", r->top1);
        cJSON_AddNumberToObject(tree, "top5", r->top5);
        cJSON_AddNumberToObject(tree, "unigram_entropy", unigram);
    }
    if (objective != VKB_OBJECTIVE_MLM) {
        cJSON_AddNumberToObject(tree, "next_sentence_loss", r->next_sentence_loss);
        cJSON_AddNumberToObject(tree, "next_sentence_accuracy", r->next_sentence_accuracy);
    }
    cJSON_AddNumberToObject(tree, "masked_tokens", (double)r->masked_tokens);
    cJSON_AddNumberToObject(tree, "rows", (double)r->rows);
    cJSON_AddNumberToObject(tree, "max_seq_length", e->length);
    cJSON_AddNumberToObject(tree, "seconds", r->seconds);
    return output_json(e->cli, tree);
}

// ---- Work ----

// With pseudo-perplexity rows are lines, and there are no masks to choose.
static vkb_status check_flags(const evaluation *e, flag_set *set)
{
    eval_options *o = set->options;
    static const char *const unused[] = {
        "objective",           "masking",     "mlm-probability", "mask-replace-prob",
        "random-replace-prob", "always-mask", "static-copies",
    };
    if (!o->files.count)
        return cli_fail(e->cli, VKB_BAD_ARGUMENT, "--validation-file F... is needed");
    if (!o->pseudo)
        return VKB_OK;
    for (size_t row = 0; row < CLI_COUNT(rows); row++)
        for (size_t i = 0; rows[row].name && i < CLI_COUNT(unused); i++)
            if (strcmp(rows[row].name, unused[i]) == 0 && set->given[row])
                return cli_fail(e->cli, VKB_BAD_ARGUMENT,
                                "--pseudo-perplexity masks each token on its own: leave --%s out",
                                unused[i]);
    if (!flags_given(set, &o->rows.line_by_line))
        o->rows.line_by_line = !o->rows.packing;
    return VKB_OK;
}

static vkb_status open_text(evaluation *e)
{
    const eval_options *o = e->options;
    const uint32_t positions = vkb_model_config(e->model)->max_position_embeddings;
    vkb_dataset_params params = {
        .max_samples = o->max_samples > 0 ? (uint64_t)o->max_samples : 0,
        .seed = (uint64_t)o->seed,
    };
    if (o->max_seq_length > positions)
        return cli_fail(e->cli, VKB_BAD_ARGUMENT,
                        "--max-seq-length %" PRId64 " is more than the model's %u positions",
                        o->max_seq_length, positions);
    e->length = o->max_seq_length > 0 ? (uint32_t)o->max_seq_length
                : positions < 512     ? positions
                                      : 512;
    vkb_status status = row_params(e->cli, &o->rows, &params);
    if (status != VKB_OK)
        return status;
    params.max_seq_length = e->length;
    const vkb_text_source source = text_source(e->cli, &o->files, &o->text);
    return vkb_dataset_load(e->tok, &source, &params, &e->data, NULL);
}

// A live line; off a terminal a line now and then.
static void show_progress(void *evaluation_, const char *what, uint64_t done, uint64_t total)
{
    evaluation *e = evaluation_;
    output *out = &e->cli->out;
    const double now = output_clock();
    output_share(out, what, done, total, show_count);
    if (out->live || done >= total || now - e->told < SECONDS_BETWEEN_LINES)
        return;
    if (e->told > 0)
        output_note(out, "%s: %s of %s", what, show_count(done).text, show_count(total).text);
    e->told = now;
}

static vkb_status export_row(void *evaluation_, const vkb_eval_row *row)
{
    evaluation *e = evaluation_;
    return eval_rows_add(&e->rows, row);
}

static vkb_status measure(evaluation *e)
{
    const eval_options *o = e->options;
    vkb_status status = VKB_OK;
    vkb_pseudo_result pseudo = {0};
    vkb_eval_result result = {0};
    const vkb_eval_params params = {
        .batch_size = (uint32_t)o->batch_size,
        .mask = mask_params(&o->mask),
        .objective = row_objective(&o->rows),
        .seed = (uint64_t)o->seed,
        .progress = show_progress,
        .on_row = o->export_masks ? export_row : NULL,
        .user = e,
    };
    if (o->pseudo)
        CLI_TRY(vkb_pseudo_perplexity(e->model, e->tok, e->data, &params, &pseudo));
    else
        CLI_TRY(vkb_evaluate(e->model, e->tok, e->data, &params, &result));
    CLI_TRY(eval_rows_end(&e->rows, VKB_OK));
    status = o->pseudo ? print_pseudo(e, &pseudo) : print_result(e, &result);
cleanup:
    output_clear_line(&e->cli->out);
    return status;
}

static vkb_status run(cli_state *cli, flag_set *set)
{
    const eval_options *options = set->options;
    evaluation e = {.cli = cli, .options = options};
    vkb_model_source source = {0};
    vkb_dataset_params kind = {0};
    vkb_status status = VKB_OK;
    // Next sentences are told without an MLM head.
    const vkb_load_params load = {.masked_lm = row_objective(&options->rows) == VKB_OBJECTIVE_NSP};
    CLI_TRY(check_flags(&e, set));
    CLI_TRY(row_params(cli, &options->rows, &kind));
    CLI_TRY(text_check(cli, &options->files));
    CLI_TRY(model_find(cli, options->model, 0, NULL, &source));
    if (options->export_masks)
        CLI_TRY(eval_rows_create(cli, options->export_masks, &e.rows));
    CLI_TRY(cli_open_device(cli, &options->common, &e.device));
    CLI_TRY(vkb_tokenizer_load(cli->ctx, source.folder, &e.tok));
    CLI_TRY(vkb_model_load(e.device, source.folder, &load, &e.model));
    CLI_TRY(open_text(&e));
    status = measure(&e);
cleanup:
    eval_rows_end(&e.rows, status);
    vkb_dataset_destroy(&e.data);
    vkb_model_destroy(&e.model);
    vkb_tokenizer_destroy(&e.tok);
    vkb_model_source_free(&source);
    return cli_close_device(cli, &e.device, status);
}

const command command_eval = {
    .name = "eval",
    .usage = "-m MODEL --validation-file F...",
    .summary = "Measures loss, perplexity and accuracy on held-out text",
    .flags = &(const flag_table){.rows = rows, .count = CLI_COUNT(rows)},
    .options_size = sizeof(eval_options),
    .run = run,
};
