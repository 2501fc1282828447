// Vocabularies that were padded to a multiple of 8 and more: which rows count, and when none are cut.
#include "tests/check.h"
#include "tests/temp.h"

#include "hf/folder.h"
#include "hf/safetensors.h"

static vkb_context *ctx;
static char *folder;
static char last_line[512];

static void keep_line(void *user, vkb_log_level level, const char *sentence)
{
    (void)user;
    if (level == VKB_LOG_INFO)
        snprintf(last_line, sizeof(last_line), "%s", sentence);
}

// Embeddings [words,2], output bias [bias], decoder [decoder,2]; 0: none. Element i is i.
static void write_folder(int vocab_size, const char *keys, uint64_t words, uint64_t bias,
                         uint64_t decoder)
{
    static const char *const names[] = {"bert.embeddings.word_embeddings.weight",
                                        "cls.predictions.bias", "cls.predictions.decoder.weight"};
    const uint64_t rows[] = {words, bias, decoder};
    hf_tensor tensors[3] = {{0}};
    hf_safetensors_writer *writer = NULL;
    size_t count = 0;
    static float values[2 * 31000];
    char config[96];
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        values[i] = (float)i;
    temp_empty(folder);
    snprintf(config, sizeof(config), "{\"vocab_size\":%d%s}", vocab_size, keys);
    temp_write_text(folder, "config.json", config);
    for (size_t i = 0; i < 3; i++)
        if (rows[i])
            tensors[count++] = (hf_tensor){
                .name = names[i], .rank = i == 1 ? 1 : 2, .shape = {rows[i], i == 1 ? 0 : 2}};
    CHECK_INT(hf_safetensors_create(ctx, temp_path(folder, "model.safetensors"), tensors, count,
                                    NULL, 0, &writer),
              VKB_OK);
    for (size_t i = 0; i < count; i++)
        hf_safetensors_write(writer, values, tensors[i].bytes);
    CHECK_INT(hf_safetensors_commit(&writer), VKB_OK);
}

static void check_rows(const vkb_folder *model, const char *name, uint64_t rows, uint64_t cols)
{
    const hf_tensor *tensor = hf_folder_find(model, name);
    CHECK(tensor);
    if (!tensor)
        return;
    float last = -1;
    CHECK_INT(tensor->shape[0], rows);
    CHECK_INT(tensor->count, rows * cols);
    CHECK_INT(tensor->bytes, rows * cols * sizeof(float));
    CHECK(hf_tensor_to_f32(tensor, tensor->count - 1, 1, &last));
    CHECK_INT(last, rows * cols - 1);
}

// Opens the folder and expects the vocabulary, and the rows of what there is; a line says when some are cut.
static void check_open(uint32_t vocab_size, uint64_t words, uint64_t bias, uint64_t decoder,
                       const char *line)
{
    vkb_folder *model = NULL;
    last_line[0] = 0;
    CHECK_INT(vkb_folder_open(ctx, folder, &model), VKB_OK);
    if (!model)
        return;
    CHECK_INT(vkb_folder_config(model)->vocab_size, vocab_size);
    if (words)
        check_rows(model, "bert.embeddings.word_embeddings.weight", words, 2);
    if (bias)
        check_rows(model, "cls.predictions.bias", bias, 1);
    if (decoder)
        check_rows(model, "cls.predictions.decoder.weight", decoder, 2);
    if (*line)
        CHECK_HAS(last_line, line);
    else
        CHECK_STR(last_line, "");
    vkb_folder_close(&model);
}

TEST(cuts_rows_beyond_the_config)
{
    write_folder(30522, "", 30528, 30528, 30528);
    check_open(30522, 30522, 30522, 30522,
               "padded to 30528 tokens; the first 30522, which are real, are used");
    write_folder(30522, "", 30528, 30522, 0);
    check_open(30522, 30522, 30522, 0, "padded to 30528 tokens; the first 30522");
    write_folder(30522, "", 30522, 30528, 0);
    check_open(30522, 30522, 30522, 0, "padded to 30528 tokens; the first 30522");
    write_folder(30522, "", 30592, 30592, 0); // to a multiple of 128
    check_open(30522, 30522, 30522, 0, "padded to 30592 tokens");
    write_folder(1, "", 8, 0, 0);
    check_open(1, 1, 0, 0, "padded to 8 tokens");
}

TEST(goes_by_a_bias_that_is_not_padded)
{
    write_folder(30528, "", 30528, 30522, 30528);
    check_open(30522, 30522, 30522, 30522, "padded to 30528 tokens; the first 30522");
    write_folder(30528, ",\"pad_token_id\":30527", 30528, 30522, 0); // would not be there
    check_open(30528, 30528, 30522, 0, "");
}

TEST(leaves_alone_what_padding_does_not_explain)
{
    write_folder(30528, "", 30528, 30528, 30528); // nothing tells how many are real
    check_open(30528, 30528, 30528, 30528, "");
    write_folder(30522, "", 30522, 30522, 0);
    check_open(30522, 30522, 30522, 0, "");
    write_folder(30522, "", 30523, 30530, 0); // no multiple
    check_open(30522, 30523, 30530, 0, "");
    write_folder(30522, "", 30536, 30656, 0); // further than the next one
    check_open(30522, 30536, 30656, 0, "");
    write_folder(30528, "", 30522, 30528, 0); // fewer words than config says: a mistake
    check_open(30528, 30522, 30528, 0, "");
    write_folder(30522, "", 0, 0, 0);
    check_open(30522, 0, 0, 0, "");
}

int main(void)
{
    ctx = vkb_context_create(keep_line, NULL);
    folder = temp_folder();
    RUN(cuts_rows_beyond_the_config);
    RUN(goes_by_a_bias_that_is_not_padded);
    RUN(leaves_alone_what_padding_does_not_explain);
    temp_remove(folder);
    vkb_context_destroy(&ctx);
    return check_report();
}
