// TensorFlow's checkpoints: made byte by byte and read back, found in folders, and named as transformers does.
#include "tests/hf/bundle_fixture.h"

static void check_floats(const hf_weights *weights, const char *name, const char *shape,
                         const float *expected)
{
    const hf_tensor *tensor = hf_weights_find(weights, name);
    float seen[64];
    check_case = name;
    CHECK(tensor);
    if (tensor) {
        CHECK_STR(hf_shape(tensor->rank, tensor->shape).text, shape);
        CHECK(hf_tensor_to_f32(tensor, 0, tensor->count, seen));
        for (uint64_t i = 0; i < tensor->count; i++)
            CHECK_NEAR(seen[i], expected[i], 0);
    }
    check_case = "";
}

TEST(reads_tensors_and_leaves_the_training_state_out)
{
    static const float kernel[] = {24, 28, 25, 29, 26, 30, 27, 31}; // [2,4] as stored
    hf_weights weights = {0};
    table t;
    make_whole(&t);
    write_files(&t, sizeof(numbers));
    CHECK_INT(hf_weights_open(ctx, index_path(), &weights), VKB_OK);
    CHECK_STR(weights.path, index_path());
    CHECK_INT(weights.tensor_count, 5);
    check_floats(&weights, "bert/embeddings/LayerNorm/gamma", "[3]", numbers);
    check_floats(&weights, "bert/embeddings/word_embeddings", "[5,3]", numbers + 9);
    check_floats(&weights, "bert/pooler/dense/kernel", "[4,2]", kernel);
    check_floats(&weights, "cls/seq_relationship/output_weights", "[2,3]", numbers + 32);
    check_floats(&weights, "zero", "[0,7]", numbers);
    hf_weights_close(&weights);
}

TEST(reads_every_dtype)
{
    static const struct {
        uint64_t number;
        const char *name;
        int bytes;
    } dtypes[] = {{1, "F32", 4},  {2, "F64", 8},  {3, "I32", 4},  {4, "U8", 1},    {5, "I16", 2},
                  {6, "I8", 1},   {8, "C64", 8},  {9, "I64", 8},  {10, "BOOL", 1}, {14, "BF16", 2},
                  {17, "U16", 2}, {19, "F16", 2}, {22, "U32", 4}, {23, "U64", 8}};
    for (size_t i = 0; i < sizeof(dtypes) / sizeof(dtypes[0]); i++) {
        const uint64_t size = 3 * (uint64_t)dtypes[i].bytes;
        hf_weights weights = {0};
        table t = {.file = {.count = 0}};
        block_header(&t.block, 1);
        add(&t, "x",
            (entry_spec){.dtype = dtypes[i].number,
                         .rank = 1,
                         .shape = {3},
                         .size = size,
                         .sum = sum_of(0, size)});
        table_end(&t);
        write_files(&t, sizeof(numbers));
        CHECK_INT(hf_weights_open(ctx, index_path(), &weights), VKB_OK);
        if (weights.tensor_count == 1)
            CHECK_STR(hf_dtype_name(weights.tensors[0].dtype), dtypes[i].name);
        hf_weights_close(&weights);
    }
}

TEST(reads_several_shards)
{
    hf_weights weights = {0};
    table t = {.file = {.count = 0}};
    entry_spec second = floats(1, 4, 0, 0);
    second.shard = 2; // nothing is in shard 1, which need not be there
    block_header(&t.block, 3);
    add(&t, "a", floats(1, 4, 0, 8));
    add(&t, "b", second);
    table_end(&t);
    temp_empty(folder);
    temp_write(folder, "m.ckpt.index", t.file.at, t.file.count);
    check_refused("m.ckpt.data-00000-of-00003: cannot be opened");
    temp_write(folder, "m.ckpt.data-00000-of-00003", numbers, 48);
    check_refused("m.ckpt.data-00002-of-00003: cannot be opened");
    temp_write(folder, "m.ckpt.data-00002-of-00003", numbers, 16);
    CHECK_INT(hf_weights_open(ctx, index_path(), &weights), VKB_OK);
    check_floats(&weights, "a", "[4]", numbers + 8);
    check_floats(&weights, "b", "[4]", numbers);
    hf_weights_close(&weights);
}

