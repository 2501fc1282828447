// vkbert tokenize: lines of text to lines of ids, and back.
#include "cli/cli.h"
#include "cli/models.h"

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
    int64_t max_length, stride, pad_to;
    const char *truncation, *truncation_side, *padding_side;
} tokenize_options;

#define AT(member) offsetof(tokenize_options, member)
static const flag rows[] = {
    FLAG_GROUP("Tokenizer"),
    {"model", FLAG_TEXT, AT(model), .letter = 'm', .value = "MODEL",
     .help = "a folder, also one made by vkbert vocab, or a name on the hub, as "
             "bert-base-uncased"},
    FLAG_GROUP("Lines of standard input"),
    {"pair", FLAG_BOOL, AT(pair), .help = "each line is two texts with a tab between them"},
    {"decode", FLAG_BOOL, AT(decode), .help = "each line is ids; print their text"},
    {"no-special-tokens", FLAG_BOOL, AT(no_special),
     .help = "without [CLS] and [SEP]; with --decode: leave special tokens out"},
    FLAG_GROUP("Length"),
    {"max-length", FLAG_INT, AT(max_length), .value = "N", .low = 1, .high = 1073741824,
     .help = "tokens at most, special ones included; else no limit"},
    {"truncation", FLAG_CHOICE, AT(truncation), "longest_first",
     .value = "longest_first|only_first|only_second", .help = "which text of a pair is cut"},
    {"truncation-side", FLAG_CHOICE, AT(truncation_side), "right", .value = "right|left",
     .help = "the side that is cut"},
    {"stride", FLAG_INT, AT(stride), "0", .value = "N", .high = 1073741824,
     .help = "tokens that what overflows repeats; --json shows it"},
    {"pad-to", FLAG_INT, AT(pad_to), "0", .value = "N", .high = 1073741824,
     .help = "pad to so many tokens"},
    {"padding-side", FLAG_CHOICE, AT(padding_side), "right", .value = "right|left",
     .help = "the side that is padded"},
    FLAG_GROUP("Result"),
    {"tokens", FLAG_BOOL, AT(tokens), .help = "print pieces instead of ids"},
    {"json", FLAG_BOOL, AT(json),
     .help = "one JSON document: ids, tokens, type_ids, special_tokens_mask, attention_mask, "
             "word_ids, offsets, which count characters (code points), overflowing"},
    CLI_FLAGS_OUTPUT,
};
#undef AT

typedef struct tokenize_job {
    cli_state *cli;
    const tokenize_options *options;
    vkb_tokenizer *tok;
    vkb_tokens tokens; // reused from line to line
    cJSON *tree;       // with --json
    size_t invalid;    // bytes that are not UTF-8
} tokenize_job;

// Counts the characters of a text up to a byte: every byte but the continuation bytes of UTF-8 begins
// one. Places come nearly in order, so that a line is gone through once.
typedef struct char_counter {
    const char *text;
    uint32_t byte;
    int characters; // before that byte
} char_counter;

static int characters_at(char_counter *c, uint32_t byte)
{
    if (byte < c->byte) {
        c->byte = 0;
        c->characters = 0;
    }
    for (; c->byte < byte; c->byte++)
        c->characters += ((unsigned char)c->text[c->byte] & 0xC0) != 0x80;
    return c->characters;
}

