// config.json: defaults, refusals, presets, overrides, and the way back.
#include "tests/check.h"
#include "tests/temp.h"

#include "hf/config.h"
#include "hf/json.h"

static vkb_context *ctx;
static char *folder;

static vkb_status read_text(const char *text, vkb_config *config)
{
    temp_write_text(folder, "config.json", text);
    return vkb_config_read(ctx, temp_path(folder, "config.json"), config);
}

static void refuse(const char *text, const char *part)
{
    vkb_config config = {.vocab_size = 7};
    check_case = text;
    CHECK_INT(read_text(text, &config), VKB_BAD_FILE);
    CHECK_HAS(vkb_error(ctx), temp_path(folder, "config.json"));
    CHECK_HAS(vkb_error(ctx), part);
    CHECK_INT(config.vocab_size, 7);
    check_case = "";
}

static void check_same(const vkb_config *a, const vkb_config *b)
{
#define SAME(member) CHECK(a->member == b->member)
    SAME(vocab_size);
    SAME(hidden_size);
    SAME(num_hidden_layers);
    SAME(num_attention_heads);
    SAME(intermediate_size);
    SAME(max_position_embeddings);
    SAME(type_vocab_size);
    SAME(pad_token_id);
    SAME(hidden_act);
    SAME(next_sentence);
    SAME(hidden_dropout_prob);
    SAME(attention_probs_dropout_prob);
    SAME(initializer_range);
    SAME(layer_norm_eps);
#undef SAME
}

TEST(fills_in_the_defaults)
{
    vkb_config config = {0}, base = {0};
    CHECK_INT(read_text("{}", &config), VKB_OK);
    CHECK_INT(config.vocab_size, 30522);
    CHECK_INT(config.hidden_size, 768);
    CHECK_INT(config.num_hidden_layers, 12);
    CHECK_INT(config.num_attention_heads, 12);
    CHECK_INT(config.intermediate_size, 3072);
    CHECK_INT(config.max_position_embeddings, 512);
    CHECK_INT(config.type_vocab_size, 2);
    CHECK_INT(config.pad_token_id, 0);
    CHECK_INT(config.hidden_act, VKB_GELU);
    CHECK(config.hidden_dropout_prob == 0.1f && config.attention_probs_dropout_prob == 0.1f);
    CHECK(config.initializer_range == 0.02f && config.layer_norm_eps == 1e-12f);
    CHECK_INT(vkb_config_preset(ctx, "base", &base), VKB_OK);
    check_same(&config, &base);
}

TEST(reads_every_key)
{
    vkb_config config = {0};
    CHECK_INT(read_text("{\"model_type\":\"bert\",\"vocab_size\":100,\"hidden_size\":8,"
                        "\"num_hidden_layers\":1,\"num_attention_heads\":4,"
                        "\"intermediate_size\":5,\"max_position_embeddings\":6,"
                        "\"type_vocab_size\":1,\"pad_token_id\":99,\"hidden_act\":\"gelu_fast\","
                        "\"hidden_dropout_prob\":0,\"attention_probs_dropout_prob\":0.25,"
                        "\"initializer_range\":0.5,\"layer_norm_eps\":1e-5,"
                        "\"position_embedding_type\":\"absolute\",\"is_decoder\":false,"
                        "\"tie_word_embeddings\":true,\"classifier_dropout\":null,\"more\":[1]}",
                        &config),
              VKB_OK);
    vkb_config expected = {.vocab_size = 100,
                           .hidden_size = 8,
                           .num_hidden_layers = 1,
                           .num_attention_heads = 4,
                           .intermediate_size = 5,
                           .max_position_embeddings = 6,
                           .type_vocab_size = 1,
                           .pad_token_id = 99,
                           .hidden_act = VKB_GELU_TANH,
                           .attention_probs_dropout_prob = 0.25f,
                           .initializer_range = 0.5f,
                           .layer_norm_eps = 1e-5f};
    check_same(&config, &expected);
    CHECK_INT(read_text("{\"pad_token_id\":null,\"hidden_act\":\"gelu_new\"}", &config), VKB_OK);
    CHECK_INT(config.pad_token_id, 0);
    CHECK_INT(config.hidden_act, VKB_GELU_TANH);
}

