// vkbert vocab: trains a WordPiece vocabulary on text.
#include "cli/cli.h"
#include "cli/files.h"
#include "cli/text_flags.h"

#include <stdio.h>

typedef struct vocab_options {
    common_options common;
    text_list text;
    text_options source;
    int64_t vocab_size, min_frequency, limit_alphabet;
    bool cased, overwrite;
    text_list special_tokens;
    int64_t unused;
    const char *output_dir;
} vocab_options;

#define AT(member) offsetof(vocab_options, member)
static const flag rows[] = {
    FLAG_GROUP("Text"),
    {"text", FLAG_LIST, AT(text), .value = "F...", .help = CLI_TEXT_FILES},
    CLI_FLAGS_TEXT(vocab_options, source),
    FLAG_GROUP("Vocabulary"),
    {"vocab-size", FLAG_INT, AT(vocab_size), "30522", .value = "N", .low = 6, .high = 16777216,
     .help = "pieces at most, the five special tokens among them"},
    {"min-frequency", FLAG_INT, AT(min_frequency), "2", .value = "N", .low = 1, .high = 4294967295,
     .help = "pairs seen less often are not merged"},
    {"limit-alphabet", FLAG_INT, AT(limit_alphabet), "1000", .value = "N", .low = 1,
     .high = 1114112, .help = "different characters kept at most"},
    {"cased", FLAG_BOOL, AT(cased), .help = "keep case and accents"},
    {"special-tokens", FLAG_LIST, AT(special_tokens), .value = "TOKEN...",
     .help = "the first pieces, in this order; else [PAD] [UNK] [CLS] [SEP] [MASK], which must be "
             "among them"},
    {"unused", FLAG_INT, AT(unused), "0", .value = "N", .high = 65536,
     .help = "pieces [unused0], ... behind them, for words to be added later"},
    FLAG_GROUP("Files"),
    {"output-dir", FLAG_TEXT, AT(output_dir), .letter = 'o', .value = "DIR",
     .help = "gets vocab.txt, tokenizer.json, tokenizer_config.json, special_tokens_map.json"},
    {"overwrite-output-dir", FLAG_BOOL, AT(overwrite),
     .help = "replace the vocabulary that is there"},
    CLI_FLAGS_OUTPUT,
};
#undef AT

static vkb_status check(cli_state *cli, const vocab_options *options)
{
    char path[PATH_BYTES];
    if (!options->text.count)
        return cli_fail(cli, VKB_BAD_ARGUMENT, "--text F... is needed: the text to learn from");
    if (!options->output_dir || !*options->output_dir)
        return cli_fail(cli, VKB_BAD_ARGUMENT, "--output-dir DIR is needed");
    vkb_status status = text_check(cli, &options->text);
    if (status != VKB_OK)
        return status;
    if (!options->overwrite && path_in(path, options->output_dir, "vocab.txt") && path_exists(path))
        return cli_fail(cli, VKB_BAD_ARGUMENT,
                        "%s holds a vocabulary: choose another folder, or replace it with "
                        "--overwrite-output-dir",
                        options->output_dir);
    return folder_prepare(cli, options->output_dir);
}

static vkb_status run(cli_state *cli, flag_set *set)
{
    const vocab_options *options = set->options;
    vkb_tokenizer *tok = NULL;
    vkb_status status = VKB_OK;
    vkb_vocab_params params = {
        .vocab_size = (uint32_t)options->vocab_size,
        .min_frequency = (uint32_t)options->min_frequency,
        .limit_alphabet = (uint32_t)options->limit_alphabet,
        .cased = options->cased,
        .special_tokens = options->special_tokens.count ? options->special_tokens.at : NULL,
        .special_token_count = (uint32_t)options->special_tokens.count,
        .unused = (uint32_t)options->unused,
    };
    CLI_TRY(check(cli, options));
    const vkb_text_source source = text_source(cli, &options->text, &options->source);
    CLI_TRY(vkb_tokenizer_train(cli->ctx, &source, &params, &tok));
    CLI_TRY(vkb_tokenizer_save(tok, options->output_dir));
    printf("%s: %s pieces\n", options->output_dir, show_count(vkb_tokenizer_size(tok)).text);
cleanup:
    vkb_tokenizer_destroy(&tok);
    if (status != VKB_OK && options->output_dir)
        folder_remove_empty(options->output_dir);
    return status;
}

const command command_vocab = {
    .name = "vocab",
    .usage = "--text F... [--vocab-size N] -o DIR",
    .summary = "Trains a WordPiece vocabulary on text",
    .flags = &(const flag_table){.rows = rows, .count = CLI_COUNT(rows)},
    .options_size = sizeof(vocab_options),
    .run = run,
};
