// vkbert fill-mask: the words that a model puts for [MASK]. --json is what transformers' fill-mask
// pipeline returns: a list a text, of one dict a candidate; a list of such lists when the text has
// several masks; a list of all that when there are several texts.
#include "cli/cli.h"
#include "cli/models.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct fill_options {
    common_options common;
    const char *model;
    int64_t top_k;
    const char *targets;
    bool truncate, json;
} fill_options;

#define AT(member) offsetof(fill_options, member)
static const flag rows[] = {
    FLAG_GROUP("Model"),
    {"model", FLAG_TEXT, AT(model), .letter = 'm', .value = "MODEL", .help = CLI_MODEL},
    FLAG_GROUP("Candidates"),
    {"top-k", FLAG_INT, AT(top_k), "5", .letter = 'k', .value = "N", .low = 1, .high = 16777216,
     .help = "candidates a mask"},
    {"targets", FLAG_TEXT, AT(targets), .value = "A,B,...",
     .help = "score these words instead of the best"},
    {"truncate", FLAG_BOOL, AT(truncate), .help = "cut a text that is too long"},
    {"json", FLAG_BOOL, AT(json), .help = "one JSON document, as transformers' pipeline returns"},
    CLI_FLAGS_DEVICE,
    CLI_FLAGS_OUTPUT,
};
#undef AT

enum { BATCH = 64 }; // texts answered together

typedef struct fill_job {
    cli_state *cli;
    const fill_options *options;
    vkb_tokenizer *tok;
    vkb_model *model;
    vkb_fill_params params;
    uint32_t *targets; // owns params.targets
    cJSON *texts;      // with --json: an item a text
    size_t done;
    bool at_once; // somebody waits for the answer of each line
    // What waits for its answer, and where in standard input it came from.
    char *waiting[BATCH];
    size_t lines[BATCH], count;
    vkb_fill_result results[BATCH]; // reused from batch to batch
} fill_job;

// ---- Targets ----

// The id of a word, or of the first piece of one that is not in the vocabulary; false: none.
static vkb_status target_id(fill_job *job, const char *word, uint32_t *id, bool *found)
{
    output *out = &job->cli->out;
    vkb_tokens tokens = {0};
    *found = vkb_tokenizer_find(job->tok, word, id);
    if (*found)
        return VKB_OK;
    vkb_status status = vkb_encode(job->tok, word, strlen(word), NULL, 0,
                                   &(vkb_encode_params){.no_special_tokens = true}, &tokens);
    if (status == VKB_OK && tokens.count) {
        *id = tokens.at[0].id;
        *found = true;
        output_warn(out, "the target \"%s\" is not in the vocabulary: \"%s\" stands for it", word,
                    vkb_tokenizer_piece(job->tok, *id));
    } else if (status == VKB_OK) {
        output_warn(out, "the target \"%s\" has no token in the vocabulary: it is left out", word);
    }
    vkb_tokens_free(&tokens);
    return status;
}

static void add_target(fill_job *job, uint32_t id)
{
    for (size_t i = 0; i < job->params.target_count; i++) {
        if (job->targets[i] == id)
            return;
    }
    job->targets[job->params.target_count++] = id;
}

