// The model's sizes and rates. One table holds key, place, default and range of every number; the
// keys that would make another architecture are refused by name, all others are left alone.
#include "hf/config.h"

#include "hf/json.h"
#include "hf/model_kind.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The highest values are far above any BERT and keep every product of them in 64 bits.
static const struct field {
    const char *key;
    size_t offset;
    bool real; // float; else uint32_t
    double standard, low, high;
} fields[] = {
// clang-format off
#define COUNT(key, standard, low, high) {#key, offsetof(vkb_config, key), false, standard, low, high}
#define REAL(key, standard, low, high)  {#key, offsetof(vkb_config, key), true,  standard, low, high}
    COUNT(vocab_size,              30522, 1, 1 << 24),
    COUNT(hidden_size,               768, 1, 1 << 16),
    COUNT(num_hidden_layers,          12, 1, 1 << 10),
    COUNT(num_attention_heads,        12, 1, 1 << 16),
    COUNT(intermediate_size,        3072, 1, 1 << 20),
    COUNT(max_position_embeddings,   512, 1, 1 << 20),
    COUNT(type_vocab_size,             2, 1, 1 << 16),
    COUNT(pad_token_id,                0, 0, (1 << 24) - 1),
    REAL(hidden_dropout_prob,          0.1,   0, 0.99),
    REAL(attention_probs_dropout_prob, 0.1,   0, 0.99),
    REAL(initializer_range,            0.02,  0, 100),
    REAL(layer_norm_eps,               1e-12, 1e-20, 1), // 0 divides by the variance of equal values
    // clang-format on
};

// "gelu" is the erf form; the others are names of one tanh form. The first of a kind is written.
// Google trained its BERTs with the tanh form and called it "gelu" in bert_config.json too; their
// conversions at Hugging Face keep the word, so that everybody runs them with erf (the two differ by
// 0.0005 at most). So do we: the same weights give the same answers from either file.
static const struct {
    const char *name;
    vkb_activation activation;
} activations[] = {
    {"gelu", VKB_GELU},
    {"gelu_new", VKB_GELU_TANH},
    {"gelu_pytorch_tanh", VKB_GELU_TANH},
    {"gelu_fast", VKB_GELU_TANH},
};

static double get_field(const vkb_config *config, const struct field *field)
{
    const char *at = (const char *)config + field->offset;
    return field->real ? *(const float *)at : *(const uint32_t *)at;
}

static void set_field(vkb_config *config, const struct field *field, double value)
{
    char *at = (char *)config + field->offset;
    if (field->real)
        *(float *)at = (float)value;
    else
        *(uint32_t *)at = (uint32_t)value;
}

// A NaN is in no range.
static bool in_range(const struct field *field, double value)
{
    double high = field->real ? (float)field->high : field->high; // as the config would hold it
    return value >= field->low && value <= high && (field->real || floor(value) == value);
}

static vkb_status fail_range(vkb_context *ctx, vkb_status failure, const char *where,
                             const struct field *field, const char *found)
{
    return vkb_fail(ctx, failure, "%s: %s is %s, expected a %s of %.9g to %.9g", where, field->key,
                    found, field->real ? "number" : "whole number", field->low, field->high);
}

static vkb_config default_config(void)
{
    vkb_config config = {.hidden_act = VKB_GELU};
    for (size_t i = 0; i < BASE_COUNT(fields); i++)
        set_field(&config, &fields[i], fields[i].standard);
    return config;
}

static bool find_activation(const char *name, vkb_activation *activation)
{
    for (size_t i = 0; i < BASE_COUNT(activations); i++)
        if (strcmp(activations[i].name, name) == 0) {
            *activation = activations[i].activation;
            return true;
        }
    return false;
}

static vkb_status fail_activation(vkb_context *ctx, vkb_status failure, const char *where,
                                  const char *found)
{
    return vkb_fail(ctx, failure,
                    "%s: hidden_act is %s, expected gelu, gelu_new, gelu_pytorch_tanh or gelu_fast",
                    where, found);
}

