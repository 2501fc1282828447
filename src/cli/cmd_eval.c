// vkbert eval: loss, perplexity and accuracy of a model on held-out text, over masks that depend on
// the seed alone.
#include "cli/cli.h"
#include "cli/text_flags.h"

#include <inttypes.h>
#include <stdio.h>

typedef struct eval_options {
    common_options common;
    const char *model;
    text_list files;
    int64_t max_seq_length, max_samples, batch_size, seed;
    text_options text;
    row_options rows;
    mask_options mask;
    bool json;
} eval_options;

#define AT(member) offsetof(eval_options, member)
static const flag rows[] = {
    FLAG_GROUP("Model and text"),
    {"model", FLAG_TEXT, AT(model), .letter = 'm', .value = "MODEL", .help = "a model's folder"},
    {"validation-file", FLAG_LIST, AT(files), .value = "F...", .help = CLI_TEXT_FILES},
    {"max-seq-length", FLAG_INT, AT(max_seq_length), .value = "N", .low = 4,
     .help = "tokens a row; else as many as the model takes, 512 at most"},
    CLI_FLAGS_TEXT(eval_options, text),
    CLI_FLAGS_ROWS(eval_options, rows),
    {"max-eval-samples", FLAG_INT, AT(max_samples), .value = "N", .low = 1,
     .help = "rows used; else all"},
    FLAG_GROUP("Objective"),
    CLI_FLAG_OBJECTIVE(eval_options, rows),
    CLI_FLAGS_MASKS(eval_options, mask),
    {"seed", FLAG_INT, AT(seed), "42", .value = "N",
     .help = "masks and pairs are a function of it"},
    FLAG_GROUP("Work and result"),
    {"per-device-eval-batch-size", FLAG_INT, AT(batch_size), "8", .value = "N", .low = 1,
     .high = 65536, .help = "rows a pass"},
    {"json", FLAG_BOOL, AT(json), .help = "one JSON document"},
    CLI_FLAGS_DEVICE,
    CLI_FLAGS_OUTPUT,
};
#undef AT

static const flag_refusal refused[] = {
    {"pseudo-perplexity", "false",
     "is not in this version yet; the perplexity without it is that of masks drawn at random"},
};

static vkb_status print_result(cli_state *cli, const vkb_eval_result *r, double unigram,
                               uint32_t length, vkb_objective objective, bool json)
{
    if (!json) {
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
               show_count(r->rows).text, length);
        printf("time        %s\n", show_seconds(r->seconds).text);
        return VKB_OK;
    }
    cJSON *tree = cJSON_CreateObject();
    cJSON_AddNumberToObject(tree, "loss", r->loss);
    cJSON_AddNumberToObject(tree, "perplexity", r->perplexity);
    cJSON_AddNumberToObject(tree, "top1", r->top1);
    cJSON_AddNumberToObject(tree, "top5", r->top5);
    cJSON_AddNumberToObject(tree, "unigram_entropy", unigram);
    if (objective != VKB_OBJECTIVE_MLM) {
        cJSON_AddNumberToObject(tree, "next_sentence_loss", r->next_sentence_loss);
        cJSON_AddNumberToObject(tree, "next_sentence_accuracy", r->next_sentence_accuracy);
    }
    cJSON_AddNumberToObject(tree, "masked_tokens", (double)r->masked_tokens);
    cJSON_AddNumberToObject(tree, "rows", (double)r->rows);
    cJSON_AddNumberToObject(tree, "max_seq_length", length);
    cJSON_AddNumberToObject(tree, "seconds", r->seconds);
    return output_json(cli, tree);
}

static vkb_status run(cli_state *cli, flag_set *set)
{
    const eval_options *options = set->options;
    vkb_device *device = NULL;
    vkb_tokenizer *tok = NULL;
    vkb_model *model = NULL;
    vkb_dataset *data = NULL;
    vkb_eval_result result = {0};
    vkb_status status = VKB_OK;
    vkb_eval_params params = {.batch_size = (uint32_t)options->batch_size,
                              .mask = mask_params(&options->mask),
                              .objective = row_objective(&options->rows),
                              .seed = (uint64_t)options->seed};
    vkb_dataset_params data_params = {
        .max_samples = options->max_samples > 0 ? (uint64_t)options->max_samples : 0,
        .seed = (uint64_t)options->seed,
    };
    // Next sentences are told without an MLM head.
    const vkb_load_params load = {.masked_lm = params.objective == VKB_OBJECTIVE_NSP};
    if (!options->files.count)
        CLI_TRY(cli_fail(cli, VKB_BAD_ARGUMENT, "--validation-file F... is needed"));
    CLI_TRY(cli_check_model(cli, options->model));
    CLI_TRY(row_params(cli, &options->rows, &data_params));
    CLI_TRY(text_check(cli, &options->files));
    CLI_TRY(cli_open_device(cli, &options->common, &device));
    CLI_TRY(vkb_tokenizer_load(cli->ctx, options->model, &tok));
    CLI_TRY(vkb_model_load(device, options->model, &load, &model));

    uint32_t positions = vkb_model_config(model)->max_position_embeddings;
    int64_t wanted = options->max_seq_length;
    if (wanted > positions)
        CLI_TRY(cli_fail(cli, VKB_BAD_ARGUMENT,
                         "--max-seq-length %" PRId64 " is more than the model's %u positions",
                         wanted, positions));
    data_params.max_seq_length = wanted > 0 ? (uint32_t)wanted : positions < 512 ? positions : 512;
    const vkb_text_source source = text_source(cli, &options->files, &options->text);
    CLI_TRY(vkb_dataset_load(tok, &source, &data_params, &data, NULL));
    CLI_TRY(vkb_evaluate(model, tok, data, &params, &result));
    status = print_result(cli, &result, vkb_dataset_unigram_entropy(data),
                          data_params.max_seq_length, params.objective, options->json);
cleanup:
    vkb_dataset_destroy(&data);
    vkb_model_destroy(&model);
    vkb_tokenizer_destroy(&tok);
    return cli_close_device(cli, &device, status);
}

const command command_eval = {
    .name = "eval",
    .usage = "-m MODEL --validation-file F...",
    .summary = "Measures loss, perplexity and accuracy on held-out text",
    .flags = &(const flag_table){.rows = rows,
                                 .count = CLI_COUNT(rows),
                                 .refused = refused,
                                 .refused_count = CLI_COUNT(refused)},
    .options_size = sizeof(eval_options),
    .run = run,
};
