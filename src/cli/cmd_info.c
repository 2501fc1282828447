// vkbert info: what is in a model folder. Needs no device.
#include "cli/cli.h"
#include "cli/files.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct info_options {
    common_options common;
    const char *model;
    bool json;
} info_options;

static const flag rows[] = {
    FLAG_GROUP("Model"),
    {"model", FLAG_TEXT, offsetof(info_options, model), .letter = 'm', .value = "MODEL",
     .help = "a model's folder"},
    {"json", FLAG_BOOL, offsetof(info_options, json), .help = "one JSON document"},
    CLI_FLAGS_OUTPUT,
};

// A parameter is counted once: the decoder is the word embedding again, and position_ids are no
// weights.
static bool is_parameter(const char *name)
{
    return !strstr(name, "cls.predictions.decoder.") && !strstr(name, "position_ids");
}

static uint64_t elements(const vkb_tensor_info *tensor)
{
    uint64_t count = 1;
    for (uint32_t i = 0; i < tensor->rank; i++)
        count *= tensor->shape[i];
    return count;
}

static uint64_t count_parameters(const vkb_folder *folder)
{
    uint64_t count = 0;
    for (size_t i = 0; i < vkb_folder_tensor_count(folder); i++) {
        vkb_tensor_info tensor = vkb_folder_tensor(folder, i);
        count += is_parameter(tensor.name) ? elements(&tensor) : 0;
    }
    return count;
}

static bool has_tensor(const vkb_folder *folder, const char *name)
{
    for (size_t i = 0; i < vkb_folder_tensor_count(folder); i++)
        if (strcmp(vkb_folder_tensor(folder, i).name, name) == 0)
            return true;
    return false;
}

// What the model predicts: the names of its heads, NULL behind the last.
static void list_heads(const vkb_folder *folder, const char *names[3])
{
    if (has_tensor(folder, "cls.predictions.transform.dense.weight"))
        *names++ = "masked tokens";
    if (vkb_folder_config(folder)->next_sentence)
        *names++ = "next sentence";
    *names = NULL;
}

// The config's numbers, named as in config.json.
typedef struct config_row {
    const char *name;
    double value;
} config_row;
enum { CONFIG_ROWS = 12 };

// The decimal digits that a float was written with: 1e-12, not 9.999999960041972e-13.
static double tidy(float value)
{
    char text[32];
    snprintf(text, sizeof(text), "%.7g", value);
    return strtod(text, NULL);
}

static void config_rows(const vkb_config *c, config_row *out)
{
    const config_row list[CONFIG_ROWS] = {
        {"vocab_size", c->vocab_size},
        {"hidden_size", c->hidden_size},
        {"num_hidden_layers", c->num_hidden_layers},
        {"num_attention_heads", c->num_attention_heads},
        {"intermediate_size", c->intermediate_size},
        {"max_position_embeddings", c->max_position_embeddings},
        {"type_vocab_size", c->type_vocab_size},
        {"pad_token_id", c->pad_token_id},
        {"hidden_dropout_prob", tidy(c->hidden_dropout_prob)},
        {"attention_probs_dropout_prob", tidy(c->attention_probs_dropout_prob)},
        {"initializer_range", tidy(c->initializer_range)},
        {"layer_norm_eps", tidy(c->layer_norm_eps)},
    };
    memcpy(out, list, sizeof(list));
}

static const char *activation_name(vkb_activation activation)
{
    return activation == VKB_GELU_TANH ? "gelu_new" : "gelu";
}

static const char *special_piece(const vkb_tokenizer *tok, uint32_t id)
{
    const char *piece = vkb_tokenizer_piece(tok, id);
    return piece ? piece : "?";
}