vkb_status hf_config_check(vkb_context *ctx, vkb_status failure, const char *where,
                           const vkb_config *config)
{
    for (size_t i = 0; i < BASE_COUNT(fields); i++) {
        double value = get_field(config, &fields[i]);
        char text[32];
        snprintf(text, sizeof(text), "%.9g", value);
        if (!in_range(&fields[i], value))
            return fail_range(ctx, failure, where, &fields[i], text);
    }
    if (config->hidden_size % config->num_attention_heads)
        return vkb_fail(ctx, failure,
                        "%s: hidden_size is %u, expected a multiple of num_attention_heads, %u",
                        where, config->hidden_size, config->num_attention_heads);
    if (config->pad_token_id >= config->vocab_size)
        return vkb_fail(ctx, failure, "%s: pad_token_id is %u, expected one below vocab_size, %u",
                        where, config->pad_token_id, config->vocab_size);
    return VKB_OK;
}

// ---- Presets ----

vkb_status vkb_config_preset(vkb_context *ctx, const char *size, vkb_config *out)
{
    static const struct {
        const char *name;
        uint32_t layers, hidden, heads, intermediate;
    } presets[] = {
        {"tiny", 2, 128, 2, 512},    {"mini", 4, 256, 4, 1024},   {"small", 4, 512, 8, 2048},
        {"medium", 8, 512, 8, 2048}, {"base", 12, 768, 12, 3072}, {"large", 24, 1024, 16, 4096},
    };
    for (size_t i = 0; i < BASE_COUNT(presets); i++) {
        if (strcmp(presets[i].name, size) != 0)
            continue;
        *out = default_config();
        out->num_hidden_layers = presets[i].layers;
        out->hidden_size = presets[i].hidden;
        out->num_attention_heads = presets[i].heads;
        out->intermediate_size = presets[i].intermediate;
        return VKB_OK;
    }
    return vkb_fail(ctx, VKB_BAD_ARGUMENT,
                    "size is %s, expected tiny, mini, small, medium, base or large", size);
}

// ---- Reading ----

static vkb_status read_fields(vkb_context *ctx, const char *path, const cJSON *root,
                              vkb_config *config)
{
    for (size_t i = 0; i < BASE_COUNT(fields); i++) {
        const cJSON *item = hf_json_member(root, fields[i].key);
        if (!item || cJSON_IsNull(item))
            continue;
        if (!cJSON_IsNumber(item))
            return hf_json_unexpected(ctx, path, fields[i].key, item, "a number");
        char text[32];
        snprintf(text, sizeof(text), "%.9g", item->valuedouble);
        if (!in_range(&fields[i], item->valuedouble))
            return fail_range(ctx, VKB_BAD_FILE, path, &fields[i], text);
        set_field(config, &fields[i], item->valuedouble);
    }
    return VKB_OK;
}

vkb_status hf_config_read(vkb_context *ctx, const char *path, vkb_config *out, cJSON **original)
{
    vkb_config config = default_config();
    const char *activation = "gelu";
    cJSON *root = NULL;
    vkb_status status;
    BASE_TRY(hf_json_read(ctx, path, &root));
    BASE_TRY(hf_model_kind_check(ctx, path, root));
    BASE_TRY(read_fields(ctx, path, root, &config));
    BASE_TRY(hf_json_get_string(ctx, path, root, "hidden_act", &activation));
    if (!find_activation(activation, &config.hidden_act)) {
        status = fail_activation(ctx, VKB_BAD_FILE, path, activation);
        goto cleanup;
    }
    BASE_TRY(hf_config_check(ctx, VKB_BAD_FILE, path, &config));
    *out = config;
    *original = root;
    root = NULL;
cleanup:
    cJSON_Delete(root);
    return status;
}

vkb_status vkb_config_read(vkb_context *ctx, const char *path, vkb_config *out)
{
    cJSON *original = NULL;
    vkb_status status = hf_config_read(ctx, path, out, &original);
    cJSON_Delete(original);
    return status;
}

// ---- Overriding ----

static vkb_status fail_key(vkb_context *ctx, const char *key)
{
    char known[512] = "hidden_act";
    for (size_t i = 0; i < BASE_COUNT(fields); i++) {
        size_t used = strlen(known);
        snprintf(known + used, sizeof(known) - used, ", %s", fields[i].key);
    }
    return vkb_fail(ctx, VKB_BAD_ARGUMENT, "config override: %s is no key; the keys are %s", key,
                    known);
}

