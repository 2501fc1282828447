// What a run leaves to read at its end: the results as transformers' Trainer names them, and a model
// card with the true numbers.
#include "cli/train.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static void add_number(cJSON *tree, const char *name, double value)
{
    cJSON_AddNumberToObject(tree, name, value);
}

// ---- Results ----

static const char all_results_name[] = "all_results.json";

static double rate(double count, double seconds)
{
    return seconds > 0 ? count / seconds : 0;
}

static double mean_loss(const train_run *run)
{
    return run->losses > 0 ? run->loss_sum / run->losses : 0;
}

static cJSON *train_results(const train_run *run)
{
    cJSON *tree = cJSON_CreateObject();
    const vkb_metrics *m = &run->metrics;
    double rows =
        (double)m->step * run->params.batch_size * run->params.gradient_accumulation_steps;
    add_number(tree, "epoch", m->epoch);
    add_number(tree, "global_step", (double)m->step);
    if (run->losses > 0) // of a resumed run there may be nothing left
        add_number(tree, "train_loss", mean_loss(run));
    add_number(tree, "train_runtime", m->seconds);
    add_number(tree, "train_samples", (double)vkb_dataset_rows(run->train));
    add_number(tree, "train_samples_per_second", rate(rows, m->seconds));
    add_number(tree, "train_steps_per_second", rate((double)m->step, m->seconds));
    add_number(tree, "train_tokens_per_second", m->tokens_per_second);
    add_number(tree, "train_stalls", (double)m->stalls);
    if (run->params.precision != VKB_FP32)
        add_number(tree, "train_skipped_steps", (double)m->skipped_steps);
    return tree;
}

static cJSON *eval_results(const train_run *run)
{
    cJSON *tree = cJSON_CreateObject();
    const vkb_eval_result *r = &run->after;
    double passes =
        (double)((r->rows + run->eval_params.batch_size - 1) / run->eval_params.batch_size);
    if (run->do_train)
        add_number(tree, "epoch", run->metrics.epoch);
    if (run->evaluated_before)
        add_number(tree, "eval_loss_before", run->before.loss);
    train_add_eval_figures(run, r, tree);
    add_number(tree, "eval_masked_tokens", (double)r->masked_tokens);
    add_number(tree, "eval_mlm_probability", run->eval_params.mask.mlm_probability);
    add_number(tree, "unigram_entropy", vkb_dataset_unigram_entropy(run->valid));
    add_number(tree, "eval_runtime", r->seconds);
    add_number(tree, "eval_samples", (double)r->rows);
    add_number(tree, "eval_samples_per_second", rate((double)r->rows, r->seconds));
    add_number(tree, "eval_steps_per_second", rate(passes, r->seconds));
    return tree;
}

static vkb_status write_tree(train_run *run, const char *name, const cJSON *tree)
{
    char *text = cJSON_Print(tree);
    vkb_status status = text ? file_write_text(run->cli, run->options->output_dir, name, text)
                             : cli_fail_memory(run->cli);
    free(text);
    return status;
}

// What all_results.json has of earlier runs in this folder; an empty object when there is none.
static cJSON *earlier_results(train_run *run)
{
    char path[PATH_BYTES];
    if (!path_in(path, run->options->output_dir, all_results_name) || !path_exists(path))
        return cJSON_CreateObject();
    char *text = file_read_text(path);
    cJSON *tree = text ? cJSON_Parse(text) : NULL;
    free(text);
    if (cJSON_IsObject(tree))
        return tree;
    cJSON_Delete(tree);
    output_warn(&run->cli->out, "%s is no JSON object and is replaced", path);
    return cJSON_CreateObject();
}

// Writes the tree's own file, merges it into all_results.json, as Trainer.save_metrics does, and
// deletes it.
static vkb_status write_results(train_run *run, const char *name, cJSON *tree)
{
    cJSON *all = earlier_results(run);
    vkb_status status = tree && all ? write_tree(run, name, tree) : cli_fail_memory(run->cli);
    while (status == VKB_OK && tree->child) {
        cJSON *item = cJSON_DetachItemViaPointer(tree, tree->child);
        cJSON_DeleteItemFromObjectCaseSensitive(all, item->string);
        cJSON_AddItemToObject(all, item->string, item);
    }
    if (status == VKB_OK)
        status = write_tree(run, all_results_name, all);
    cJSON_Delete(all);
    cJSON_Delete(tree);
    return status;
}

// ---- Model card ----

// A text that grows; too_long is set, and nothing more added, when its room is used up.
typedef struct card_text {
    char text[8192];
    size_t used;
    bool too_long;
} card_text;

