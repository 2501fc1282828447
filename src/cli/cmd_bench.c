// vkbert bench train: a training step on this device, measured as it is and kernel by kernel, on random
// rows, so that neither text nor a model is wanted. vkbert bench --tune: the kernels of such a step.
#include "cli/cli.h"
#include "cli/profile.h"
#include "cli/tuning.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct bench_options {
    common_options common;
    const char *size, *config_overrides, *trace;
    int64_t batch, length, steps, seed;
    precision_options precision;
    bool json, checkpointing, tune, no_tune;
} bench_options;

#define AT(member) offsetof(bench_options, member)
static const flag rows[] = {
    FLAG_GROUP("Model"),
    {"size", FLAG_CHOICE, AT(size), "mini", .value = "tiny|mini|small|medium|base|large",
     .help = "the size, with random weights"},
    {"config-overrides", FLAG_TEXT, AT(config_overrides), .value = "K=V,...",
     .help = "changes to the config, keys as in config.json"},
    {"seed", FLAG_INT, AT(seed), "42", .value = "N", .help = "of weights, rows and masks"},
    FLAG_GROUP("Work"),
    {"batch", FLAG_INT, AT(batch), "16", .value = "N", .low = 1, .high = 65536,
     .help = "rows a step"},
    {"length", FLAG_INT, AT(length), "128", .value = "N", .low = 4, .help = "tokens a row"},
    CLI_FLAGS_PRECISION(bench_options, precision),
    {"gradient-checkpointing", FLAG_BOOL, AT(checkpointing),
     .help = "as train: keep less of each layer and compute it again"},
    {"steps", FLAG_INT, AT(steps), "5", .value = "N", .low = 1, .high = 10000,
     .help =
         "steps that are timed as they are, and as many kernel by kernel, after one to warm up"},
    FLAG_GROUP("Kernels"),
    {"tune", FLAG_BOOL, AT(tune),
     .help = "measure every variant of the step's products, and remember the fastest"},
    {"no-tune", FLAG_BOOL, AT(no_tune),
     .help = "take the usual ones, whatever was measured before"},
    FLAG_GROUP("Result"),
    {"json", FLAG_BOOL, AT(json), .help = "one JSON document"},
    {"trace", FLAG_TEXT, AT(trace), .value = "FILE",
     .help = "write the kernels' runs in time, for ui.perfetto.dev"},
    CLI_FLAGS_DEVICE,
    CLI_FLAGS_OUTPUT,
};
#undef AT

typedef struct bench {
    cli_state *cli;
    const bench_options *options;
    vkb_config config;
    vkb_precision precision;
    vkb_device *device;
    vkb_ceilings ceilings;
    vkb_model *model;
    vkb_dataset *data;
    vkb_trainer *trainer;
    vkb_tuning *tuning;
    bool steps; // a step is to be measured, not its kernels alone
    vkb_profile *profile;
} bench;

static vkb_status check_flags(bench *b, const flag_set *set)
{
    const bench_options *o = b->options;
    vkb_status status = VKB_OK;
    b->steps = set->texts.count == 1 && strcmp(set->texts.at[0], "train") == 0;
    if (!b->steps && (set->texts.count || !o->tune))
        return cli_fail(
            b->cli, VKB_BAD_ARGUMENT,
            "what is to be measured? vkbert bench train measures a training step, vkbert "
            "bench --tune the kernels for it");
    if (o->tune && o->no_tune)
        return cli_fail(b->cli, VKB_BAD_ARGUMENT, "--tune and --no-tune contradict each other");
    if (o->trace && !b->steps)
        return cli_fail(b->cli, VKB_BAD_ARGUMENT, "--trace is for vkbert bench train");
    CLI_TRY(precision_chosen(b->cli, set, &o->precision, &b->precision));
    if (o->trace)
        CLI_TRY(profile_check_trace(b->cli, o->trace));
    CLI_TRY(vkb_config_preset(b->cli->ctx, o->size, &b->config));
    if (o->config_overrides)
        CLI_TRY(vkb_config_override(b->cli->ctx, o->config_overrides, &b->config));
    if (o->length > b->config.max_position_embeddings)
        return cli_fail(b->cli, VKB_BAD_ARGUMENT,
                        "--length %" PRId64 " is more than the model's %u positions", o->length,
                        b->config.max_position_embeddings);
cleanup:
    return status;
}

static vkb_status prepare(bench *b)
{
    const bench_options *o = b->options;
    const uint64_t steps = 1 + 2 * (uint64_t)o->steps, seed = (uint64_t)o->seed;
    vkb_status status = VKB_OK;
    const vkb_init_params init = {.seed = seed};
    const vkb_dataset_params rows_wanted = {.max_seq_length = (uint32_t)o->length,
                                            .max_samples = steps * (uint64_t)o->batch,
                                            .seed = seed};
    // What tools/compare_pytorch.py gives to PyTorch.
    const vkb_train_params params = {.batch_size = (uint32_t)o->batch,
                                     .gradient_checkpointing = o->checkpointing,
                                     .learning_rate = 1e-4,
                                     .weight_decay = 0.01,
                                     .max_steps = steps,
                                     .precision = b->precision,
                                     .seed = seed};
    CLI_TRY(cli_open_device(b->cli, &b->options->common, &b->device));
    if (b->steps)
        CLI_TRY(vkb_device_measure(b->device, b->precision, &b->ceilings));
    CLI_TRY(vkb_model_create(b->device, &b->config, &init, &b->model));
    CLI_TRY(vkb_dataset_random(b->cli->ctx, b->config.vocab_size, &rows_wanted, &b->data));
    CLI_TRY(vkb_trainer_create(b->model, NULL, b->data, &params, &b->trainer));
    if (!o->no_tune) // without --tune: what is known
        CLI_TRY(tuning_run(b->cli, b->trainer, o->tune, NULL, &b->tuning));
cleanup:
    return status;
}