TEST(takes_every_class_of_bert)
{
    static const char *const texts[] = {
        "{\"architectures\":[\"BertModel\"]}",
        "{\"architectures\":[\"BertForPreTraining\"]}",
        "{\"architectures\":[\"TFBertForMaskedLM\"]}",
        "{\"architectures\":[\"FlaxBertForMaskedLM\"]}",
        "{\"architectures\":[\"Mine\",\"BertLMHeadModel\"]}",
        "{\"architectures\":[\"Mine\"],\"model_type\":\"bert\"}", // what transformers goes by
        "{\"architectures\":[]}",
        "{\"architectures\":null}",
        "{\"embedding_size\":768,\"hidden_size\":768}",
        "{\"embedding_size\":128,\"hidden_size\":768,\"model_type\":\"bert\"}",
    };
    for (size_t i = 0; i < BASE_COUNT(texts); i++) {
        vkb_config config;
        check_case = texts[i];
        CHECK_INT(read_text(texts[i], &config), VKB_OK);
    }
    check_case = "";
}

TEST(refuses_other_models_by_name)
{
    static const char *const others[] = {"roberta",   "distilbert", "modernbert", "albert",
                                         "electra",   "gpt2",       "deberta-v2", "bert-generation",
                                         "camembert", "xlm-roberta"};
    for (size_t i = 0; i < BASE_COUNT(others); i++) {
        char text[96], part[96];
        snprintf(text, sizeof(text), "{\"model_type\":\"%s\"}", others[i]);
        snprintf(part, sizeof(part), "model_type is %s, expected bert: vkbert computes BERT only",
                 others[i]);
        refuse(text, part);
    }
    refuse(
        "{\"architectures\":[\"RobertaForMaskedLM\"]}",
        "architectures has RobertaForMaskedLM, expected BertForMaskedLM or another of BERT: vkbert "
        "computes BERT only");
    refuse("{\"architectures\":[\"BertGenerationEncoder\"],\"model_type\":null}",
           "architectures has BertGenerationEncoder");
    refuse("{\"hidden_size\":768,\"embedding_size\":128}",
           "embedding_size is 128, but hidden_size 768, as in ALBERT");
    refuse("{\"model_type\":[]}", "model_type is [], expected a string");
    refuse("{\"position_embedding_type\":\"relative_key\"}", "relative_key, expected absolute");
    refuse("{\"is_decoder\":true}", "is_decoder is true");
    refuse("{\"add_cross_attention\":true}", "add_cross_attention is true");
    refuse("{\"tie_word_embeddings\":false}", "tie_word_embeddings is false");
    refuse("{\"hidden_act\":\"relu\"}", "hidden_act is relu, expected gelu");
}

TEST(refuses_values_out_of_range)
{
    refuse("{\"hidden_size\":770}", "770, expected a multiple of num_attention_heads, 12");
    refuse("{\"hidden_size\":0}", "hidden_size is 0, expected a whole number of 1 to 65536");
    refuse("{\"num_hidden_layers\":0}", "num_hidden_layers is 0");
    refuse("{\"num_attention_heads\":0}", "num_attention_heads is 0");
    refuse("{\"vocab_size\":-1}", "vocab_size is -1");
    refuse("{\"vocab_size\":1e300}", "vocab_size is 1e+300");
    refuse("{\"vocab_size\":4294967297}", "vocab_size is 4.2949673e+09");
    refuse("{\"vocab_size\":10.5}", "vocab_size is 10.5");
    refuse("{\"hidden_size\":\"768\"}", "hidden_size is \"768\", expected a number");
    refuse("{\"is_decoder\":\"no\"}", "is_decoder is \"no\", expected true or false");
    refuse("{\"hidden_act\":3}", "hidden_act is 3, expected a string");
    refuse("{\"hidden_dropout_prob\":1}", "hidden_dropout_prob is 1, expected a number of 0 to");
    refuse("{\"layer_norm_eps\":-1e-12}", "layer_norm_eps is -1e-12");
    refuse("{\"layer_norm_eps\":0}", "layer_norm_eps is 0, expected a number of 1e-20 to 1");
    refuse("{\"vocab_size\":10,\"pad_token_id\":10}", "pad_token_id is 10, expected one below");
}