static void add(card_text *card, const char *format, ...) OUTPUT_PRINTF(2, 3);
static void add(card_text *card, const char *format, ...)
{
    size_t room = sizeof(card->text) - card->used;
    va_list args;
    va_start(args, format);
    int length = vsnprintf(card->text + card->used, room, format, args);
    va_end(args);
    if (length < 0 || (size_t)length >= room)
        card->too_long = true;
    else
        card->used += (size_t)length;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static const char *started_from(const train_run *run)
{
    const char *model = run->options->model;
    return run->model_source.name ? run->model_source.name
           : model                ? base_name(model)
                                  : "random weights";
}

static void add_model(const train_run *run, card_text *card)
{
    const vkb_config *c = &run->config;
    const train_options *o = run->options;
    add(card, "| | |\n|---|---|\n");
    add(card, "| started from | %s |\n", started_from(run));
    add(card, "| parameters | %s |\n", show_count(vkb_model_parameters(run->model)).text);
    add(card, "| layers, hidden, heads, intermediate | %u, %u, %u, %u |\n", c->num_hidden_layers,
        c->hidden_size, c->num_attention_heads, c->intermediate_size);
    add(card, "| vocabulary, positions | %u, %u |\n", c->vocab_size, c->max_position_embeddings);
    add(card, "| weights saved in | %s |\n", o->save_precision);
}

static void add_training(const train_run *run, card_text *card)
{
    const vkb_metrics *m = &run->metrics;
    const train_options *o = run->options;
    const vkb_train_params *p = &run->params;
    add(card, "\n## Training\n\n| | |\n|---|---|\n| text |");
    for (size_t i = 0; i < o->train_files.count && i < 16; i++)
        add(card, "%s %s", i ? "," : "", base_name(o->train_files.at[i]));
    add(card, "%s |\n", o->train_files.count > 16 ? ", ..." : "");
    add(card, "| rows, tokens | %s of %u, %s |\n", show_count(vkb_dataset_rows(run->train)).text,
        run->max_seq_length, show_count(vkb_dataset_tokens(run->train)).text);
    add(card, "| steps, epochs | %s, %.2f |\n", show_count(m->step).text, m->epoch);
    if (p->precision != VKB_FP32)
        add(card, "| precision | %s, weights and sums in fp32 |\n", precision_name(p->precision));
    add(card, "| rows a step | %u |\n", p->batch_size * p->gradient_accumulation_steps);
    add(card, "| objective | %s |\n", o->rows.objective);
    if (p->objective != VKB_OBJECTIVE_NSP)
        add(card, "| masks | %s: %g %% of the tokens, %g %% of them [MASK], %g %% random |\n",
            o->mask.masking, 100 * p->mask.mlm_probability,
            100 * fmax(p->mask.mask_replace_prob, 0), 100 * fmax(p->mask.random_replace_prob, 0));
    add(card, "| optimiser | AdamW, betas %g and %g, epsilon %g, weight decay %g |\n",
        p->adam_beta1, p->adam_beta2, p->adam_epsilon, p->weight_decay);
    add(card, "| learning rate | %g, %s, warm-up %s %g |\n", p->learning_rate, o->scheduler,
        p->warmup_steps ? "steps" : "ratio",
        p->warmup_steps ? (double)p->warmup_steps : p->warmup_ratio);
    add(card, "| seed | %" PRIu64 " |\n", p->seed);
    if (run->losses > 0)
        add(card, "| mean loss | %.4f nats per masked token |\n", mean_loss(run));
    add(card, "| time | %s |\n", show_seconds(m->seconds).text);
    if (p->max_seconds > 0)
        add(card,
            "| time it was given | %s, which the learning rate follows: not repeatable to the bit "
            "|\n",
            show_seconds(p->max_seconds).text);
    add(card, "| device, driver | %s, %s |\n", vkb_device_get_info(run->device)->name,
        vkb_device_get_info(run->device)->driver);
}

static void add_evaluation(const train_run *run, card_text *card)
{
    const vkb_eval_result *r = &run->after;
    const vkb_objective objective = run->eval_params.objective;
    const bool masked = objective != VKB_OBJECTIVE_NSP;
    add(card, "\n## Evaluation\n\nOn held-out text");
    if (masked)
        add(card, ", %g %% of the tokens masked%s, %s of them",
            100 * run->eval_params.mask.mlm_probability,
            run->eval_params.mask.mask_replace_prob == 1 ? " (always [MASK])" : "",
            show_count(r->masked_tokens).text);
    add(card, ".\n\n| | |\n|---|---|\n");
    if (masked && run->evaluated_before)
        add(card, "| loss before training | %.4f nats |\n", run->before.loss);
    if (masked) {
        add(card, "| loss | %.4f nats |\n", r->loss);
        add(card, "| unigram entropy: the loss without context | %.4f nats |\n",
            vkb_dataset_unigram_entropy(run->valid));
        add(card, "| perplexity | %.3f |\n", r->perplexity);
        add(card, "| right at once, within five | %.2f %%, %.2f %% |\n", 100 * r->top1,
            100 * r->top5);
    }
    if (objective != VKB_OBJECTIVE_MLM)
        add(card, "| next sentence: loss, right | %.4f nats, %.2f %% |\n", r->next_sentence_loss,
            100 * r->next_sentence_accuracy);
}

// What the card of the model that was trained on says of itself and still holds: its license and its
// language, of the lines between the first two "---".
static void add_inherited(const train_run *run, card_text *card)
{
    static const char *const keys[] = {"license:", "license_name:", "license_link:", "language:"};
    char path[PATH_BYTES], line[1024];
    const char *folder = run->model_source.folder;
    FILE *file = folder && path_in(path, folder, "README.md") ? fopen(path, "rb") : NULL;
    bool inside = file && fgets(line, sizeof(line), file) && strncmp(line, "---", 3) == 0;
    while (inside && fgets(line, sizeof(line), file) && strncmp(line, "---", 3) != 0)
        for (size_t i = 0; i < CLI_COUNT(keys); i++) {
            const size_t length = strlen(keys[i]);
            if (strncmp(line, keys[i], length) == 0 &&
                strspn(line + length, " \r\n") != strlen(line + length))
                add(card, "%.*s\n", (int)strcspn(line, "\r\n"), line);
        }
    if (file)
        fclose(file);
}

static vkb_status write_card(train_run *run)
{
    card_text *card = calloc(1, sizeof(*card));
    if (!card)
        return cli_fail_memory(run->cli);
    const char *folder = run->options->output_dir;
    add(card,
        "---\nlibrary_name: transformers\npipeline_tag: fill-mask\ntags:\n- bert\n- vkbert\n");
    if (run->model_source.name)
        add(card, "base_model: %s\n", run->model_source.name);
    add_inherited(run, card);
    add(card, "---\n\n# %s\n\nA BERT for masked-language modelling, trained with vkbert %s.\n\n",
        base_name(folder), vkb_version());
    add_model(run, card);
    add_training(run, card);
    if (run->evaluated)
        add_evaluation(run, card);
    add(card,
        "\n## Use\n\n```\nvkbert fill-mask -m %s \"A text with a [MASK].\"\n```\n\n"
        "```python\nfrom transformers import pipeline\n"
        "pipeline(\"fill-mask\", model=\"%s\")(\"A text with a [MASK].\")\n```\n",
        base_name(folder), base_name(folder));
    vkb_status status = card->too_long
                            ? cli_fail(run->cli, VKB_FAILED, "the model card is too long")
                            : file_write_text(run->cli, folder, "README.md", card->text);
    free(card);
    return status;
}

// ---- Together ----

vkb_status train_write_reports(train_run *run)
{
    vkb_status status = VKB_OK;
    if (run->do_train)
        CLI_TRY(write_results(run, "train_results.json", train_results(run)));
    if (run->evaluated)
        CLI_TRY(write_results(run, "eval_results.json", eval_results(run)));
    if (run->do_train)
        CLI_TRY(write_card(run));
cleanup:
    return status;
}

void train_print_summary(const train_run *run)
{
    const vkb_metrics *m = &run->metrics;
    if (run->do_train) {
        printf("trained     %s steps, %.2f epochs in %s\n", show_count(m->step).text, m->epoch,
               show_seconds(m->seconds).text);
        if (run->losses > 0)
            printf("train loss  %.4f nats per masked token, mean over the run\n", mean_loss(run));
    }
    const bool masked = run->eval_params.objective != VKB_OBJECTIVE_NSP;
    if (masked && run->evaluated_before)
        printf("before      %.4f nats on held-out text\n", run->before.loss);
    if (masked && run->evaluated) {
        printf("held out    %.4f nats, perplexity %.3f, top-1 %.2f %%, top-5 %.2f %%\n",
               run->after.loss, run->after.perplexity, 100 * run->after.top1,
               100 * run->after.top5);
        printf("unigram     %.4f nats: the loss without any context\n",
               vkb_dataset_unigram_entropy(run->valid));
    }
    if (run->evaluated && run->eval_params.objective != VKB_OBJECTIVE_MLM)
        printf("next        %.4f nats a pair, %.2f %% right\n", run->after.next_sentence_loss,
               100 * run->after.next_sentence_accuracy);
    printf("saved in    %s\n", run->options->output_dir);
}
