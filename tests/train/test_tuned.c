// A tuned trainer: short runs are left as they are, and a checkpoint names the kernels that its run used.
#include "lesson.h"

enum { TOKENS = 16, STEPS = 6 };

static vkb_train_params few_steps(void)
{
    return (vkb_train_params){.batch_size = 4,
                              .gradient_accumulation_steps = 2,
                              .learning_rate = 1e-3,
                              .max_steps = STEPS,
                              .mask.mlm_probability = 0.3,
                              .seed = 42};
}

static size_t in_use(void)
{
    const char *product, *variant;
    size_t count = 0;
    while (gpu_note_at(device, GPU_NOTE_IN_USE, count, &product, &variant))
        count++;
    return count;
}

// Of each product that has a choice the last variant: the slowest guess, whatever device this is.
static cJSON *last_variants(vkb_trainer *trainer)
{
    matmul_variant list[MATMUL_VARIANTS];
    op_products products = {0};
    cJSON *object = cJSON_CreateObject();
    CHECK_OK(op_products_hear(device, train_record_first, trainer, &products));
    for (size_t i = 0; i < products.count; i++) {
        const op_product *p = &products.at[i];
        const size_t count = matmul_variants(device, &p->params, list, MATMUL_VARIANTS);
        CHECK(count >= 1);
        cJSON_AddStringToObject(object, p->name.text, matmul_variant_name(&list[count - 1]).text);
    }
    CHECK(products.count > 10);
    op_products_free(&products);
    return object;
}

TEST(a_resumed_run_has_the_kernels_of_its_checkpoint)
{
    lesson l = lesson_open(TOKENS, false, 60);
    const vkb_train_params params = few_steps();
    lesson_model(&l);
    vkb_trainer *trainer = lesson_trainer(&l, &params);
    cJSON *others = last_variants(trainer);
    const size_t products = (size_t)cJSON_GetArraySize(others);
    CHECK_OK(train_tuning_resume(trainer, others));
    CHECK_INT(in_use(), products);
    cJSON_Delete(others);
    lesson_steps(trainer, 3);
    CHECK_OK(vkb_model_save(l.model, l.folder, NULL));
    CHECK_OK(vkb_trainer_save(trainer, l.folder));
    lesson_steps(trainer, STEPS);
    float *straight = lesson_weights(&l);
    vkb_trainer_destroy(&trainer);
    vkb_model_destroy(&l.model);

    gpu_note_clear(device, GPU_NOTE_IN_USE); // another process
    CHECK_OK(vkb_model_load(device, l.folder, NULL, &l.model));
    trainer = lesson_trainer(&l, &params);
    CHECK_OK(vkb_trainer_resume(trainer, l.folder));
    CHECK_INT(in_use(), products);
    lesson_steps(trainer, STEPS);
    float *resumed = lesson_weights(&l);
    CHECK(memcmp(straight, resumed, l.model->layout.elements * sizeof(float)) == 0);
    free(straight);
    free(resumed);

    // A checkpoint that names none: a run that was not tuned.
    CHECK_OK(train_tuning_resume(trainer, NULL));
    CHECK_INT(in_use(), 0);
    vkb_trainer_destroy(&trainer);
    lesson_close(&l);
}

TEST(a_short_run_is_not_tuned)
{
    lesson l = lesson_open(TOKENS, false, 60);
    const vkb_train_params params = few_steps();
    vkb_tuning *tuning = NULL;
    lesson_model(&l);
    vkb_trainer *trainer = lesson_trainer(&l, &params);
    CHECK_OK(vkb_trainer_tune(trainer, NULL, NULL));
    CHECK_OK(vkb_trainer_tune(trainer, NULL, &tuning));
    CHECK(tuning->products > 10);
    CHECK_INT(tuning->measured, 0);
    CHECK_INT(tuning->changed, 0);
    // Of both kinds of micro-batch: each product of a step once a micro-batch at least.
    double calls = 0;
    for (size_t i = 0; i < tuning->variant_count; i++)
        calls += tuning->variants[i].usual ? tuning->variants[i].calls : 0;
    CHECK(calls >= 2 * 10);
    vkb_tuning_free(&tuning);
    CHECK(tuning == NULL);
    lesson_steps(trainer, STEPS);
    vkb_trainer_destroy(&trainer);
    lesson_close(&l);
}

static bool at_once(void *user)
{
    (void)user;
    return true;
}

TEST(a_stopped_tuning_leaves_a_trainer_that_works)
{
    lesson l = lesson_open(TOKENS, false, 60);
    const vkb_train_params params = few_steps();
    const vkb_tune_params tune = {.thorough = true, .stop = at_once};
    lesson_model(&l);
    vkb_trainer *trainer = lesson_trainer(&l, &params);
    CHECK_INT(vkb_trainer_tune(trainer, &tune, NULL), VKB_INTERRUPTED);
    CHECK_INT(lesson_steps(trainer, STEPS).step, STEPS);
    vkb_trainer_destroy(&trainer);
    lesson_close(&l);
}

static void all_tests(vkb_device *dev)
{
    device = dev;
    RUN(a_resumed_run_has_the_kernels_of_its_checkpoint);
    RUN(a_short_run_is_not_tuned);
    RUN(a_stopped_tuning_leaves_a_trainer_that_works);
}

int main(void)
{
    char *folder = temp_folder();
    setenv("VKBERT_CACHE", folder, 1);
    const int ran = devices_run(all_tests);
    temp_remove(folder);
    return ran ? check_report() : 77;
}