TEST(refuses_what_is_not_a_config)
{
    vkb_config config;
    refuse("", "not JSON");
    refuse("[]", "not an object");
    refuse("{\"a\":1\n,\n}", "line 3");
    refuse("{\"vocab_size\":1,\"vocab_size\":2}", "\"vocab_size\" is there twice");
    CHECK_INT(vkb_config_read(ctx, temp_path(folder, "absent.json"), &config), VKB_BAD_FILE);
    CHECK_HAS(vkb_error(ctx), "absent.json: cannot be opened");
}

TEST(knows_the_presets)
{
    static const struct {
        const char *name;
        uint32_t layers, hidden, heads, intermediate;
    } sizes[] = {{"tiny", 2, 128, 2, 512},    {"mini", 4, 256, 4, 1024},
                 {"small", 4, 512, 8, 2048},  {"medium", 8, 512, 8, 2048},
                 {"base", 12, 768, 12, 3072}, {"large", 24, 1024, 16, 4096}};
    vkb_config config;
    for (size_t i = 0; i < BASE_COUNT(sizes); i++) {
        check_case = sizes[i].name;
        CHECK_INT(vkb_config_preset(ctx, sizes[i].name, &config), VKB_OK);
        CHECK_INT(config.num_hidden_layers, sizes[i].layers);
        CHECK_INT(config.hidden_size, sizes[i].hidden);
        CHECK_INT(config.num_attention_heads, sizes[i].heads);
        CHECK_INT(config.intermediate_size, sizes[i].intermediate);
        CHECK_INT(hf_config_check(ctx, VKB_BAD_ARGUMENT, "preset", &config), VKB_OK);
    }
    check_case = "";
    CHECK_INT(vkb_config_preset(ctx, "huge", &config), VKB_BAD_ARGUMENT);
    CHECK_HAS(vkb_error(ctx), "size is huge, expected tiny");
}

static void refuse_override(const char *overrides, const char *part)
{
    vkb_config config, before;
    vkb_config_preset(ctx, "tiny", &config);
    before = config;
    check_case = overrides;
    CHECK_INT(vkb_config_override(ctx, overrides, &config), VKB_BAD_ARGUMENT);
    CHECK_HAS(vkb_error(ctx), part);
    check_same(&config, &before);
    check_case = "";
}

TEST(overrides)
{
    vkb_config config;
    vkb_config_preset(ctx, "tiny", &config);
    CHECK_INT(vkb_config_override(ctx, "", &config), VKB_OK);
    // In any order: only the whole is checked for heads that divide hidden_size.
    CHECK_INT(vkb_config_override(ctx,
                                  "num_attention_heads=3,hidden_size=96,hidden_act=gelu_new,"
                                  "hidden_dropout_prob=0.99,layer_norm_eps=1e-6",
                                  &config),
              VKB_OK);
    CHECK_INT(config.hidden_size, 96);
    CHECK_INT(config.num_attention_heads, 3);
    CHECK_INT(config.hidden_act, VKB_GELU_TANH);
    CHECK(config.hidden_dropout_prob == 0.99f && config.layer_norm_eps == 1e-6f);

    refuse_override("hidden_size=100,num_attention_heads=3", "multiple of num_attention_heads, 3");
    refuse_override("hidden_sizes=100", "hidden_sizes is no key; the keys are hidden_act, vocab");
    refuse_override("hidden_size", "\"hidden_size\" has no value");
    refuse_override("hidden_size=", "hidden_size is empty");
    refuse_override("hidden_size=12x", "hidden_size is 12x");
    refuse_override("vocab_size=nan", "vocab_size is nan");
    refuse_override("hidden_act=relu", "hidden_act is relu");
    refuse_override("vocab_size=5,,", "\"\" has no value");
}

