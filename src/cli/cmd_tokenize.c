// vkbert tokenize: lines of text to lines of ids, and back.
#include "cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct tokenize_options {
    common_options common;
    const char *model;
    bool tokens, pair, decode, json, no_special;
} tokenize_options;

#define AT(member) offsetof(tokenize_options, member)
static const flag rows[] = {
    FLAG_GROUP("Tokenizer"),
    {"model", FLAG_TEXT, AT(model), .letter = 'm', .value = "MODEL",
     .help = "a model's folder, or one made by vkbert vocab"},
    FLAG_GROUP("Lines of standard input"),
    {"pair", FLAG_BOOL, AT(pair), .help = "each line is two texts with a tab between them"},
    {"decode", FLAG_BOOL, AT(decode), .help = "each line is ids; print their text"},
    {"no-special-tokens", FLAG_BOOL, AT(no_special),
     .help = "without [CLS] and [SEP]; with --decode: leave special tokens out"},
    FLAG_GROUP("Result"),
    {"tokens", FLAG_BOOL, AT(tokens), .help = "print pieces instead of ids"},
    {"json", FLAG_BOOL, AT(json),
     .help = "one JSON document: ids, tokens, type_ids, special_tokens_mask and offsets, which "
             "count characters (code points)"},
    CLI_FLAGS_OUTPUT,
};
#undef AT

typedef struct tokenize_job {
    cli_state *cli;
    const tokenize_options *options;
    vkb_tokenizer *tok;
    vkb_tokens tokens; // reused from line to line
    cJSON *tree;       // with --json
} tokenize_job;

// Characters before the byte: every byte but the continuation bytes of UTF-8 begins one.
static size_t characters(const char *text, uint32_t bytes)
{
    size_t count = 0;
    for (uint32_t i = 0; i < bytes; i++)
        count += ((unsigned char)text[i] & 0xC0) != 0x80;
    return count;
}

static void add_json(tokenize_job *job, const char *text, const char *pair)
{
    cJSON *item = cJSON_CreateObject();
    cJSON *ids = cJSON_AddArrayToObject(item, "ids");
    cJSON *pieces = cJSON_AddArrayToObject(item, "tokens");
    cJSON *types = cJSON_AddArrayToObject(item, "type_ids");
    cJSON *special = cJSON_AddArrayToObject(item, "special_tokens_mask");
    cJSON *offsets = cJSON_AddArrayToObject(item, "offsets");
    for (size_t i = 0; i < job->tokens.count; i++) {
        const vkb_token *token = &job->tokens.at[i];
        const char *source = token->type ? pair : text;
        const char *piece = vkb_tokenizer_piece(job->tok, token->id);
        bool added = token->special || !source;
        int span[2] = {added ? 0 : (int)characters(source, token->begin),
                       added ? 0 : (int)characters(source, token->end)};
        cJSON_AddItemToArray(ids, cJSON_CreateNumber(token->id));
        cJSON_AddItemToArray(pieces, cJSON_CreateString(piece ? piece : ""));
        cJSON_AddItemToArray(types, cJSON_CreateNumber(token->type));
        cJSON_AddItemToArray(special, cJSON_CreateNumber(token->special));
        cJSON_AddItemToArray(offsets, cJSON_CreateIntArray(span, 2));
    }
    cJSON_AddItemToArray(job->tree, item);
}

static void print_tokens(const tokenize_job *job)
{
    for (size_t i = 0; i < job->tokens.count; i++) {
        uint32_t id = job->tokens.at[i].id;
        const char *piece = vkb_tokenizer_piece(job->tok, id);
        if (job->options->tokens)
            printf("%s%s", i ? " " : "", piece ? piece : "?");
        else
            printf("%s%" PRIu32, i ? " " : "", id);
    }
    printf("\n");
}

