// Folders into folders without a device: which tensors, under which names, with which values.
#include "bert/bert.h"
#include "fixture_copy.h"

static vkb_context *ctx;
static char *folder, *target;

static vkb_status convert(const vkb_save_params *params)
{
    vkb_folder *model = NULL;
    CHECK_INT(vkb_folder_open(ctx, folder, &model), VKB_OK);
    vkb_status status = vkb_folder_save(ctx, model, target, params);
    vkb_folder_close(&model);
    return status;
}

// The file in target has the tensors of the fixture whose names `edit` lets through, under the names that
// it gives them, to the bit, and no other.
static void check_target(const char *fixture, fixture_edit edit, const char *architecture)
{
    hf_safetensors seen = {0}, whole = {0};
    size_t count = 0;
    CHECK_INT(hf_safetensors_open(ctx, temp_path(target, "model.safetensors"), &seen), VKB_OK);
    CHECK_INT(hf_safetensors_open(ctx, temp_path(fixture, "model.safetensors"), &whole), VKB_OK);
    for (size_t i = 0; i < whole.tensor_count; i++) {
        hf_tensor tensor = whole.tensors[i];
        char name[128];
        snprintf(name, sizeof(name), "%s", tensor.name);
        if (!edit(&tensor, name))
            continue;
        const hf_tensor *found = hf_safetensors_find(&seen, name);
        count++;
        if (!found || found->bytes != tensor.bytes ||
            memcmp(found->data, tensor.data, tensor.bytes) != 0)
            CHECK_FAILED("%s is %s", name, found ? "another" : "missing");
    }
    CHECK_INT(seen.tensor_count, count);
    hf_safetensors_close(&seen);
    hf_safetensors_close(&whole);
    char *config = temp_read(target, "config.json", NULL);
    CHECK_HAS(config, architecture);
    free(config);
}

static bool prefixed(hf_tensor *tensor, char *name)
{
    (void)tensor;
    return fixture_starts(name, "bert.");
}

static bool no_mlm_head(hf_tensor *tensor, char *name)
{
    (void)tensor;
    return !fixture_starts(name, "cls.predictions.");
}

// A lone pooler stays with its MLM head.
static bool no_relation(hf_tensor *tensor, char *name)
{
    (void)tensor;
    return !fixture_starts(name, "cls.seq_relationship.");
}

TEST(each_kind_of_model_keeps_its_tensors)
{
    const struct {
        fixture_edit from, expected;
        const char *architecture;
    } kinds[] = {
        {fixture_keep, fixture_keep, "\"BertForPreTraining\""},
        {no_relation, no_relation, "\"BertForMaskedLM\""},
        {no_mlm_head, no_mlm_head, "\"BertForNextSentencePrediction\""},
        {fixture_bare, fixture_bare, "\"BertModel\""},
        {prefixed, fixture_bare, "\"BertModel\""},
    };
    for (size_t i = 0; i < BASE_COUNT(kinds); i++) {
        check_case = kinds[i].architecture;
        fixture_copy(ctx, "fixtures/pairs", folder, kinds[i].from);
        CHECK_INT(convert(NULL), VKB_OK);
        check_target("fixtures/pairs", kinds[i].expected, kinds[i].architecture);
    }
    check_case = "";
}

// Of a BertForMaskedLM without its own head, transform and bias, and of one with a tensor too many.
static bool no_transform(hf_tensor *tensor, char *name)
{
    (void)tensor;
    return !fixture_starts(name, "cls.predictions.transform.dense.");
}

static bool with_classifier(hf_tensor *tensor, char *name)
{
    (void)tensor;
    if (strcmp(name, "cls.seq_relationship.bias") == 0)
        strcpy(name, "classifier.bias");
    return strcmp(name, "cls.seq_relationship.weight") != 0;
}

TEST(a_part_of_a_model_is_refused_and_another_model_left_out)
{
    fixture_copy(ctx, "fixtures/pairs", folder, no_transform);
    temp_empty(target);
    CHECK_INT(convert(NULL), VKB_BAD_FILE);
    CHECK_HAS(vkb_error(ctx), "2 of the model's 46 tensors are missing");
    fixture_copy(ctx, "fixtures/pairs", folder, with_classifier);
    CHECK_INT(convert(NULL), VKB_OK);
    check_target("fixtures/pairs", no_relation, "\"BertForMaskedLM\"");
}

TEST(rounds_every_tensor)
{
    hf_safetensors seen = {0}, whole = {0};
    fixture_copy(ctx, "fixtures/erf", folder, fixture_keep);
    CHECK_INT(convert(&(vkb_save_params){VKB_BF16}), VKB_OK);
    CHECK_INT(hf_safetensors_open(ctx, temp_path(target, "model.safetensors"), &seen), VKB_OK);
    CHECK_INT(hf_safetensors_open(ctx, "fixtures/erf/model.safetensors", &whole), VKB_OK);
    CHECK_INT(seen.tensor_count, whole.tensor_count);
    for (size_t i = 0; i < seen.tensor_count; i++) {
        const hf_tensor *from = hf_safetensors_find(&whole, seen.tensors[i].name);
        float *values = malloc(from->bytes);
        hf_tensor_to_f32(from, 0, from->count, values);
        hf_tensor_from_f32(HF_BF16, values, from->count, values);
        CHECK_INT(seen.tensors[i].dtype, HF_BF16);
        CHECK(memcmp(seen.tensors[i].data, values, from->bytes / 2) == 0);
        free(values);
    }
    hf_safetensors_close(&seen);
    hf_safetensors_close(&whole);
}

int main(void)
{
    ctx = vkb_context_create(NULL, NULL);
    folder = temp_folder();
    target = temp_folder();
    RUN(each_kind_of_model_keeps_its_tensors);
    RUN(a_part_of_a_model_is_refused_and_another_model_left_out);
    RUN(rounds_every_tensor);
    temp_remove(folder);
    temp_remove(target);
    vkb_context_destroy(&ctx);
    return check_report();
}
