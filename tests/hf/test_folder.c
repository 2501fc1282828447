// Model folders: what is missing is said, shards are one model, old names become today's.
#include "tests/check.h"
#include "tests/temp.h"

#include "hf/config.h"
#include "hf/folder.h"
#include "hf/names.h"
#include "hf/safetensors.h"

static vkb_context *ctx;
static char *folder;
static char last_warning[512];

static void keep_warning(void *user, vkb_log_level level, const char *sentence)
{
    (void)user;
    if (level == VKB_LOG_WARNING)
        snprintf(last_warning, sizeof(last_warning), "%s", sentence);
}

// Starts the folder anew with a config.
static void start(void)
{
    temp_empty(folder);
    last_warning[0] = 0;
    temp_write_text(folder, "config.json", "{\"vocab_size\":99}");
}

// Writes a file of [2] tensors; element 0 of each is its place in the list, element 1 is `second`.
static void write_weights(const char *name, const char *const *names, size_t count, float second)
{
    hf_tensor tensors[8] = {{0}};
    hf_safetensors_writer *writer = NULL;
    for (size_t i = 0; i < count; i++)
        tensors[i] = (hf_tensor){.name = names[i], .rank = 1, .shape = {2}};
    CHECK_INT(hf_safetensors_create(ctx, temp_path(folder, name), tensors, count, NULL, 0, &writer),
              VKB_OK);
    for (size_t i = 0; i < count; i++) {
        float values[2] = {0, second};
        for (size_t k = 0; k < count; k++)
            if (strcmp(names[k], tensors[i].name) == 0)
                values[0] = (float)k;
        hf_safetensors_write(writer, values, sizeof(values));
    }
    CHECK_INT(hf_safetensors_commit(&writer), VKB_OK);
}

static void refuse(const char *path, const char *part)
{
    vkb_folder *model = NULL;
    CHECK_INT(vkb_folder_open(ctx, path, &model), VKB_BAD_FILE);
    CHECK_HAS(vkb_error(ctx), part);
    CHECK(!model);
    vkb_folder_close(&model);
}

// Which of the list a canonical name found: its first element; -1: none.
static int found(const vkb_folder *model, const char *name)
{
    const hf_tensor *tensor = hf_folder_find(model, name);
    float value = -1;
    if (tensor)
        hf_tensor_to_f32(tensor, 0, 1, &value);
    return (int)value;
}

TEST(says_what_is_missing)
{
    refuse("no-such/bert-base", "no-such/bert-base: there is no such folder");
    temp_empty(folder);
    refuse(folder, "has no config.json");
    temp_write_text(folder, "config.json", "{\"model_type\":\"gpt2\"}");
    refuse(folder, "model_type is gpt2");
    start();
    refuse(folder, "has no weights, expected model.safetensors, pytorch_model.bin or");
    temp_write_text(folder, "pytorch_model.bin", "");
    refuse(folder, "pytorch_model.bin: is empty");
    temp_write_text(folder, "model.safetensors", "");
    refuse(folder, "model.safetensors: is empty");
}

TEST(names_tensors_as_transformers_does)
{
    static const char *const names[][2] = {
        {"bert.embeddings.LayerNorm.gamma", "bert.embeddings.LayerNorm.weight"},
        {"bert.embeddings.LayerNorm.beta", "bert.embeddings.LayerNorm.bias"},
        {"bert.LayerNorm.gamma.x", "bert.LayerNorm.gamma.x"}, // only at the end
        {"bert.gamma", "bert.gamma"},
        {"embeddings.LayerNorm.beta", "bert.embeddings.LayerNorm.bias"},
        {"encoder.layer.0.output.dense.weight", "bert.encoder.layer.0.output.dense.weight"},
        {"pooler.dense.bias", "bert.pooler.dense.bias"},
        {"cls.predictions.decoder.bias", "cls.predictions.bias"},
        {"cls.predictions.transform.LayerNorm.gamma", "cls.predictions.transform.LayerNorm.weight"},
        {"module.embeddings.LayerNorm.beta", "bert.embeddings.LayerNorm.bias"}, // in parallel
        {"module.cls.predictions.decoder.bias", "cls.predictions.bias"},
        {"submodule.a", "submodule.a"},
        {"", ""},
    };
    for (size_t i = 0; i < BASE_COUNT(names); i++) {
        char *name = hf_canonical_name(names[i][0]);
        CHECK_STR(name, names[i][1]);
        free(name);
    }
}

