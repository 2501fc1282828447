// What a folder lacks, has too much of, and has in another shape, by name.
#include "bert/bert.h"
#include "fixture_copy.h"

static vkb_context *ctx;
static char *folder;

typedef struct fault_list {
    vkb_tensor_fault *at;
    size_t count;
} fault_list;

static fault_list compare(const char *path)
{
    vkb_folder *model = NULL;
    fault_list list = {0};
    CHECK_INT(vkb_folder_open(ctx, path, &model), VKB_OK);
    CHECK_INT(vkb_folder_compare(ctx, model, &list.at, &list.count), VKB_OK);
    vkb_folder_close(&model);
    return list;
}

static void check_fault(const fault_list *list, size_t i, vkb_tensor_fault_kind kind,
                        const char *name)
{
    if (i >= list->count) {
        CHECK_FAILED("%zu faults, expected one at %zu: %s", list->count, i, name);
        return;
    }
    CHECK_INT(list->at[i].kind, kind);
    CHECK_STR(list->at[i].name, name);
}

TEST(whole_folders_have_no_faults)
{
    static const char *const fixtures[] = {"fixtures/erf", "fixtures/tanh", "fixtures/pairs"};
    for (size_t i = 0; i < BASE_COUNT(fixtures); i++) {
        fault_list list = compare(fixtures[i]);
        CHECK_INT(list.count, 0);
        free(list.at);
    }
}

static bool old_names(hf_tensor *tensor, char *name)
{
    char *end = strstr(name, "LayerNorm.weight");
    (void)tensor;
    if (end)
        strcpy(end, "LayerNorm.gamma");
    if ((end = strstr(name, "LayerNorm.bias")) != NULL)
        strcpy(end, "LayerNorm.beta");
    if (strcmp(name, "cls.predictions.bias") == 0)
        strcpy(name, "cls.predictions.decoder.bias");
    return true;
}

TEST(old_names_are_no_faults)
{
    fixture_copy(ctx, "fixtures/pairs", folder, old_names);
    fault_list list = compare(folder);
    CHECK_INT(list.count, 0);
    free(list.at);
}

TEST(a_bare_model_lacks_the_mlm_head_alone)
{
    vkb_folder *model = NULL;
    fixture_copy(ctx, "fixtures/pairs", folder, fixture_bare);
    fault_list list = compare(folder);
    CHECK_INT(list.count, 5);
    check_fault(&list, 0, VKB_TENSOR_MISSING, "cls.predictions.transform.dense.weight");
    check_fault(&list, 4, VKB_TENSOR_MISSING, "cls.predictions.bias");
    free(list.at);
    CHECK_INT(vkb_folder_open(ctx, folder, &model), VKB_OK);
    CHECK(!bert_folder_has_mlm_head(model));
    vkb_folder_close(&model);
    CHECK_INT(vkb_folder_open(ctx, "fixtures/erf", &model), VKB_OK);
    CHECK(bert_folder_has_mlm_head(model));
    vkb_folder_close(&model);
}

// One of each kind; the layer's bias is written two elements shorter.
static bool one_of_each(hf_tensor *tensor, char *name)
{
    if (strcmp(name, "bert.encoder.layer.0.output.dense.bias") == 0)
        tensor->shape[0] -= 2;
    if (strcmp(name, "bert.pooler.dense.bias") == 0)
        strcpy(name, "classifier.bias");
    return strcmp(name, "bert.embeddings.LayerNorm.weight") != 0;
}

TEST(names_what_is_missing_mismatched_and_unexpected)
{
    fixture_copy(ctx, "fixtures/pairs", folder, one_of_each);
    fault_list list = compare(folder);
    CHECK_INT(list.count, 3); // the rest of the pooler is nothing that has to be whole
    check_fault(&list, 0, VKB_TENSOR_MISSING, "bert.embeddings.LayerNorm.weight");
    CHECK_INT(list.at[0].rank, 0);
    CHECK_INT(list.at[0].expected_rank, 1);
    check_fault(&list, 1, VKB_TENSOR_MISMATCHED, "bert.encoder.layer.0.output.dense.bias");
    CHECK_INT(list.at[1].shape[0] + 2, list.at[1].expected[0]);
    check_fault(&list, 2, VKB_TENSOR_UNEXPECTED, "classifier.bias");
    CHECK_INT(list.at[2].expected_rank, 0);
    free(list.at);
}

int main(void)
{
    ctx = vkb_context_create(NULL, NULL);
    folder = temp_folder();
    RUN(whole_folders_have_no_faults);
    RUN(old_names_are_no_faults);
    RUN(a_bare_model_lacks_the_mlm_head_alone);
    RUN(names_what_is_missing_mismatched_and_unexpected);
    temp_remove(folder);
    vkb_context_destroy(&ctx);
    return check_report();
}