static cJSON *row_json(const tokenize_job *job, const vkb_tokens *row, const char *text,
                       const char *pair)
{
    char_counter counters[2] = {{.text = text}, {.text = pair}};
    cJSON *item = cJSON_CreateObject();
    cJSON *ids = cJSON_AddArrayToObject(item, "ids");
    cJSON *pieces = cJSON_AddArrayToObject(item, "tokens");
    cJSON *types = cJSON_AddArrayToObject(item, "type_ids");
    cJSON *special = cJSON_AddArrayToObject(item, "special_tokens_mask");
    cJSON *attention = cJSON_AddArrayToObject(item, "attention_mask");
    cJSON *words = cJSON_AddArrayToObject(item, "word_ids");
    cJSON *offsets = cJSON_AddArrayToObject(item, "offsets");
    for (size_t i = 0; i < row->count; i++) {
        const vkb_token *token = &row->at[i];
        char_counter *counter = &counters[token->type ? 1 : 0];
        const char *piece = vkb_tokenizer_piece(job->tok, token->id);
        int span[2] = {0, 0};
        if (!token->special) {
            span[0] = characters_at(counter, token->begin);
            span[1] = characters_at(counter, token->end);
        }
        cJSON_AddItemToArray(ids, cJSON_CreateNumber(token->id));
        cJSON_AddItemToArray(pieces, cJSON_CreateString(piece ? piece : ""));
        cJSON_AddItemToArray(types, cJSON_CreateNumber(token->type));
        cJSON_AddItemToArray(special, cJSON_CreateNumber(token->special));
        cJSON_AddItemToArray(attention, cJSON_CreateNumber(!token->padding));
        cJSON_AddItemToArray(words,
                             token->special ? cJSON_CreateNull() : cJSON_CreateNumber(token->word));
        cJSON_AddItemToArray(offsets, cJSON_CreateIntArray(span, 2));
    }
    if (row->overflow_count) {
        cJSON *overflowing = cJSON_AddArrayToObject(item, "overflowing");
        for (size_t i = 0; i < row->overflow_count; i++)
            cJSON_AddItemToArray(overflowing, row_json(job, &row->overflow[i], text, pair));
    }
    return item;
}

static void add_json(tokenize_job *job, const char *text, const char *pair)
{
    cJSON_AddItemToArray(job->tree, row_json(job, &job->tokens, text, pair));
}

static vkb_encode_params encode_params(const tokenize_options *o)
{
    return (vkb_encode_params){
        .no_special_tokens = o->no_special,
        .max_length = o->max_length > 0 ? (uint32_t)o->max_length : 0,
        .truncation = strcmp(o->truncation, "only_first") == 0    ? VKB_TRUNCATE_ONLY_FIRST
                      : strcmp(o->truncation, "only_second") == 0 ? VKB_TRUNCATE_ONLY_SECOND
                                                                  : VKB_TRUNCATE_LONGEST_FIRST,
        .truncate_left = strcmp(o->truncation_side, "left") == 0,
        .stride = (uint32_t)o->stride,
        .pad_to = (uint32_t)o->pad_to,
        .pad_left = strcmp(o->padding_side, "left") == 0,
    };
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
    if (bytes > VKB_TEXT_MAX)
        return cli_fail(job->cli, VKB_BAD_FILE,
                        "standard input, line %zu: %zu bytes are too many, at most %u", number,
                        bytes, VKB_TEXT_MAX);
    size_t first = tab ? (size_t)(tab - line) : bytes;
    const vkb_encode_params params = encode_params(job->options);
    vkb_status status = vkb_encode(job->tok, line, first, tab ? tab + 1 : NULL,
                                   tab ? bytes - first - 1 : 0, &params, &job->tokens);
    if (status != VKB_OK)
        return status;
    job->invalid += job->tokens.invalid_bytes;
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
    vkb_model_source source = {0};
    vkb_status status = VKB_OK;
    if (job.options->decode && (job.options->pair || job.options->tokens))
        CLI_TRY(cli_fail(cli, VKB_BAD_ARGUMENT, "--decode goes with neither --pair nor --tokens"));
    CLI_TRY(model_find(cli, job.options->model, VKB_PART_TOKENIZER, NULL, &source));
    CLI_TRY(vkb_tokenizer_load(cli->ctx, source.folder, &job.tok));
    job.tree = job.options->json ? cJSON_CreateArray() : NULL;
    CLI_TRY(cli_each_line(cli, job.options->decode ? decode_line : encode_line, &job));
    if (job.invalid)
        output_warn(&cli->out, "standard input: %zu bytes are not UTF-8 and were read as U+FFFD",
                    job.invalid);
    if (job.tree) {
        status = output_json(cli, job.tree);
        job.tree = NULL;
    }
cleanup:
    cJSON_Delete(job.tree);
    vkb_tokens_free(&job.tokens);
    vkb_tokenizer_destroy(&job.tok);
    vkb_model_source_free(&source);
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
