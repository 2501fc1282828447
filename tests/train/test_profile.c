// The profile: what it says adds up, and the run it watches is the same to the bit.
#include "lesson.h"
#include "step_clock.h"

enum { PLAIN = 3, PROFILED = 2, AFTER = 1, TOKENS = 16 };

static vkb_train_params few_steps(uint32_t accumulation)
{
    return (vkb_train_params){
        .batch_size = 4,
        .gradient_accumulation_steps = accumulation,
        .learning_rate = 1e-3,
        .max_steps = PLAIN + PROFILED + AFTER,
        .mask.mlm_probability = 0.3,
        .seed = 42,
    };
}

static bool is_kernel(const char *name)
{
    for (int k = 0; k < GPU_KERNEL_COUNT; k++)
        if (name == gpu_kernel_name((gpu_kernel)k))
            return true;
    return false;
}

static void check_kernels(const vkb_profile *p)
{
    double share = 0, seconds = 0, calls = 0;
    for (size_t i = 0; i < p->kernel_count; i++) {
        const vkb_profile_kernel *k = &p->kernels[i];
        CHECK(is_kernel(k->name));
        CHECK(k->calls >= 1 && k->seconds >= 0 && k->bytes > 0 && k->flops >= 0);
        CHECK(i == 0 || k->seconds <= p->kernels[i - 1].seconds);
        share += k->share;
        seconds += k->seconds;
        calls += k->calls;
    }
    CHECK_NEAR(share, 1, 1e-9);
    CHECK_NEAR(seconds, p->kernel_seconds, 1e-9);
    CHECK_NEAR(calls * p->steps, p->run_count, 0);
}

static void check_runs(const vkb_profile *p)
{
    CHECK_NEAR(p->runs[0].begin, 0, 0);
    CHECK_STR(p->runs[0].kernel, "mask_draw");
    CHECK_STR(p->runs[0].label, "masking");
    CHECK_STR(p->runs[p->run_count - 1].kernel, "adamw");
    CHECK_STR(p->runs[p->run_count - 1].label, "optimiser");
    CHECK_INT(p->runs[p->run_count - 1].step, PROFILED - 1);
    for (size_t i = 0; i < p->run_count; i++) {
        CHECK(is_kernel(p->runs[i].kernel));
        CHECK(p->runs[i].seconds >= 0);
    }
    for (size_t i = 1; i < p->run_count; i++) { // a microsecond: a timestamp may count in steps
        const vkb_profile_run *last = &p->runs[i - 1];
        CHECK(p->runs[i].begin > last->begin + last->seconds - 1e-6);
        CHECK(p->runs[i].step >= last->step);
    }
}

static void check_profile(vkb_trainer *trainer)
{
    vkb_profile *p = NULL;
    CHECK_INT(vkb_trainer_profile_end(trainer, &p), VKB_BAD_ARGUMENT);
    CHECK_OK(vkb_trainer_profile_begin(trainer));
    CHECK_INT(vkb_trainer_profile_begin(trainer), VKB_BAD_ARGUMENT);
    lesson_steps(trainer, PLAIN + PROFILED);
    CHECK_OK(vkb_trainer_profile_end(trainer, &p));
    CHECK_INT(p->steps, PROFILED);
    CHECK_INT(p->plain_steps, PLAIN - 1); // the time of the first is not known
    CHECK_NEAR(p->step_seconds, 3, 1e-6); // the median of 2 and 4
    CHECK(p->kernel_seconds > 0 && p->gap_seconds >= 0);
    // Rows in and a micro-batch, as often as there are some; update and metrics.
    CHECK_NEAR(p->submissions, 1 + trainer->params.gradient_accumulation_steps, 0);
    check_kernels(p);
    check_runs(p);
    vkb_profile_free(&p);
    CHECK(p == NULL);
    vkb_profile_free(&p);
}

// Steps of 1, 2, 4, 8, ... seconds.
static double longer(uint64_t n)
{
    return (double)(1 << n);
}

// Weights of a run that is watched on its way, or not.
static float *weights(lesson *l, uint32_t accumulation, bool profiled)
{
    const vkb_train_params params = few_steps(accumulation);
    lesson_model(l);
    step_clock clock = {.takes = longer};
    vkb_trainer *trainer = lesson_trainer(l, &params);
    step_clock_use(&clock, trainer);
    lesson_steps(trainer, PLAIN);
    if (profiled)
        check_profile(trainer);
    lesson_steps(trainer, params.max_steps);
    clock_replace(gpu_context(device), NULL, NULL);
    vkb_trainer_destroy(&trainer);
    return lesson_weights(l);
}

static void compare(uint32_t accumulation)
{
    lesson l = lesson_open(TOKENS, false, 60);
    l.config.hidden_dropout_prob = l.config.attention_probs_dropout_prob = 0.1f;
    float *plain = weights(&l, accumulation, false), *watched = weights(&l, accumulation, true);
    CHECK(memcmp(plain, watched, l.model->layout.elements * sizeof(*plain)) == 0);
    free(plain);
    free(watched);
    lesson_close(&l);
}

