// vkbert info: what is in a model folder. Needs no device.
#include "cli/cli.h"
#include "cli/models.h"

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
     .help = CLI_MODEL},
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
        count += is_parameter(tensor.canonical) ? elements(&tensor) : 0;
    }
    return count;
}

static bool has_tensor(const vkb_folder *folder, const char *name)
{
    for (size_t i = 0; i < vkb_folder_tensor_count(folder); i++)
        if (strcmp(vkb_folder_tensor(folder, i).canonical, name) == 0)
            return true;
    return false;
}

static const char mlm_head[] = "cls.predictions.transform.dense.weight";

// What the model predicts: the names of its heads, NULL behind the last.
static void list_heads(const vkb_folder *folder, const char *names[3])
{
    if (has_tensor(folder, mlm_head))
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

// ---- What is wrong with the tensors ----

static const struct {
    const char *name, *meaning;
} fault_kinds[] = {
    [VKB_TENSOR_MISSING] = {"missing", "not in the file"},
    [VKB_TENSOR_MISMATCHED] = {"mismatched", "of another shape than config.json asks for"},
    [VKB_TENSOR_UNEXPECTED] = {"unexpected", "of no BERT with these heads: not loaded"},
};

typedef struct fault_list {
    vkb_tensor_fault *at;
    size_t count;
} fault_list;

static void print_shape(const uint64_t *shape, uint32_t rank)
{
    printf(" [");
    for (uint32_t axis = 0; axis < rank; axis++)
        printf("%s%" PRIu64, axis ? "," : "", shape[axis]);
    printf("]");
}

static void print_faults(const fault_list *faults)
{
    for (size_t kind = 0; kind < CLI_COUNT(fault_kinds); kind++) {
        bool titled = false;
        for (size_t i = 0; i < faults->count; i++) {
            const vkb_tensor_fault *fault = &faults->at[i];
            if (fault->kind != kind)
                continue;
            if (!titled)
                printf("\n%s: %s\n", fault_kinds[kind].name, fault_kinds[kind].meaning);
            titled = true;
            printf("  %s", fault->name);
            if (fault->rank)
                print_shape(fault->shape, fault->rank);
            if (kind == VKB_TENSOR_MISMATCHED) {
                printf(", expected");
                print_shape(fault->expected, fault->expected_rank);
            }
            printf("\n");
        }
    }
}

static cJSON *shape_json(const uint64_t *shape, uint32_t rank)
{
    cJSON *list = cJSON_CreateArray();
    for (uint32_t axis = 0; axis < rank; axis++)
        cJSON_AddItemToArray(list, cJSON_CreateNumber((double)shape[axis]));
    return list;
}

static void add_faults(cJSON *tree, const fault_list *faults)
{
    for (size_t kind = 0; kind < CLI_COUNT(fault_kinds); kind++) {
        cJSON *list = cJSON_AddArrayToObject(tree, fault_kinds[kind].name);
        for (size_t i = 0; i < faults->count; i++) {
            const vkb_tensor_fault *fault = &faults->at[i];
            if (fault->kind != kind)
                continue;
            cJSON *item = cJSON_CreateObject();
            cJSON_AddStringToObject(item, "name", fault->name);
            if (kind != VKB_TENSOR_MISSING)
                cJSON_AddItemToObject(item, "shape", shape_json(fault->shape, fault->rank));
            if (kind != VKB_TENSOR_UNEXPECTED)
                cJSON_AddItemToObject(item, "expected",
                                      shape_json(fault->expected, fault->expected_rank));
            cJSON_AddItemToArray(list, item);
        }
    }
}

// ---- All together ----

static const char *special_piece(const vkb_tokenizer *tok, uint32_t id)
{
    const char *piece = vkb_tokenizer_piece(tok, id);
    return piece ? piece : "?";
}

static void add_source(cJSON *tree, const vkb_model_source *source)
{
    cJSON *from = cJSON_AddObjectToObject(tree, "source");
    cJSON_AddStringToObject(from, "folder", source->folder);
    if (source->name) {
        cJSON_AddStringToObject(from, "name", source->name);
        cJSON_AddStringToObject(from, "revision", source->revision);
        cJSON_AddStringToObject(from, "commit", source->commit);
    }
}

static vkb_status print_json(cli_state *cli, const vkb_model_source *source,
                             const vkb_folder *folder, const vkb_tokenizer *tok,
                             const fault_list *faults)
{
    config_row numbers[CONFIG_ROWS];
    config_rows(vkb_folder_config(folder), numbers);
    cJSON *tree = cJSON_CreateObject();
    add_source(tree, source);
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
    add_faults(tree, faults);
    cJSON *tensors = cJSON_AddArrayToObject(tree, "tensors");
    for (size_t i = 0; i < vkb_folder_tensor_count(folder); i++) {
        vkb_tensor_info tensor = vkb_folder_tensor(folder, i);
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "name", tensor.name);
        cJSON_AddStringToObject(item, "dtype", tensor.dtype);
        cJSON_AddItemToObject(item, "shape", shape_json(tensor.shape, tensor.rank));
        cJSON_AddItemToArray(tensors, item);
    }
    return output_json(cli, tree);
}

static void print_tensors(const vkb_folder *folder)
{
    printf("\ntensors\n");
    for (size_t i = 0; i < vkb_folder_tensor_count(folder); i++) {
        vkb_tensor_info tensor = vkb_folder_tensor(folder, i);
        printf("  %-62s %-5s", tensor.name, tensor.dtype);
        print_shape(tensor.shape, tensor.rank);
        printf("\n");
    }
}

static void print_table(cli_state *cli, const vkb_model_source *source, const vkb_folder *folder,
                        const vkb_tokenizer *tok, const fault_list *faults)
{
    config_row numbers[CONFIG_ROWS];
    config_rows(vkb_folder_config(folder), numbers);
    if (source->name)
        printf("from        %s@%s on the hub, commit %s\n", source->name, source->revision,
               source->commit);
    else
        printf("from        the folder %s\n", source->folder);
    printf("weights     %s\n", vkb_folder_weights(folder));
    printf("parameters  %s in %zu tensors\n", show_count(count_parameters(folder)).text,
           vkb_folder_tensor_count(folder));
    const char *names[3];
    list_heads(folder, names);
    printf("heads       %s", names[0] ? names[0] : "none");
    for (size_t i = 1; names[0] && names[i]; i++)
        printf(", %s", names[i]);
    printf("%s\n", has_tensor(folder, mlm_head) ? "" : "; no MLM head: train gives it one");
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
    print_faults(faults);
    print_tensors(folder);
}

static vkb_status run(cli_state *cli, flag_set *set)
{
    const info_options *options = set->options;
    vkb_model_source source = {0};
    vkb_folder *folder = NULL;
    vkb_tokenizer *tok = NULL;
    fault_list faults = {0};
    vkb_status status = VKB_OK;
    CLI_TRY(model_find(cli, options->model, 0, NULL, &source));
    CLI_TRY(vkb_folder_open(cli->ctx, source.folder, &folder));
    CLI_TRY(vkb_folder_compare(cli->ctx, folder, &faults.at, &faults.count));
    // A folder without a tokenizer is worth describing too.
    if (vkb_tokenizer_load(cli->ctx, source.folder, &tok) != VKB_OK)
        tok = NULL;
    if (options->json)
        status = print_json(cli, &source, folder, tok, &faults);
    else
        print_table(cli, &source, folder, tok, &faults);
cleanup:
    free(faults.at);
    vkb_tokenizer_destroy(&tok);
    vkb_folder_close(&folder);
    vkb_model_source_free(&source);
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