static vkb_status override_one(vkb_context *ctx, const char *key, const char *value,
                               vkb_config *config)
{
    if (strcmp(key, "hidden_act") == 0)
        return find_activation(value, &config->hidden_act)
                   ? VKB_OK
                   : fail_activation(ctx, VKB_BAD_ARGUMENT, "config override", value);
    for (size_t i = 0; i < BASE_COUNT(fields); i++) {
        if (strcmp(fields[i].key, key) != 0)
            continue;
        char *end;
        double number = strtod(value, &end);
        if (end == value || *end || !in_range(&fields[i], number))
            return fail_range(ctx, VKB_BAD_ARGUMENT, "config override", &fields[i],
                              *value ? value : "empty");
        set_field(config, &fields[i], number);
        return VKB_OK;
    }
    return fail_key(ctx, key);
}

vkb_status vkb_config_override(vkb_context *ctx, const char *overrides, vkb_config *out)
{
    vkb_config config = *out;
    vkb_status status = VKB_OK;
    char *copy = strdup(overrides), *next = copy, *key;
    if (!copy)
        return vkb_fail_memory(ctx, strlen(overrides), "config overrides");
    while (next && *next) {
        key = next;
        next = strchr(key, ',');
        if (next)
            *next++ = 0;
        char *equals = strchr(key, '=');
        if (!equals) {
            status = vkb_fail(ctx, VKB_BAD_ARGUMENT,
                              "config override: \"%s\" has no value, expected key=value", key);
            goto cleanup;
        }
        *equals = 0;
        BASE_TRY(override_one(ctx, key, equals + 1, &config));
    }
    BASE_TRY(hf_config_check(ctx, VKB_BAD_ARGUMENT, "config override", &config));
    *out = config;
cleanup:
    free(copy);
    return status;
}

// ---- Writing ----

// The original's name of the activation, if it is one of those that mean it.
static const char *activation_name(vkb_activation activation, const cJSON *original)
{
    const cJSON *named = hf_json_member(original, "hidden_act");
    vkb_activation meant;
    if (cJSON_IsString(named) && find_activation(named->valuestring, &meant) && meant == activation)
        return named->valuestring;
    for (size_t i = 0; i < BASE_COUNT(activations); i++)
        if (activations[i].activation == activation)
            return activations[i].name;
    return "gelu";
}

static const char *architecture(const vkb_config *config, const hf_config_form *form)
{
    if (form->no_masked_lm)
        return config->next_sentence ? "BertForNextSentencePrediction" : "BertModel";
    return config->next_sentence ? "BertForPreTraining" : "BertForMaskedLM";
}

// transformers 4.56 and newer write "dtype", older ones "torch_dtype", which every one reads.
static bool add_dtype(cJSON *root, const hf_config_form *form)
{
    static const char *const names[] = {"float32", "float16", "bfloat16"};
    const bool renamed = hf_json_member(form->original, "dtype") != NULL;
    bool ok = true;
    if (renamed)
        ok = cJSON_AddStringToObject(root, "dtype", names[form->precision]);
    if (!renamed || hf_json_member(form->original, "torch_dtype"))
        ok = ok && cJSON_AddStringToObject(root, "torch_dtype", names[form->precision]);
    return ok;
}

vkb_status hf_config_write(vkb_context *ctx, const char *folder, const vkb_config *config,
                           const hf_config_form *form)
{
    static const hf_config_form standard = {0};
    form = form ? form : &standard;
    cJSON *root = cJSON_CreateObject();
    cJSON *architectures = cJSON_AddArrayToObject(root, "architectures");
    bool ok = cJSON_AddItemToArray(architectures, cJSON_CreateString(architecture(config, form))) &&
              cJSON_AddStringToObject(root, "model_type", "bert") &&
              cJSON_AddStringToObject(root, "hidden_act",
                                      activation_name(config->hidden_act, form->original)) &&
              cJSON_AddStringToObject(root, "position_embedding_type", "absolute") &&
              cJSON_AddBoolToObject(root, "tie_word_embeddings", true) && add_dtype(root, form);
    for (size_t i = 0; i < BASE_COUNT(fields) && ok; i++) {
        double value = get_field(config, &fields[i]);
        ok = cJSON_AddNumberToObject(root, fields[i].key,
                                     fields[i].real ? hf_json_float((float)value) : value);
    }
    if (ok)
        root = hf_json_complete(root, form->original);
    vkb_status status = hf_json_write(ctx, folder, "config.json", ok ? root : NULL);
    cJSON_Delete(root);
    return status;
}