static vkb_status encode_line(void *user, const char *line, size_t bytes, size_t number)
{
    tokenize_job *job = user;
    const char *tab = job->options->pair ? memchr(line, '\t', bytes) : NULL;
    if (job->options->pair && !tab)
        return cli_fail(job->cli, VKB_BAD_FILE,
                        "standard input, line %zu: there is no tab between the two texts that "
                        "--pair expects",
                        number);
    size_t first = tab ? (size_t)(tab - line) : bytes;
    vkb_status status =
        vkb_encode(job->tok, line, first, tab ? tab + 1 : NULL, tab ? bytes - first - 1 : 0,
                   &(vkb_encode_params){.no_special_tokens = job->options->no_special},
                   &job->tokens);
    if (status != VKB_OK)
        return status;
    if (job->tree)
        add_json(job, line, tab ? tab + 1 : NULL);
    else
        print_tokens(job);
    return VKB_OK;
}

// Reads "101 7592 102", with spaces, commas or brackets around the numbers, into job->tokens.
static vkb_status read_ids(tokenize_job *job, const char *line, size_t number)
{
    const char *at = line + strspn(line, " \t,[]");
    uint32_t size = vkb_tokenizer_size(job->tok);
    for (job->tokens.count = 0; *at; at += strspn(at, " \t,[]")) {
        char *end;
        errno = 0;
        unsigned long long id = *at >= '0' && *at <= '9' ? strtoull(at, &end, 10) : ULLONG_MAX;
        if (id == ULLONG_MAX || errno || id >= size)
            return cli_fail(job->cli, VKB_BAD_FILE,
                            "standard input, line %zu: \"%.*s\" is no id of this vocabulary, whose "
                            "ids are 0 to %u",
                            number, (int)strcspn(at, " \t,[]"), at, size ? size - 1 : 0);
        if (job->tokens.count == job->tokens.capacity) {
            size_t larger = job->tokens.capacity ? job->tokens.capacity * 2 : 64;
            vkb_token *moved = realloc(job->tokens.at, larger * sizeof(*moved));
            if (!moved)
                return cli_fail_memory(job->cli);
            job->tokens.at = moved;
            job->tokens.capacity = larger;
        }
        job->tokens.at[job->tokens.count++] = (vkb_token){.id = (uint32_t)id};
        at = end;
    }
    return VKB_OK;
}

static vkb_status decode_line(void *user, const char *line, size_t bytes, size_t number)
{
    (void)bytes;
    tokenize_job *job = user;
    char *text = NULL;
    uint32_t *ids = NULL;
    vkb_status status = VKB_OK;
    CLI_TRY(read_ids(job, line, number));
    ids = malloc((job->tokens.count + 1) * sizeof(*ids));
    if (!ids)
        CLI_TRY(cli_fail_memory(job->cli));
    for (size_t i = 0; i < job->tokens.count; i++)
        ids[i] = job->tokens.at[i].id;
    CLI_TRY(vkb_decode(job->tok, ids, job->tokens.count, job->options->no_special, &text));
    if (job->tree)
        cJSON_AddItemToArray(job->tree, cJSON_CreateString(text));
    else
        printf("%s\n", text);
cleanup:
    free(ids);
    free(text);
    return status;
}

static vkb_status run(cli_state *cli, flag_set *set)
{
    tokenize_job job = {.cli = cli, .options = set->options};
    vkb_status status = VKB_OK;
    if (job.options->decode && (job.options->pair || job.options->tokens))
        CLI_TRY(cli_fail(cli, VKB_BAD_ARGUMENT, "--decode goes with neither --pair nor --tokens"));
    CLI_TRY(cli_check_model(cli, job.options->model));
    CLI_TRY(vkb_tokenizer_load(cli->ctx, job.options->model, &job.tok));
    job.tree = job.options->json ? cJSON_CreateArray() : NULL;
    CLI_TRY(cli_each_line(cli, job.options->decode ? decode_line : encode_line, &job));
    if (job.tree) {
        status = output_json(cli, job.tree);
        job.tree = NULL;
    }
cleanup:
    cJSON_Delete(job.tree);
    vkb_tokens_free(&job.tokens);
    vkb_tokenizer_destroy(&job.tok);
    return status;
}

const command command_tokenize = {
    .name = "tokenize",
    .usage = "-m MODEL [--tokens | --json] < lines",
    .summary = "Turns lines of text into ids, and back",
    .flags = &(const flag_table){.rows = rows, .count = CLI_COUNT(rows)},
    .options_size = sizeof(tokenize_options),
    .run = run,
};
