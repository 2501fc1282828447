// From flags to what the library is asked for.
#include "cli/train.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

// What lets a small model learn from scratch within minutes, as measured: attention finds its
// neighbours when positions differ from the next ones and resemble them, and queries meet keys
// (near); a small model wants larger initial weights, a high rate after a long warm-up, more masks.
// An eval_on_start shows what was learnt.
static const struct {
    const char *name, *value;
} recipe_small[] = {
    {"learning-rate", "3e-3"},
    {"warmup-ratio", "0.4"},
    {"adam-beta1", "0.9"},
    {"adam-beta2", "0.98"},
    {"adam-epsilon", "1e-6"},
    {"weight-decay", "0.01"},
    {"max-grad-norm", "1"},
    {"mlm-probability", "0.3"},
    {"eval-mlm-probability", "0.15"},
    {"always-mask", "true"},
    {"position-init", "near"},
    {"key-init", "near"},
    {"vocab-size", "4000"},
    {"max-seq-length", "32"},
    {"per-device-train-batch-size", "32"},
    {"per-device-eval-batch-size", "32"},
    {"eval-on-start", "true"},
};

// The recipe's size: one layer learnt most in a given time; half as wide where that is little.
static const char recipe_overrides[] =
    "hidden_size=128,num_hidden_layers=1,num_attention_heads=4,intermediate_size=512,"
    "max_position_embeddings=128,hidden_dropout_prob=0,attention_probs_dropout_prob=0";
static const char recipe_narrow[] = "hidden_size=64,intermediate_size=256";

bool train_from_scratch(const train_run *run)
{
    return !run->options->model && !run->resume;
}

vkb_status train_apply_recipe(train_run *run)
{
    const train_options *o = run->options;
    const bool shares_given = flags_given(run->set, &o->mask.mask_replace) ||
                              flags_given(run->set, &o->mask.random_replace);
    vkb_status status = VKB_OK;
    for (size_t i = 0; o->recipe && i < CLI_COUNT(recipe_small) && status == VKB_OK; i++)
        if (!shares_given || strcmp(recipe_small[i].name, "always-mask") != 0)
            status = flags_default(run->cli, run->set, recipe_small[i].name, recipe_small[i].value);
    return status;
}

void train_print_recipe(train_run *run)
{
    const train_options *o = run->options;
    output *out = &run->cli->out;
    char batch[24] = "auto";
    if (run->params.batch_size)
        snprintf(batch, sizeof(batch), "%u", run->params.batch_size);
    if (o->recipe) {
        output_note(out,
                    "recipe %s: --learning-rate %g --warmup-ratio %g --adam-beta1 %g --adam-beta2 "
                    "%g --adam-epsilon %g --weight-decay %g --max-grad-norm %g --mlm-probability "
                    "%g --always-mask %s --max-seq-length %u --per-device-train-batch-size %s",
                    o->recipe, o->learning_rate, o->warmup_ratio, o->adam_beta1, o->adam_beta2,
                    o->adam_epsilon, o->weight_decay, o->max_grad_norm, o->mask.probability,
                    o->mask.always_mask ? "true" : "false", run->max_seq_length, batch);
        if (train_from_scratch(run))
            output_note(out,
                        "recipe %s, initial weights: --initializer-range %.4g --position-init %s "
                        "--key-init %s --dropout %g --vocab-size %" PRId64,
                        o->recipe, run->config.initializer_range, o->position_init, o->key_init,
                        run->config.hidden_dropout_prob, o->vocab_size);
    }
    const vkb_config *c = &run->config;
    output_note(out,
                "model: hidden %u, layers %u, heads %u, intermediate %u, vocabulary %u, positions "
                "%u%s",
                c->hidden_size, c->num_hidden_layers, c->num_attention_heads, c->intermediate_size,
                c->vocab_size, c->max_position_embeddings,
                train_from_scratch(run) ? ", from scratch" : "");
}

// A run on a model that exists takes its weights and its config as they are.
static vkb_status check_scratch_flags(train_run *run)
{
    train_options *o = run->options;
    const struct {
        const void *option;
        const char *name;
    } scratch[] = {
        {&o->size, "size"},
        {&o->config_name, "config-name"},
        {&o->config_overrides, "config-overrides"},
        {&o->model_type, "model-type"},
        {&o->initializer_range, "initializer-range"},
        {&o->position_init, "position-init"},
        {&o->key_init, "key-init"},
        {&o->dropout, "dropout"},
    };
    for (size_t i = 0; o->model && i < CLI_COUNT(scratch); i++) {
        if (flags_given(run->set, scratch[i].option))
            return cli_fail(run->cli, VKB_BAD_ARGUMENT,
                            "--%s is for a run from scratch, --model-name-or-path for a model that "
                            "exists: choose one",
                            scratch[i].name);
    }
    return VKB_OK;
}