static vkb_status read_targets(fill_job *job)
{
    vkb_status status = VKB_OK;
    char *words = strdup(job->options->targets), *rest = NULL;
    job->targets = malloc((strlen(job->options->targets) + 1) * sizeof(*job->targets));
    if (!words || !job->targets)
        CLI_TRY(cli_fail_memory(job->cli));
    for (char *word = strtok_r(words, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        uint32_t id;
        bool found;
        CLI_TRY(target_id(job, word, &id, &found));
        if (found)
            add_target(job, id);
    }
    if (!job->params.target_count)
        CLI_TRY(cli_fail(job->cli, VKB_BAD_ARGUMENT,
                         "--targets %s: none of them is a word of the vocabulary",
                         job->options->targets));
    job->params.targets = job->targets;
    if (job->params.top_k > job->params.target_count)
        job->params.top_k = (uint32_t)job->params.target_count;
cleanup:
    free(words);
    return status;
}

// ---- Results ----

static vkb_status decode_piece(const fill_job *job, uint32_t id, char **text)
{
    return vkb_decode(job->tok, &id, 1, false, text);
}

// The whole text with one mask filled, padding that was written into it left out. With a single mask
// special tokens are left out too, so that it reads as a sentence; with several they stay, and the other
// masks are seen.
static vkb_status decode_sequence(const fill_job *job, const vkb_fill_result *result, size_t mask,
                                  uint32_t id, char **text)
{
    const uint32_t pad = vkb_tokenizer_special(job->tok).pad;
    size_t count = 0;
    uint32_t *ids = malloc((result->tokens.count + 1) * sizeof(*ids));
    if (!ids)
        return cli_fail_memory(job->cli);
    for (size_t i = 0; i < result->tokens.count; i++) {
        ids[count] = i == result->mask_positions[mask] ? id : result->tokens.at[i].id;
        count += ids[count] != pad;
    }
    vkb_status status = vkb_decode(job->tok, ids, count, result->mask_count == 1, text);
    free(ids);
    return status;
}

static vkb_status add_candidate(fill_job *job, const vkb_fill_result *result, size_t mask,
                                const vkb_fill *fill, cJSON *list)
{
    char *piece = NULL, *sequence = NULL;
    vkb_status status = VKB_OK;
    CLI_TRY(decode_piece(job, fill->token, &piece));
    CLI_TRY(decode_sequence(job, result, mask, fill->token, &sequence));
    if (list) {
        cJSON *item = cJSON_CreateObject();
        cJSON_AddNumberToObject(item, "score", fill->score);
        cJSON_AddNumberToObject(item, "token", fill->token);
        cJSON_AddStringToObject(item, "token_str", piece);
        cJSON_AddStringToObject(item, "sequence", sequence);
        cJSON_AddItemToArray(list, item);
    } else {
        printf("  %.4f  %-16s %s\n", fill->score, piece, sequence);
    }
cleanup:
    free(sequence);
    free(piece);
    return status;
}

static vkb_status add_text(fill_job *job, const char *text, const vkb_fill_result *result)
{
    cJSON *item = NULL; // the text's own list: of candidates, or of its masks' lists
    if (job->texts) {
        item = cJSON_CreateArray();
        cJSON_AddItemToArray(job->texts, item);
    } else {
        printf("%s%s\n", job->done ? "\n" : "", text);
    }
    vkb_status status = VKB_OK;
    for (size_t mask = 0; mask < result->mask_count && status == VKB_OK; mask++) {
        cJSON *list = item;
        if (item && result->mask_count > 1) {
            list = cJSON_CreateArray();
            cJSON_AddItemToArray(item, list);
        } else if (!item && result->mask_count > 1) {
            printf(" [MASK] %zu of %zu\n", mask + 1, result->mask_count);
        }
        for (size_t k = 0; k < result->top_k && status == VKB_OK; k++)
            status =
                add_candidate(job, result, mask, &result->fills[mask * result->top_k + k], list);
    }
    job->done++;
    return status;
}

// ---- Texts ----

static vkb_status batch_run(fill_job *job, size_t count, size_t *failed)
{
    return vkb_fill_mask_batch(job->model, job->tok, (const char *const *)job->waiting, count,
                               &job->params, job->results, failed);
}

// The sentence of a text that cannot be answered, with where it came from.
static vkb_status fail_text(fill_job *job, size_t text)
{
    if (job->lines[text]) // not of the command line
        return cli_fail(job->cli, VKB_BAD_FILE, "standard input, line %zu: %s", job->lines[text],
                        vkb_error(job->cli->ctx));
    if (job->done + job->count > 1)
        return cli_fail(job->cli, VKB_BAD_ARGUMENT, "text %zu: %s", job->done + text + 1,
                        vkb_error(job->cli->ctx));
    return VKB_BAD_ARGUMENT;
}

// Answers what waits. Where one of them cannot be answered, those before it are.
static vkb_status fill_waiting(fill_job *job)
{
    const size_t count = job->count;
    size_t failed = count, answered = count;
    vkb_status status = batch_run(job, count, &failed), printed = status;
    if (status == VKB_BAD_ARGUMENT && failed < count) {
        status = fail_text(job, failed);
        answered = failed;
        printed = answered ? batch_run(job, answered, &failed) : VKB_OK;
    }
    for (size_t i = 0; i < answered && printed == VKB_OK; i++)
        printed = add_text(job, job->waiting[i], &job->results[i]);
    if (job->at_once)
        fflush(stdout); // a failure to write is found at the end
    for (size_t i = 0; i < count; i++)
        free(job->waiting[i]);
    job->count = 0;
    return status == VKB_OK ? printed : status;
}

// line 0: from the command line
static vkb_status fill_text(fill_job *job, const char *text, size_t line)
{
    job->lines[job->count] = line;
    job->waiting[job->count] = strdup(text);
    if (!job->waiting[job->count])
        return cli_fail_memory(job->cli);
    job->count++;
    return job->count == BATCH || job->at_once ? fill_waiting(job) : VKB_OK;
}

static vkb_status fill_line(void *user, const char *line, size_t bytes, size_t number)
{
    (void)bytes;
    return line[strspn(line, " \t")] ? fill_text(user, line, number) : VKB_OK;
}

static vkb_status print_json(fill_job *job)
{
    cJSON *tree = job->texts;
    if (job->done == 1) {
        tree = cJSON_DetachItemFromArray(job->texts, 0);
        cJSON_Delete(job->texts);
    }
    job->texts = NULL;
    return output_json(job->cli, tree);
}

static vkb_status run(cli_state *cli, flag_set *set)
{
    vkb_device *device = NULL;
    vkb_model_source source = {0};
    vkb_status status = VKB_OK;
    fill_job job = {.cli = cli, .options = set->options};
    job.at_once = !set->texts.count && isatty(STDIN_FILENO);
    job.params.top_k = (uint32_t)job.options->top_k;
    job.params.truncate = job.options->truncate;
    CLI_TRY(model_find(cli, job.options->model, 0, NULL, &source));
    CLI_TRY(vkb_tokenizer_load(cli->ctx, source.folder, &job.tok));
    if (job.options->targets)
        CLI_TRY(read_targets(&job));
    CLI_TRY(cli_open_device(cli, &job.options->common, &device));
    CLI_TRY(vkb_model_load(device, source.folder, NULL, &job.model));
    job.texts = job.options->json ? cJSON_CreateArray() : NULL;
    for (size_t i = 0; i < set->texts.count; i++)
        CLI_TRY(fill_text(&job, set->texts.at[i], 0));
    if (!set->texts.count)
        CLI_TRY(cli_each_line(cli, fill_line, &job));
    if (job.count)
        CLI_TRY(fill_waiting(&job));
    if (!job.done)
        CLI_TRY(cli_fail(cli, VKB_BAD_ARGUMENT,
                         "a text with [MASK] is needed, as argument or on standard input"));
    if (job.texts)
        status = print_json(&job);
cleanup:
    cJSON_Delete(job.texts);
    for (size_t i = 0; i < BATCH; i++) {
        free(i < job.count ? job.waiting[i] : NULL);
        vkb_fill_result_free(&job.results[i]);
    }
    free(job.targets);
    vkb_model_destroy(&job.model);
    vkb_tokenizer_destroy(&job.tok);
    vkb_model_source_free(&source);
    return cli_close_device(cli, &device, status);
}

const command command_fill_mask = {
    .name = "fill-mask",
    .usage = "-m MODEL [\"text with [MASK]\"...]",
    .summary = "Fills the [MASK]s of texts, given as arguments or as lines of standard input",
    .flags = &(const flag_table){.rows = rows, .count = CLI_COUNT(rows), .texts = "texts"},
    .options_size = sizeof(fill_options),
    .run = run,
};