TEST(reads_a_checkpoint_of_nothing)
{
    hf_weights weights = {0};
    table t = {.file = {.count = 0}};
    block_header(&t.block, 1);
    table_end(&t);
    write_files(&t, 0);
    CHECK_INT(hf_weights_open(ctx, index_path(), &weights), VKB_OK);
    CHECK_INT(weights.tensor_count, 0);
    hf_weights_close(&weights);
}

// ---- Folders ----

static void check_found(const char *expected)
{
    char *index = NULL;
    CHECK_INT(hf_bundle_find(ctx, folder, &index), VKB_OK);
    if (expected)
        CHECK_STR(index, temp_path(folder, expected));
    else
        CHECK(!index);
    free(index);
}

TEST(chooses_a_checkpoint)
{
    char *index = NULL;
    temp_empty(folder);
    check_found(NULL);
    temp_write_text(folder, "model.index.json", "{}");
    temp_write_text(folder, ".index", "");
    check_found(NULL);
    temp_write_text(folder, "m.ckpt-10.index", "");
    check_found("m.ckpt-10.index");
    temp_write_text(folder, "checkpoint", "model_checkpoint_path: \"/where/it/was/m.ckpt-20\"\n");
    check_found("m.ckpt-10.index"); // the only one that is here
    temp_write_text(folder, "m.ckpt-9.index", "");
    CHECK_INT(hf_bundle_find(ctx, folder, &index), VKB_BAD_FILE);
    CHECK_HAS(vkb_error(ctx), "has 2 TensorFlow checkpoints: m.ckpt-10, m.ckpt-9: keep one");
    temp_write_text(folder, "m.ckpt-20.index", "");
    check_found("m.ckpt-20.index");
    temp_write_text(folder, "checkpoint",
                    "all_model_checkpoint_paths: \"m.ckpt-20\"\r\n"
                    "  model_checkpoint_path: \"m.ckpt-9\"\r\n");
    check_found("m.ckpt-9.index");
    temp_write_text(folder, "checkpoint", "model_checkpoint_path: \"\nmodel_checkpoint_path: 3\n");
    CHECK_INT(hf_bundle_find(ctx, folder, &index), VKB_BAD_FILE);
    CHECK_HAS(vkb_error(ctx), "has 3 TensorFlow checkpoints: m.ckpt-10, m.ckpt-20, m.ckpt-9:");
    CHECK(!index);
}

TEST(opens_a_folder_of_google)
{
    vkb_folder *model = NULL;
    table t;
    temp_empty(folder);
    make_whole(&t);
    write_files(&t, sizeof(numbers));
    CHECK_INT(vkb_folder_open(ctx, folder, &model), VKB_BAD_FILE);
    CHECK_HAS(vkb_error(ctx),
              "has a TensorFlow checkpoint, but no config.json or bert_config.json");
    temp_write_text(folder, "bert_config.json", "{\"hidden_act\":\"gelu\",\"vocab_size\":5}");
    CHECK_INT(vkb_folder_open(ctx, folder, &model), VKB_OK);
    CHECK_STR(vkb_folder_weights(model), index_path());
    CHECK_INT(vkb_folder_config(model)->vocab_size, 5);
    CHECK_INT(vkb_folder_config(model)->type_vocab_size, 2);
    CHECK_INT(vkb_folder_config(model)->hidden_act, VKB_GELU);
    CHECK(hf_folder_find(model, "bert.embeddings.word_embeddings.weight"));
    CHECK(hf_folder_find(model, "bert.embeddings.LayerNorm.weight"));
    CHECK(hf_folder_find(model, "bert.pooler.dense.weight"));
    CHECK(hf_folder_find(model, "cls.seq_relationship.weight"));
    vkb_folder_close(&model);
    temp_write_text(folder, "config.json", "{\"vocab_size\":6}"); // wins
    CHECK_INT(vkb_folder_open(ctx, folder, &model), VKB_OK);
    CHECK_INT(vkb_folder_config(model)->vocab_size, 6);
    vkb_folder_close(&model);
}