static bool same_folder(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static vkb_status check_model_flags(train_run *run)
{
    train_options *o = run->options;
    cli_state *cli = run->cli;
    bool named = o->model || o->size || o->config_name || o->model_type || o->recipe;
    if (!named && !o->resume)
        return cli_fail(cli, VKB_BAD_ARGUMENT,
                        "which model? --model-name-or-path MODEL trains on from one; --size "
                        "tiny|mini|small|medium|base|large, --config-name F or --recipe small "
                        "start from scratch");
    if (o->overwrite && o->model && same_folder(o->model, o->output_dir))
        return cli_fail(cli, VKB_BAD_ARGUMENT,
                        "%s is the model to train on, and --overwrite-output-dir would remove it: "
                        "choose another --output-dir",
                        o->model);
    if (o->size && o->config_name)
        return cli_fail(cli, VKB_BAD_ARGUMENT,
                        "--size and --config-name each choose the model: give one");
    if (!run->do_train && !o->model)
        return cli_fail(cli, VKB_BAD_ARGUMENT,
                        "--do-eval alone needs --model-name-or-path MODEL: the model to evaluate");
    return check_scratch_flags(run);
}

static vkb_status check_data_flags(train_run *run)
{
    train_options *o = run->options;
    cli_state *cli = run->cli;
    if (!o->train_files.count && (run->do_train || !o->validation_files.count))
        return cli_fail(cli, VKB_BAD_ARGUMENT, "--train-file F... is needed: the text to learn");
    bool has_valid = o->validation_files.count || o->validation_split > 0;
    if (run->do_eval && !has_valid)
        return cli_fail(cli, VKB_BAD_ARGUMENT,
                        "--do-eval needs held-out text: --validation-file F..., or "
                        "--validation-split-percentage P above 0");
    for (size_t i = 0; i < o->train_files.count; i++)
        if (strcmp(o->train_files.at[i], "-") == 0 && !o->tokenizer && !o->model)
            return cli_fail(
                cli, VKB_BAD_ARGUMENT,
                "standard input can be read once, but a run from scratch reads the text "
                "twice: give --tokenizer-name DIR, or a file");
    vkb_dataset_params rows = {0};
    vkb_status status = row_params(cli, &o->rows, &rows);
    if (status != VKB_OK)
        return status;
    if (strcmp(o->eval_strategy, "no") != 0 && !has_valid)
        return cli_fail(cli, VKB_BAD_ARGUMENT,
                        "--eval-strategy %s needs held-out text: --validation-file F...",
                        o->eval_strategy);
    return VKB_OK;
}

vkb_status train_check_flags(train_run *run)
{
    train_options *o = run->options;
    vkb_status status = VKB_OK;
    // HF's parser takes --resume_from_checkpoint True.
    if (o->resume && words_have("true|false", o->resume))
        o->resume = words_have("true", o->resume) ? "" : NULL;
    bool neither = !flags_given(run->set, &o->do_train) && !flags_given(run->set, &o->do_eval);
    bool has_valid = o->validation_files.count || o->validation_split > 0;
    run->do_train = o->do_train || neither;
    // As TrainingArguments: evaluating on the way also evaluates at the end.
    run->do_eval = o->do_eval || (neither && has_valid) || strcmp(o->eval_strategy, "no") != 0;
    if (!run->do_train && !run->do_eval)
        return cli_fail(run->cli, VKB_BAD_ARGUMENT,
                        "there is nothing to do without --do-train and --do-eval");
    if (!o->output_dir || !*o->output_dir)
        return cli_fail(run->cli, VKB_BAD_ARGUMENT, "--output-dir DIR is needed");
    CLI_TRY(check_model_flags(run));
    CLI_TRY(check_data_flags(run));
    CLI_TRY(train_profile_check(run));
    if (o->eval_steps < 0)
        o->eval_steps = o->logging_steps;
    if (o->disable_tqdm)
        run->cli->out.live = false;
cleanup:
    return status;
}

static vkb_status read_config(train_run *run)
{
    const train_options *o = run->options;
    char path[PATH_BYTES];
    if (!o->config_name) {
        const char *size = o->size ? o->size : "base";
        vkb_status status = vkb_config_preset(run->cli->ctx, size, &run->config);
        if (status == VKB_OK && o->recipe && !o->size && !o->model_type)
            status = vkb_config_override(run->cli->ctx, recipe_overrides, &run->config);
        if (status == VKB_OK && run->little_time)
            status = vkb_config_override(run->cli->ctx, recipe_narrow, &run->config);
        return status;
    }
    const char *folder = run->config_source.folder;
    if (folder && !path_in(path, folder, "config.json"))
        return cli_fail(run->cli, VKB_BAD_FILE, "%s: the path is too long", folder);
    return vkb_config_read(run->cli->ctx, folder ? path : o->config_name, &run->config);
}

vkb_status train_make_config(train_run *run)
{
    const train_options *o = run->options;
    vkb_config *config = &run->config;
    vkb_status status = read_config(run);
    if (status != VKB_OK)
        return status;
    if (o->recipe)
        config->hidden_dropout_prob = config->attention_probs_dropout_prob = 0;
    if (o->config_overrides)
        status = vkb_config_override(run->cli->ctx, o->config_overrides, config);
    if (o->recipe && status == VKB_OK) // about 0.9 / sqrt(hidden_size) was best where measured
        config->initializer_range = (float)(0.9 / sqrt(config->hidden_size));
    if (!isnan(o->initializer_range))
        config->initializer_range = (float)o->initializer_range;
    if (!isnan(o->dropout))
        config->hidden_dropout_prob = config->attention_probs_dropout_prob = (float)o->dropout;
    return status;
}

vkb_status train_choose_length(train_run *run)
{
    uint32_t positions = run->config.max_position_embeddings;
    uint32_t most = train_from_scratch(run) ? 512 : 1024; // run_mlm's limit for a model that exists
    int64_t wanted = run->options->max_seq_length;
    bool given = flags_given(run->set, &run->options->max_seq_length);
    if (given && wanted > positions)
        return cli_fail(run->cli, VKB_BAD_ARGUMENT,
                        "--max-seq-length %" PRId64 " is more than the model's %u positions",
                        wanted, positions);
    run->max_seq_length = positions < most ? positions : most;
    if (wanted > 0 && wanted < run->max_seq_length)
        run->max_seq_length = (uint32_t)wanted;
    else if (given)
        run->max_seq_length = (uint32_t)wanted;
    return VKB_OK;
}

static vkb_schedule schedule_of(const char *name)
{
    return !strcmp(name, "cosine")                 ? VKB_COSINE
           : !strcmp(name, "constant")             ? VKB_CONSTANT
           : !strcmp(name, "constant_with_warmup") ? VKB_CONSTANT_WITH_WARMUP
                                                   : VKB_LINEAR;
}

void train_fill_params(train_run *run)
{
    const train_options *o = run->options;
    run->params = (vkb_train_params){
        .batch_size = (uint32_t)o->batch_size,
        .gradient_accumulation_steps = (uint32_t)o->accumulation,
        .gradient_checkpointing = o->checkpointing,
        .learning_rate = o->learning_rate,
        .weight_decay = o->weight_decay,
        .adam_beta1 = o->adam_beta1,
        .adam_beta2 = o->adam_beta2,
        .adam_epsilon = o->adam_epsilon,
        .max_grad_norm = o->max_grad_norm > 0 ? o->max_grad_norm : -1,
        .schedule = schedule_of(o->scheduler),
        .warmup_steps = (uint64_t)o->warmup_steps,
        .warmup_ratio = o->warmup_ratio,
        // Their default bounds no run that has a time.
        .num_train_epochs =
            o->max_seconds > 0 && !flags_given(run->set, &o->epochs) ? 0 : o->epochs,
        .max_steps = o->max_steps > 0 ? (uint64_t)o->max_steps : 0,
        .max_seconds = o->max_seconds,
        .mask = mask_params(&o->mask),
        .objective = row_objective(&o->rows),
        .seed = (uint64_t)o->seed,
    };
    run->eval_params = (vkb_eval_params){
        .batch_size = (uint32_t)o->eval_batch_size,
        .mask = mask_params(&o->mask),
        .objective = row_objective(&o->rows),
        .seed = (uint64_t)o->seed,
    };
    if (!isnan(o->eval_mlm_probability))
        run->eval_params.mask.mlm_probability = o->eval_mlm_probability;
}
