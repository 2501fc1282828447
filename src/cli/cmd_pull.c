// vkbert pull: a model from the hub into its cache. Prints the folder, for scripts. Needs no device.
#include "cli/cli.h"
#include "cli/models.h"

#include <stdio.h>

typedef struct pull_options {
    common_options common;
    hub_options hub;
    bool json;
} pull_options;

static const flag rows[] = {
    FLAG_GROUP("Hub"),
    CLI_FLAGS_HUB(pull_options, hub, "revision"),
    {"json", FLAG_BOOL, offsetof(pull_options, json), .help = "one JSON document"},
    CLI_FLAGS_OUTPUT,
};

static vkb_status print_source(cli_state *cli, const vkb_model_source *source, bool json)
{
    if (!json) {
        output_note(&cli->out, "%s@%s: %s, commit %.12s", source->name, source->revision,
                    source->fetched ? "fetched" : "up to date", source->commit);
        printf("%s\n", source->folder);
        return VKB_OK;
    }
    cJSON *tree = cJSON_CreateObject();
    cJSON_AddStringToObject(tree, "name", source->name);
    cJSON_AddStringToObject(tree, "revision", source->revision);
    cJSON_AddStringToObject(tree, "commit", source->commit);
    cJSON_AddStringToObject(tree, "folder", source->folder);
    cJSON_AddBoolToObject(tree, "fetched", source->fetched);
    return output_json(cli, tree);
}

static vkb_status run(cli_state *cli, flag_set *set)
{
    const pull_options *options = set->options;
    vkb_model_source source = {0};
    if (set->texts.count != 1)
        return cli_fail(cli, VKB_BAD_ARGUMENT,
                        "one NAME is needed, as bert-base-uncased or owner/name, not %zu",
                        set->texts.count);
    vkb_status status = model_pull(cli, set->texts.at[0], &options->hub, &source);
    if (status == VKB_OK)
        status = print_source(cli, &source, options->json);
    vkb_model_source_free(&source);
    return status;
}

const command command_pull = {
    .name = "pull",
    .usage = "NAME[@REVISION] [--json]",
    .summary = "Fetches a model from the Hugging Face hub into its cache, and prints its folder",
    .flags = &(const flag_table){.rows = rows, .count = CLI_COUNT(rows), .texts = "NAME"},
    .options_size = sizeof(pull_options),
    .run = run,
};