TEST(writes_what_it_reads)
{
    vkb_config config, again = {0};
    vkb_config_preset(ctx, "small", &config);
    config.hidden_act = VKB_GELU_TANH;
    config.initializer_range = 1.0f / 3;
    config.pad_token_id = 3;
    CHECK_INT(hf_config_write(ctx, folder, &config, NULL), VKB_OK);
    CHECK_INT(vkb_config_read(ctx, temp_path(folder, "config.json"), &again), VKB_OK);
    check_same(&config, &again);
    char *text = temp_read(folder, "config.json", NULL);
    CHECK_HAS(text, "\"BertForMaskedLM\"");
    CHECK_HAS(text, "\"model_type\":\t\"bert\"");
    CHECK_HAS(text, "\"hidden_dropout_prob\":\t0.1,"); // not 0.100000001490116
    CHECK_HAS(text, "1e-12");
    free(text);
    config.next_sentence = true;
    CHECK_INT(hf_config_write(ctx, folder, &config, NULL), VKB_OK);
    text = temp_read(folder, "config.json", NULL);
    CHECK_HAS(text, "\"BertForPreTraining\"");
    CHECK(!strstr(text, "MaskedLM"));
    free(text);
    // Read back, the weights decide which heads there are, not this name: see test_folder.c.
    CHECK_INT(vkb_config_read(ctx, temp_path(folder, "config.json"), &again), VKB_OK);
    CHECK(!again.next_sentence);
    CHECK_INT(hf_config_write(ctx, temp_path(folder, "absent"), &config, NULL), VKB_IO);
}

// The text of config.json after `original` was read and written again with a change.
static char *rewritten(const char *original, const char *overrides, hf_config_form form)
{
    vkb_config config;
    struct cJSON *file = NULL;
    temp_write_text(folder, "config.json", original);
    CHECK_INT(hf_config_read(ctx, temp_path(folder, "config.json"), &config, &file), VKB_OK);
    CHECK_INT(vkb_config_override(ctx, overrides, &config), VKB_OK);
    form.original = file;
    CHECK_INT(hf_config_write(ctx, folder, &config, &form), VKB_OK);
    cJSON_Delete(file);
    return temp_read(folder, "config.json", NULL);
}

TEST(keeps_keys_that_are_not_its_own)
{
    char *text =
        rewritten("{\"transformers_version\":\"4.2\",\"vocab_size\":50,\"id2label\":{\"0\":"
                  "\"no\"},\"hidden_act\":\"gelu_fast\",\"architectures\":[\"BertForX\"],"
                  "\"dtype\":\"float16\",\"layer_norm_eps\":1e-5}",
                  "vocab_size=60", (hf_config_form){.precision = VKB_BF16});
    // the original's order, then what it had not
    static const char *const parts[] = {"\"transformers_version\":\t\"4.2\"",
                                        "\"vocab_size\":\t60,",
                                        "\"id2label\":\t{",
                                        "\"0\":\t\"no\"",
                                        "\"hidden_act\":\t\"gelu_fast\"",
                                        "\"architectures\":",
                                        "\"BertForMaskedLM\"",
                                        "\"dtype\":\t\"bfloat16\"",
                                        "\"layer_norm_eps\":\t1e-05",
                                        "\"model_type\":\t\"bert\""};
    const char *at = text;
    for (size_t i = 0; i < BASE_COUNT(parts); i++) {
        const char *found = strstr(at, parts[i]);
        if (!found)
            CHECK_FAILED("%s is not there, or not in its place: %s", parts[i], text);
        at = found ? found : at;
    }
    CHECK(!strstr(text, "torch_dtype"));
    CHECK(!strstr(text, "BertForX"));
    free(text);

    text = rewritten("{\"torch_dtype\":\"float16\",\"hidden_act\":\"gelu_fast\"}",
                     "hidden_act=gelu", (hf_config_form){.no_masked_lm = true});
    CHECK_HAS(text, "\"torch_dtype\":\t\"float32\"");
    CHECK_HAS(text, "\"hidden_act\":\t\"gelu\"");
    CHECK_HAS(text, "\"BertModel\"");
    CHECK(!strstr(text, "\"dtype\""));
    free(text);
}

int main(void)
{
    ctx = vkb_context_create(NULL, NULL);
    folder = temp_folder();
    RUN(fills_in_the_defaults);
    RUN(reads_every_key);
    RUN(takes_every_class_of_bert);
    RUN(refuses_other_models_by_name);
    RUN(refuses_values_out_of_range);
    RUN(refuses_what_is_not_a_config);
    RUN(knows_the_presets);
    RUN(overrides);
    RUN(writes_what_it_reads);
    RUN(keeps_keys_that_are_not_its_own);
    temp_remove(folder);
    vkb_context_destroy(&ctx);
    return check_report();
}