TEST(a_watched_run_is_the_same_and_adds_up)
{
    if (!vkb_device_get_info(device)->timestamps)
        SKIP("the device has no timestamps");
    compare(1);
    compare(2);
}

TEST(a_device_without_timestamps_is_told)
{
    lesson l = lesson_open(TOKENS, false, 60);
    const vkb_train_params params = few_steps(1);
    vkb_device_info *info = (vkb_device_info *)vkb_device_get_info(device);
    const bool timestamps = info->timestamps;
    lesson_model(&l);
    vkb_trainer *trainer = lesson_trainer(&l, &params);
    info->timestamps = false;
    CHECK_INT(vkb_trainer_profile_begin(trainer), VKB_FAILED);
    CHECK_HAS(vkb_error(gpu_context(device)), "has no timestamps");
    info->timestamps = timestamps;
    lesson_steps(trainer, 1); // it goes on
    vkb_trainer_destroy(&trainer);
    lesson_close(&l);
}

TEST(a_profile_may_be_left_open_or_empty)
{
    if (!vkb_device_get_info(device)->timestamps)
        SKIP("the device has no timestamps");
    lesson l = lesson_open(TOKENS, false, 60);
    const vkb_train_params params = few_steps(1);
    vkb_profile *p = NULL;
    lesson_model(&l);
    vkb_trainer *trainer = lesson_trainer(&l, &params);
    CHECK_OK(vkb_trainer_profile_begin(trainer));
    CHECK_OK(vkb_trainer_profile_end(trainer, &p));
    CHECK_INT(p->steps, 0);
    CHECK_INT(p->run_count, 0);
    CHECK_INT(p->kernel_count, 0);
    vkb_profile_free(&p);
    CHECK_OK(vkb_trainer_profile_begin(trainer));
    lesson_steps(trainer, 1);
    vkb_trainer_destroy(&trainer);
    lesson_close(&l);
}

TEST(random_rows_are_full_and_need_no_tokenizer)
{
    lesson l = lesson_open(TOKENS, false, 60);
    vkb_context *ctx = gpu_context(device);
    const vkb_train_params params = few_steps(1);
    vkb_dataset_params rows = {.max_seq_length = TOKENS, .max_samples = 9, .seed = 3};
    vkb_dataset *data = NULL;
    uint32_t ids[TOKENS], types[TOKENS], positions[TOKENS], segments[TOKENS], seen[64] = {0};
    dataset_row row = {.ids = ids, .types = types, .positions = positions, .segments = segments};
    CHECK_INT(vkb_dataset_random(ctx, 5, &rows, &data), VKB_BAD_ARGUMENT);
    CHECK_HAS(vkb_error(ctx), "from 5 ids");
    CHECK_OK(vkb_dataset_random(ctx, 64, &rows, &data));
    CHECK_INT(vkb_dataset_rows(data), 9);
    CHECK_INT(vkb_dataset_tokens(data), 9 * TOKENS);
    CHECK_NEAR(vkb_dataset_unigram_entropy(data), log(59), 1e-9);
    for (uint64_t r = 0; r < 9; r++) {
        CHECK_OK(dataset_read(data, r, &row));
        CHECK_INT(row.used, TOKENS);
        for (uint32_t i = 0; i < TOKENS; i++) {
            CHECK(ids[i] < 64 && positions[i] == i && segments[i] == 1 && types[i] == 0);
            seen[ids[i] % 64]++;
        }
    }
    CHECK_INT(seen[2], 9); // [CLS] of each row, [SEP], nothing else that is special
    CHECK_INT(seen[3], 9);
    CHECK_INT(seen[0] + seen[1] + seen[4], 0);

    vkb_trainer *trainer = NULL;
    l.config.vocab_size = 63;
    lesson_model(&l);
    CHECK_INT(vkb_trainer_create(l.model, NULL, data, &params, &trainer), VKB_BAD_ARGUMENT);
    CHECK_HAS(vkb_error(ctx), "the random rows have 64 ids");
    CHECK_INT(vkb_trainer_create(l.model, NULL, l.data, &params, &trainer), VKB_BAD_ARGUMENT);
    CHECK_HAS(vkb_error(ctx), "tokenizer");
    l.config.vocab_size = 64;
    lesson_model(&l);
    CHECK_OK(vkb_trainer_create(l.model, NULL, data, &params, &trainer));
    const vkb_metrics m = lesson_steps(trainer, 2);
    CHECK(m.loss > 3 && m.loss < 6); // about ln 64
    vkb_trainer_destroy(&trainer);
    vkb_dataset_destroy(&data);
    lesson_close(&l);
}

static void all_tests(vkb_device *dev)
{
    device = dev;
    RUN(a_watched_run_is_the_same_and_adds_up);
    RUN(a_device_without_timestamps_is_told);
    RUN(a_profile_may_be_left_open_or_empty);
    RUN(random_rows_are_full_and_need_no_tokenizer);
}

int main(void)
{
    return devices_run(all_tests) ? check_report() : 77;
}