TEST(finds_tensors_by_canonical_name)
{
    static const char *const names[] = {
        "embeddings.word_embeddings.weight", "embeddings.LayerNorm.gamma",
        "cls.predictions.decoder.bias",      "pooler.dense.weight",
        "bert.embeddings.position_ids",      "cls.seq_relationship.bias"};
    vkb_folder *model = NULL;
    start();
    write_weights("model.safetensors", names, 6, 0);
    CHECK_INT(vkb_folder_open(ctx, folder, &model), VKB_OK);
    CHECK_INT(vkb_folder_config(model)->vocab_size, 99);
    CHECK_STR(vkb_folder_weights(model), temp_path(folder, "model.safetensors"));
    CHECK_INT(vkb_folder_tensor_count(model), 6);
    CHECK_INT(found(model, "bert.embeddings.word_embeddings.weight"), 0);
    CHECK_INT(found(model, "bert.embeddings.LayerNorm.weight"), 1);
    CHECK_INT(found(model, "cls.predictions.bias"), 2);
    CHECK_INT(found(model, "embeddings.LayerNorm.gamma"), -1);
    int unused = 0;
    for (size_t i = 0; i < vkb_folder_tensor_count(model); i++)
        unused += hf_folder_entry(model, i)->unused != NULL;
    CHECK_INT(unused, 3);
    vkb_tensor_info info = vkb_folder_tensor(model, 0);
    CHECK_STR(info.name, "embeddings.LayerNorm.gamma"); // as in the file
    CHECK_STR(info.dtype, "F32");
    CHECK(info.rank == 1 && info.shape[0] == 2);
    CHECK_STR(last_warning, "");
    vkb_folder_close(&model);
    CHECK(!model);
    vkb_folder_close(&model);
    vkb_folder_close(NULL);
}

// Whether the folder counts as one with a next-sentence head, and how many tensors MLM has no use for.
static void check_pair_head(const char *const *names, size_t count, bool whole, int unused)
{
    vkb_folder *model = NULL;
    start();
    write_weights("model.safetensors", names, count, 0);
    CHECK_INT(vkb_folder_open(ctx, folder, &model), VKB_OK);
    CHECK_INT(vkb_folder_config(model)->next_sentence, whole);
    for (size_t i = 0; i < vkb_folder_tensor_count(model); i++)
        unused -= hf_folder_entry(model, i)->unused != NULL;
    CHECK_INT(unused, 0);
    vkb_folder_close(&model);
}

TEST(a_whole_pooler_and_relation_are_a_next_sentence_head)
{
    static const char *const names[] = {"bert.pooler.dense.weight", "bert.pooler.dense.bias",
                                        "cls.seq_relationship.weight", "cls.seq_relationship.bias"};
    static const char *const bare[] = {"pooler.dense.weight", "pooler.dense.bias",
                                       "cls.seq_relationship.bias", "cls.seq_relationship.weight",
                                       "bert.embeddings.position_ids"};
    check_pair_head(names, 4, true, 0);
    check_pair_head(bare, 5, true, 1);
    check_pair_head(names, 2, false, 2); // BertModel
    check_pair_head(names + 2, 2, false, 2);
    check_pair_head(names, 3, false, 3);
}

TEST(takes_one_of_two_names)
{
    static const char *const bias[] = {"cls.predictions.decoder.bias", "cls.predictions.bias"};
    static const char *const norm[] = {"a", "x.LayerNorm.gamma", "x.LayerNorm.weight", "z"};
    vkb_folder *model = NULL;
    start();
    write_weights("model.safetensors", bias, 2, 0);
    CHECK_INT(vkb_folder_open(ctx, folder, &model), VKB_OK);
    CHECK_INT(vkb_folder_tensor_count(model), 1);
    CHECK_INT(found(model, "cls.predictions.bias"), 1);
    vkb_folder_close(&model);
    write_weights("model.safetensors", norm, 4, 0);
    refuse(folder, "are the same tensor");
}