TEST(opens_a_saved_model)
{
    char *variables = strdup(temp_path(folder, "variables"));
    vkb_folder *model = NULL;
    table t;
    temp_empty(folder);
    mkdir(variables, 0777);
    make_whole(&t);
    temp_write(variables, "variables.index", t.file.at, t.file.count);
    temp_write(variables, "variables.data-00000-of-00001", numbers, sizeof(numbers));
    temp_write_text(folder, "bert_config.json", "{\"vocab_size\":5}");
    CHECK_INT(vkb_folder_open(ctx, folder, &model), VKB_OK);
    CHECK(model && hf_folder_find(model, "bert.pooler.dense.weight"));
    vkb_folder_close(&model);
    temp_remove(variables);
}

// What tools/make_tensorflow.py made of the model in fixtures/erf.
TEST(a_checkpoint_has_the_weights_of_its_safetensors)
{
    vkb_folder *google = NULL, *torch = NULL;
    CHECK_INT(vkb_folder_open(ctx, "fixtures/tensorflow", &google), VKB_OK);
    CHECK_INT(vkb_folder_open(ctx, "fixtures/erf", &torch), VKB_OK);
    if (!google || !torch)
        CHECK_FAILED("%s", vkb_error(ctx));
    const size_t count = google && torch ? vkb_folder_tensor_count(torch) : 0;
    CHECK(count > 0 && vkb_folder_tensor_count(google) == count);
    for (size_t i = 0; i < count; i++) {
        static float seen[4096], expected[4096];
        const hf_entry *entry = hf_folder_entry(torch, i);
        const hf_tensor *tensor = hf_folder_find(google, entry->name);
        check_case = entry->name;
        CHECK(tensor && tensor->rank == entry->tensor->rank && tensor->count <= 4096 &&
              memcmp(tensor->shape, entry->tensor->shape, tensor->rank * sizeof(uint64_t)) == 0);
        if (check_failures_of_test)
            break;
        CHECK(hf_tensor_to_f32(tensor, 0, tensor->count, seen));
        CHECK(hf_tensor_to_f32(entry->tensor, 0, tensor->count, expected));
        CHECK(memcmp(seen, expected, tensor->bytes) == 0);
    }
    check_case = "";
    vkb_folder_close(&google);
    vkb_folder_close(&torch);
}

TEST(names_tensors_as_transformers_does)
{
    static const char *const names[][2] = {
        {"bert/embeddings/word_embeddings", "bert.embeddings.word_embeddings.weight"},
        {"bert/embeddings/position_embeddings", "bert.embeddings.position_embeddings.weight"},
        {"bert/embeddings/token_type_embeddings", "bert.embeddings.token_type_embeddings.weight"},
        {"bert/embeddings/LayerNorm/beta", "bert.embeddings.LayerNorm.bias"},
        {"bert/encoder/layer_11/attention/self/query/kernel",
         "bert.encoder.layer.11.attention.self.query.weight"},
        {"bert/encoder/layer_0/attention/output/LayerNorm/gamma",
         "bert.encoder.layer.0.attention.output.LayerNorm.weight"},
        {"module/bert/pooler/dense/bias", "bert.pooler.dense.bias"},
        {"a/b/cls/predictions/transform/dense/kernel", "cls.predictions.transform.dense.weight"},
        {"cls/predictions/output_bias", "cls.predictions.bias"},
        {"cls/seq_relationship/output_weights", "cls.seq_relationship.weight"},
        {"cls/seq_relationship/output_bias", "cls.seq_relationship.bias"},
        {"albert/embeddings/x", "albert.embeddings.x"}, // a part, not the end of one
        {"bert/encoder/layer_x/y", "bert.encoder.layer_x.y"},
        {"/", "."},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char *name = hf_canonical_name(names[i][0]);
        CHECK_STR(name, names[i][1]);
        free(name);
    }
}

int main(void)
{
    ctx = vkb_context_create(NULL, NULL);
    folder = temp_folder();
    for (int i = 0; i < 64; i++)
        numbers[i] = (float)i;
    RUN(reads_tensors_and_leaves_the_training_state_out);
    RUN(reads_every_dtype);
    RUN(reads_several_shards);
    RUN(reads_a_checkpoint_of_nothing);
    RUN(chooses_a_checkpoint);
    RUN(opens_a_folder_of_google);
    RUN(opens_a_saved_model);
    RUN(a_checkpoint_has_the_weights_of_its_safetensors);
    RUN(names_tensors_as_transformers_does);
    temp_remove(folder);
    vkb_context_destroy(&ctx);
    return check_report();
}
