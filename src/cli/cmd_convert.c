// vkbert convert: a model in any form that vkbert reads, written as transformers writes it. Needs no
// device.
#include "cli/files.h"
#include "cli/models.h"

#include <stdio.h>
#include <sys/stat.h>

typedef struct convert_options {
    common_options common;
    const char *model, *output_dir, *save_precision;
    hub_options hub;
    bool overwrite;
} convert_options;

#define AT(member) offsetof(convert_options, member)
static const flag rows[] = {
    FLAG_GROUP("Model"),
    {"model", FLAG_TEXT, AT(model), .letter = 'm', .value = "MODEL", .help = CLI_MODEL},
    CLI_FLAGS_HUB(convert_options, hub, "revision"),
    FLAG_GROUP("Files"),
    {"output-dir", FLAG_TEXT, AT(output_dir), .letter = 'o', .value = "DIR",
     .help = "gets config.json, model.safetensors and the tokenizer's files"},
    CLI_FLAG_SAVE_PRECISION(convert_options, save_precision, "of the weights that are written"),
    {"overwrite-output-dir", FLAG_BOOL, AT(overwrite), .help = "replace the model that is there"},
    CLI_FLAGS_OUTPUT,
};
#undef AT

static bool same_folder(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static bool has(const char *folder, const char *name)
{
    char path[PATH_BYTES];
    return path_in(path, folder, name) && path_exists(path);
}

static vkb_status check(cli_state *cli, const convert_options *o, const char *model)
{
    if (same_folder(model, o->output_dir))
        return cli_fail(cli, VKB_BAD_ARGUMENT,
                        "%s is the model itself: choose another --output-dir", o->output_dir);
    if (!o->overwrite &&
        (has(o->output_dir, "config.json") || has(o->output_dir, "model.safetensors") ||
         has(o->output_dir, "vocab.txt")))
        return cli_fail(cli, VKB_BAD_ARGUMENT,
                        "%s holds a model or a tokenizer: choose another --output-dir, or replace "
                        "it with --overwrite-output-dir",
                        o->output_dir);
    return VKB_OK;
}

static vkb_status run(cli_state *cli, flag_set *set)
{
    const convert_options *o = set->options;
    const vkb_save_params params = {.precision = precision_named(o->save_precision)};
    vkb_model_source source = {0};
    vkb_folder *folder = NULL;
    vkb_tokenizer *tok = NULL;
    vkb_status status = VKB_OK;
    if (!o->output_dir || !*o->output_dir)
        return cli_fail(cli, VKB_BAD_ARGUMENT, "--output-dir DIR is needed");
    CLI_TRY(model_find(cli, o->model, 0, &o->hub, &source));
    CLI_TRY(check(cli, o, source.folder));
    CLI_TRY(vkb_folder_open(cli->ctx, source.folder, &folder));
    if (has(source.folder, "tokenizer.json") || has(source.folder, "vocab.txt"))
        CLI_TRY(vkb_tokenizer_load(cli->ctx, source.folder, &tok));
    else
        output_warn(&cli->out, "%s has no tokenizer, and so will %s", o->model, o->output_dir);
    CLI_TRY(folder_prepare(cli, o->output_dir));
    CLI_TRY(vkb_folder_save(cli->ctx, folder, o->output_dir, &params)); // refuses before it writes
    if (tok)
        CLI_TRY(vkb_tokenizer_save(tok, o->output_dir));
    printf("from        %s\nsaved in    %s, %s\n", vkb_folder_weights(folder), o->output_dir,
           o->save_precision);
cleanup:
    vkb_tokenizer_destroy(&tok);
    vkb_folder_close(&folder);
    vkb_model_source_free(&source);
    if (status != VKB_OK && o->output_dir)
        folder_remove_empty(o->output_dir);
    return status;
}

const command command_convert = {
    .name = "convert",
    .usage = "-m MODEL [--save-precision P] -o DIR",
    .summary = "Writes a model of any form as transformers does, in fp32, fp16 or bf16",
    .flags = &(const flag_table){.rows = rows, .count = CLI_COUNT(rows)},
    .options_size = sizeof(convert_options),
    .run = run,
};