static vkb_status run_steps(bench *b, int64_t steps)
{
    vkb_status status = VKB_OK;
    bool done = false;
    for (int64_t i = 0; i < steps && status == VKB_OK; i++)
        status = vkb_train_step(b->trainer, NULL, &done);
    return status;
}

static vkb_status measure(bench *b)
{
    vkb_status status = VKB_OK;
    CLI_TRY(run_steps(b, 1 + b->options->steps));
    CLI_TRY(vkb_trainer_profile_begin(b->trainer));
    CLI_TRY(run_steps(b, b->options->steps));
    CLI_TRY(vkb_trainer_profile_end(b->trainer, &b->profile));
cleanup:
    return status;
}

static void print_result(const bench *b)
{
    const vkb_device_info *info = vkb_device_get_info(b->device);
    const vkb_config *c = &b->config;
    printf("device      %s, %s\n", info->name, info->driver);
    printf("model       hidden %u, layers %u, heads %u, vocabulary %u: %s parameters\n",
           c->hidden_size, c->num_hidden_layers, c->num_attention_heads, c->vocab_size,
           show_count(vkb_model_parameters(b->model)).text);
    printf("work        %" PRId64 " rows of %" PRId64
           " a step, %s, dropout %g, clipping, AdamW%s\n",
           b->options->batch, b->options->length, precision_name(b->precision),
           c->hidden_dropout_prob, b->options->checkpointing ? ", gradient checkpointing" : "");
    if (b->options->tune) {
        tuning_print(b->tuning);
    } else if (b->tuning) {
        printf("kernels     %zu of %zu products have been measured (--tune does it), %zu have "
               "another than "
               "the usual\n",
               b->tuning->known, b->tuning->products, b->tuning->changed);
    }
    if (!b->steps)
        return;
    const double seconds = b->profile->step_seconds;
    printf("%sspeed       %.2f sequences/s, %.0f tokens/s\n\n", b->options->tune ? "\n" : "",
           (double)b->options->batch / seconds,
           (double)(b->options->batch * b->options->length) / seconds);
    profile_print(b->profile, &b->ceilings);
}

static cJSON *result_json(const bench *b)
{
    const vkb_device_info *info = vkb_device_get_info(b->device);
    const vkb_config *c = &b->config;
    const struct {
        const char *name;
        double value;
    } numbers[] = {
        {"hidden_size", c->hidden_size},
        {"num_hidden_layers", c->num_hidden_layers},
        {"num_attention_heads", c->num_attention_heads},
        {"vocab_size", c->vocab_size},
        {"parameters", (double)vkb_model_parameters(b->model)},
        {"batch", (double)b->options->batch},
        {"length", (double)b->options->length},
    };
    cJSON *tree = cJSON_CreateObject();
    cJSON_AddStringToObject(tree, "device", info->name);
    cJSON_AddStringToObject(tree, "driver", info->driver);
    cJSON_AddStringToObject(tree, "precision", precision_name(b->precision));
    for (size_t i = 0; i < CLI_COUNT(numbers); i++)
        cJSON_AddNumberToObject(tree, numbers[i].name, numbers[i].value);
    if (b->tuning)
        tuning_add_json(tree, b->tuning);
    if (!b->steps)
        return tree;
    cJSON_AddNumberToObject(tree, "steps", b->profile->plain_steps);
    cJSON_AddNumberToObject(tree, "step_seconds", b->profile->step_seconds);
    cJSON_AddNumberToObject(tree, "sequences_per_second",
                            (double)b->options->batch / b->profile->step_seconds);
    profile_add_json(tree, b->profile, &b->ceilings);
    return tree;
}

static vkb_status run_bench(cli_state *cli, flag_set *set)
{
    bench b = {.cli = cli, .options = set->options};
    vkb_status status = VKB_OK;
    CLI_TRY(check_flags(&b, set));
    CLI_TRY(prepare(&b));
    if (b.steps)
        CLI_TRY(measure(&b));
    if (b.options->trace)
        CLI_TRY(
            profile_write_trace(cli, b.options->trace, vkb_device_get_info(b.device), b.profile));
    if (b.options->json)
        CLI_TRY(output_json(cli, result_json(&b)));
    else
        print_result(&b);
cleanup:
    vkb_profile_free(&b.profile);
    vkb_tuning_free(&b.tuning);
    vkb_trainer_destroy(&b.trainer);
    vkb_dataset_destroy(&b.data);
    vkb_model_destroy(&b.model);
    return cli_close_device(cli, &b.device, status);
}

const command command_bench = {
    .name = "bench",
    .usage = "train|--tune [--size SIZE] [--batch N] [--length N]",
    .summary = "Measures this device: a training step, and the share of each kernel in it",
    .flags = &(const flag_table){.rows = rows, .count = CLI_COUNT(rows), .texts = "train"},
    .options_size = sizeof(bench_options),
    .run = run_bench,
};
