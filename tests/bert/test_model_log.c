// What the log says of a model on its way from a folder or to one: what starts at random, what differs, and
// what a rounded file does not hold.
#include "bert/bert.h"
#include "devices.h"
#include "fixture_copy.h"

static vkb_device *device;
static char *folder;

static char last_sentence[1024], all_sentences[4096];

static void keep_sentence(void *user, vkb_log_level level, const char *sentence)
{
    (void)user;
    const size_t used = strlen(all_sentences);
    if (level > VKB_LOG_INFO)
        return;
    snprintf(last_sentence, sizeof(last_sentence), "%s", sentence);
    snprintf(all_sentences + used, sizeof(all_sentences) - used, "%d %s\n", level, sentence);
}

static bool no_pair_head(hf_tensor *tensor, char *name)
{
    (void)tensor;
    return !fixture_starts(name, "cls.seq_relationship.");
}

// On a device of its own, whose context keeps the log.
TEST(the_log_names_what_starts_at_random)
{
    vkb_context *ctx = vkb_context_create(keep_sentence, NULL);
    vkb_device *own = NULL;
    vkb_model *model = NULL;
    const vkb_device_params params = {.select = vkb_device_get_info(device)->name};
    fixture_copy(ctx, "fixtures/pairs", folder, no_pair_head);
    CHECK_INT(vkb_device_open(ctx, &params, &own), VKB_OK);
    last_sentence[0] = 0;
    CHECK_INT(vkb_model_load(own, "fixtures/pairs", &(vkb_load_params){true, 3}, &model), VKB_OK);
    CHECK_STR(last_sentence, "");
    vkb_model_destroy(&model);
    CHECK_INT(vkb_model_load(own, folder, &(vkb_load_params){true, 3}, &model), VKB_OK);
    CHECK_HAS(last_sentence, "model.safetensors: these are not in it and start at random: "
                             "cls.seq_relationship.weight, cls.seq_relationship.bias");
    vkb_model_destroy(&model);
    vkb_device_close(&own);
    vkb_context_destroy(&ctx);
}

TEST(the_log_names_what_fp16_does_not_hold)
{
    vkb_context *ctx = vkb_context_create(keep_sentence, NULL);
    vkb_device *own = NULL;
    vkb_model *model = NULL;
    const vkb_device_params params = {.select = vkb_device_get_info(device)->name};
    const float large[32] = {1, -70000, 65519, 1e9f};
    CHECK_INT(vkb_device_open(ctx, &params, &own), VKB_OK);
    CHECK_INT(vkb_model_load(own, "fixtures/erf", NULL, &model), VKB_OK);
    CHECK_INT(gpu_upload(own, model->weights.embed_gain, large), VKB_OK);
    all_sentences[0] = 0;
    CHECK_INT(vkb_model_save(model, folder, &(vkb_save_params){VKB_BF16}), VKB_OK);
    CHECK_STR(all_sentences, "");
    CHECK_INT(vkb_model_save(model, folder, &(vkb_save_params){VKB_FP16}), VKB_OK);
    CHECK_HAS(all_sentences,
              "2 values of bert.embeddings.LayerNorm.weight are beyond what F16 holds");
    vkb_model_destroy(&model);
    vkb_device_close(&own);
    vkb_context_destroy(&ctx);
}

// The values of the file are garbage; what counts is what is said of them.
static bool one_of_each(hf_tensor *tensor, char *name)
{
    if (strcmp(name, "cls.seq_relationship.weight") == 0)
        strcpy(name, "classifier.weight");
    if (strcmp(name, "bert.embeddings.LayerNorm.weight") == 0) {
        tensor->dtype = HF_F16;
        return hf_tensor_measure(tensor);
    }
    return true;
}

static bool two_mismatched(hf_tensor *tensor, char *name)
{
    if (strstr(name, "LayerNorm.bias"))
        tensor->shape[0]--;
    return true;
}

static bool no_encoder(hf_tensor *tensor, char *name)
{
    (void)tensor;
    return !strstr(name, ".encoder.layer.1.");
}

TEST(the_log_names_all_that_differs)
{
    vkb_context *ctx = vkb_context_create(keep_sentence, NULL);
    vkb_device *own = NULL;
    vkb_model *model = NULL;
    const vkb_device_params params = {.select = vkb_device_get_info(device)->name};
    CHECK_INT(vkb_device_open(ctx, &params, &own), VKB_OK);
    all_sentences[0] = 0;
    fixture_copy(ctx, "fixtures/pairs", folder, one_of_each);
    CHECK_INT(vkb_model_load(own, folder, NULL, &model), VKB_OK);
    CHECK_HAS(all_sentences, "1 "); // VKB_LOG_WARNING
    CHECK_HAS(all_sentences, "left out: classifier.weight\n");
    CHECK_HAS(all_sentences, "weights are F16, converted to F32");
    vkb_model_destroy(&model);

    all_sentences[0] = 0;
    fixture_copy(ctx, "fixtures/erf", folder, two_mismatched);
    CHECK_INT(vkb_model_load(own, folder, NULL, &model), VKB_BAD_FILE);
    CHECK_HAS(vkb_error(ctx), "tensor bert.embeddings.LayerNorm.bias is [31], expected [32] by "
                              "config.json, and 5 more");
    CHECK_HAS(all_sentences,
              "tensor bert.encoder.layer.1.output.LayerNorm.bias is [31], expected [32]\n");

    all_sentences[0] = 0;
    fixture_copy(ctx, "fixtures/erf", folder, no_encoder);
    CHECK_INT(vkb_model_load(own, folder, NULL, &model), VKB_BAD_FILE);
    CHECK_HAS(vkb_error(ctx), "16 of the model's 42 tensors are missing: "
                              "bert.encoder.layer.1.attention.self.query.weight, ");
    CHECK_HAS(all_sentences, "bert.encoder.layer.1.output.LayerNorm.bias\n"); // the last of them
    vkb_device_close(&own);
    vkb_context_destroy(&ctx);
}

static void run_all(vkb_device *dev)
{
    device = dev;
    RUN(the_log_names_what_starts_at_random);
    RUN(the_log_names_all_that_differs);
    RUN(the_log_names_what_fp16_does_not_hold);
}

int main(void)
{
    folder = temp_folder();
    int devices = devices_run(run_all);
    temp_remove(folder);
    return devices ? check_report() : 77;
}