TEST(warns_of_a_decoder_that_is_not_tied)
{
    static const char *const words[] = {"bert.embeddings.word_embeddings.weight"};
    static const char *const both[] = {"bert.embeddings.word_embeddings.weight",
                                       "cls.predictions.decoder.weight"};
    static const char *const decoder[] = {"cls.predictions.decoder.weight"};
    vkb_folder *model = NULL;
    start();
    write_weights("model.safetensors", both, 2, 0); // 0,0 and 1,0
    CHECK_INT(vkb_folder_open(ctx, folder, &model), VKB_OK);
    CHECK_HAS(last_warning, "cls.predictions.decoder.weight differs");
    vkb_folder_close(&model);

    start();
    write_weights("a.safetensors", words, 1, 5);
    write_weights("b.safetensors", decoder, 1, 5); // equal: 0,5
    temp_write_text(folder, "model.safetensors.index.json",
                    "{\"weight_map\":{\"bert.embeddings.word_embeddings.weight\":\"a.safetensors\","
                    "\"cls.predictions.decoder.weight\":\"b.safetensors\"}}");
    CHECK_INT(vkb_folder_open(ctx, folder, &model), VKB_OK);
    CHECK_STR(last_warning, "");
    vkb_folder_close(&model);
}

TEST(reads_shards)
{
    static const char *const first[] = {"a", "b"}, *const second[] = {"x", "y", "c"};
    const char *index = "model.safetensors.index.json";
    vkb_folder *model = NULL;
    start();
    write_weights("m1.safetensors", first, 2, 0);
    write_weights("m2.safetensors", second, 3, 0);
    temp_write_text(folder, index,
                    "{\"metadata\":{\"total_size\":40},\"weight_map\":{\"a\":\"m1.safetensors\","
                    "\"b\":\"m1.safetensors\",\"c\":\"m2.safetensors\"}}");
    CHECK_INT(vkb_folder_open(ctx, folder, &model), VKB_OK);
    CHECK_STR(vkb_folder_weights(model), temp_path(folder, index));
    CHECK_INT(vkb_folder_tensor_count(model), 5);
    CHECK_INT(found(model, "b"), 1);
    CHECK_INT(found(model, "c"), 2);
    vkb_folder_close(&model);

    temp_write_text(folder, index, "{\"weight_map\":{\"d\":\"m1.safetensors\"}}");
    refuse(folder, "m1.safetensors: has no tensor d");
    temp_write_text(folder, index, "{\"weight_map\":{\"d\":\"m3.safetensors\"}}");
    refuse(folder, "m3.safetensors: cannot be opened");
    temp_write_text(folder, index, "{\"weight_map\":{\"d\":\"../m1.safetensors\"}}");
    refuse(folder, "is not the name of a file beside it");
    temp_write_text(folder, index, "{\"weight_map\":{\"d\":1}}");
    refuse(folder, "d is 1, expected the name of a file");
    temp_write_text(folder, index, "{\"weight_map\":{}}");
    refuse(folder, "weight_map is {}");
    temp_write_text(folder, index, "{}");
    refuse(folder, "weight_map is missing");
    write_weights("m2.safetensors", first, 2, 0);
    temp_write_text(folder, index,
                    "{\"weight_map\":{\"a\":\"m1.safetensors\",\"b\":\"m2.safetensors\"}}");
    refuse(folder, "a and a are the same tensor");
}

int main(void)
{
    ctx = vkb_context_create(keep_warning, NULL);
    folder = temp_folder();
    RUN(says_what_is_missing);
    RUN(names_tensors_as_transformers_does);
    RUN(finds_tensors_by_canonical_name);
    RUN(a_whole_pooler_and_relation_are_a_next_sentence_head);
    RUN(takes_one_of_two_names);
    RUN(warns_of_a_decoder_that_is_not_tied);
    RUN(reads_shards);
    temp_remove(folder);
    vkb_context_destroy(&ctx);
    return check_report();
}