static vkb_status print_json(cli_state *cli, const vkb_folder *folder, const vkb_tokenizer *tok)
{
    config_row numbers[CONFIG_ROWS];
    config_rows(vkb_folder_config(folder), numbers);
    cJSON *tree = cJSON_CreateObject();
    cJSON_AddStringToObject(tree, "weights", vkb_folder_weights(folder));
    cJSON_AddNumberToObject(tree, "parameters", (double)count_parameters(folder));
    const char *names[3];
    list_heads(folder, names);
    cJSON *heads = cJSON_AddArrayToObject(tree, "heads");
    for (size_t i = 0; names[i]; i++)
        cJSON_AddItemToArray(heads, cJSON_CreateString(names[i]));
    cJSON *config = cJSON_AddObjectToObject(tree, "config");
    for (size_t i = 0; i < CONFIG_ROWS; i++)
        cJSON_AddNumberToObject(config, numbers[i].name, numbers[i].value);
    cJSON_AddStringToObject(config, "hidden_act",
                            activation_name(vkb_folder_config(folder)->hidden_act));
    if (tok) {
        vkb_special_ids ids = vkb_tokenizer_special(tok);
        cJSON *tokenizer = cJSON_AddObjectToObject(tree, "tokenizer");
        cJSON_AddNumberToObject(tokenizer, "size", vkb_tokenizer_size(tok));
        cJSON_AddNumberToObject(tokenizer, "pad", ids.pad);
        cJSON_AddNumberToObject(tokenizer, "unk", ids.unk);
        cJSON_AddNumberToObject(tokenizer, "cls", ids.cls);
        cJSON_AddNumberToObject(tokenizer, "sep", ids.sep);
        cJSON_AddNumberToObject(tokenizer, "mask", ids.mask);
    } else {
        cJSON_AddNullToObject(tree, "tokenizer");
    }
    cJSON *tensors = cJSON_AddArrayToObject(tree, "tensors");
    for (size_t i = 0; i < vkb_folder_tensor_count(folder); i++) {
        vkb_tensor_info tensor = vkb_folder_tensor(folder, i);
        cJSON *item = cJSON_CreateObject(), *shape = cJSON_CreateArray();
        cJSON_AddStringToObject(item, "name", tensor.name);
        cJSON_AddStringToObject(item, "dtype", tensor.dtype);
        for (uint32_t axis = 0; axis < tensor.rank; axis++)
            cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)tensor.shape[axis]));
        cJSON_AddItemToObject(item, "shape", shape);
        cJSON_AddItemToArray(tensors, item);
    }
    return output_json(cli, tree);
}

static void print_tensors(const vkb_folder *folder)
{
    printf("\ntensors\n");
    for (size_t i = 0; i < vkb_folder_tensor_count(folder); i++) {
        vkb_tensor_info tensor = vkb_folder_tensor(folder, i);
        printf("  %-62s %-5s [", tensor.name, tensor.dtype);
        for (uint32_t axis = 0; axis < tensor.rank; axis++)
            printf("%s%" PRIu64, axis ? "," : "", tensor.shape[axis]);
        printf("]\n");
    }
}

static void print_table(cli_state *cli, const vkb_folder *folder, const vkb_tokenizer *tok)
{
    config_row numbers[CONFIG_ROWS];
    config_rows(vkb_folder_config(folder), numbers);
    printf("weights     %s\n", vkb_folder_weights(folder));
    printf("parameters  %s in %zu tensors\n", show_count(count_parameters(folder)).text,
           vkb_folder_tensor_count(folder));
    const char *names[3];
    list_heads(folder, names);
    printf("heads       %s", names[0] ? names[0] : "none");
    for (size_t i = 1; names[0] && names[i]; i++)
        printf(", %s", names[i]);
    printf("\n");
    if (tok) {
        vkb_special_ids ids = vkb_tokenizer_special(tok);
        printf("tokenizer   %s pieces; %s %u, %s %u, %s %u, %s %u, %s %u\n",
               show_count(vkb_tokenizer_size(tok)).text, special_piece(tok, ids.pad), ids.pad,
               special_piece(tok, ids.unk), ids.unk, special_piece(tok, ids.cls), ids.cls,
               special_piece(tok, ids.sep), ids.sep, special_piece(tok, ids.mask), ids.mask);
    } else {
        printf("tokenizer   none: %s\n", vkb_error(cli->ctx));
    }
    printf("\nconfig\n  %-30s %s\n", "hidden_act",
           activation_name(vkb_folder_config(folder)->hidden_act));
    for (size_t i = 0; i < CONFIG_ROWS; i++)
        printf("  %-30s %.7g\n", numbers[i].name, numbers[i].value);
    print_tensors(folder);
}

static vkb_status run(cli_state *cli, flag_set *set)
{
    const info_options *options = set->options;
    vkb_folder *folder = NULL;
    vkb_tokenizer *tok = NULL;
    vkb_status status = VKB_OK;
    CLI_TRY(cli_check_model(cli, options->model));
    CLI_TRY(vkb_folder_open(cli->ctx, options->model, &folder));
    // A folder without a tokenizer is worth describing too.
    if (vkb_tokenizer_load(cli->ctx, options->model, &tok) != VKB_OK)
        tok = NULL;
    if (options->json)
        status = print_json(cli, folder, tok);
    else
        print_table(cli, folder, tok);
cleanup:
    vkb_tokenizer_destroy(&tok);
    vkb_folder_close(&folder);
    return status;
}

const command command_info = {
    .name = "info",
    .usage = "-m MODEL [--json]",
    .summary = "Shows a model's config, parameters, tensors and tokenizer",
    .flags = &(const flag_table){.rows = rows, .count = CLI_COUNT(rows)},
    .options_size = sizeof(info_options),
    .run = run,
};
