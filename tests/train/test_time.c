// A run that is given a time: its rate follows the time, it ends with it, and goes on with what is
// left of it.
#include "lesson.h"
#include "step_clock.h"
#include "test_clock.h"

// ---- Paces ----

static double steady(uint64_t n)
{
    (void)n;
    return 1;
}
static double slower(uint64_t n)
{
    return n < 10 ? 1 : 10;
}
static double faster(uint64_t n)
{
    return n < 3 ? 10 : 1;
}
static double jumping(uint64_t n)
{
    return n / 5 % 2 ? 10 : 1;
}

// ---- A run ----

typedef struct seen {
    uint64_t steps;     // submitted by this trainer
    double first, last; // rates
    double peak;
    bool rose_again; // after it
    vkb_metrics metrics;
} seen;

static const vkb_train_params timed = {
    .batch_size = 1,
    .learning_rate = 1e-3,
    .warmup_ratio = 0.25,
    .max_seconds = 60,
    .mask.mlm_probability = 0.3,
    .seed = 42,
};

static lesson smallest(void)
{
    lesson l = lesson_open(8, false, 40);
    l.config.num_hidden_layers = 1;
    return l;
}

// Until the run ends, or so many steps are done in it.
static seen go(vkb_trainer *trainer, uint64_t most)
{
    seen s = {.first = -1};
    bool done = false, fell = false;
    while (!done && s.steps < most) {
        const uint64_t before = trainer->next_result;
        CHECK_OK(vkb_train_step(trainer, NULL, &done));
        if (trainer->next_result == before) { // there was none
            CHECK(done);
            break;
        }
        const double rate = trainer->results[before % TRAIN_RESULTS].metrics.learning_rate;
        if (s.steps++ == 0)
            s.first = s.last = rate;
        s.rose_again = s.rose_again || (fell && rate > s.last);
        fell = fell || rate < s.last;
        s.peak = rate > s.peak ? rate : s.peak;
        s.last = rate;
    }
    CHECK_OK(vkb_trainer_finish(trainer, &s.metrics));
    return s;
}

static seen run(lesson *l, const vkb_train_params *params, step_fn takes)
{
    step_clock clock = {.takes = takes};
    lesson_model(l);
    vkb_trainer *trainer = lesson_trainer(l, params);
    step_clock_use(&clock, trainer);
    const seen s = go(trainer, UINT64_MAX);
    clock_replace(gpu_context(device), NULL, NULL);
    vkb_trainer_destroy(&trainer);
    CHECK_INT(s.metrics.step, s.steps);
    CHECK_INT(s.metrics.max_steps, s.steps);
    CHECK_NEAR(s.metrics.seconds_left, 0, 0);
    return s;
}

TEST(the_rate_never_rises_after_its_peak)
{
    static const struct {
        vkb_schedule kind;
        step_fn takes;
    } runs[] = {{VKB_LINEAR, slower},  {VKB_LINEAR, faster}, {VKB_LINEAR, jumping},
                {VKB_COSINE, jumping}, {VKB_COSINE, faster}, {VKB_CONSTANT_WITH_WARMUP, slower}};
    lesson l = smallest();
    for (size_t i = 0; i < BASE_COUNT(runs); i++) {
        vkb_train_params params = timed;
        params.schedule = runs[i].kind;
        const seen s = run(&l, &params, runs[i].takes);
        CHECK(!s.rose_again);
        CHECK(s.steps >= 10);
        CHECK_NEAR(s.first, 0, 0); // of a warm-up
        CHECK(s.peak <= 1e-3 && s.peak > 0.6e-3);
        CHECK(s.metrics.seconds <= params.max_seconds + 10);
        CHECK(s.metrics.seconds > params.max_seconds - 10 - 1e-6);
        if (runs[i].kind != VKB_CONSTANT_WITH_WARMUP)
            CHECK(s.last <= 0.35e-3); // the last step takes a sixth of the time
        else
            CHECK_NEAR(s.last, 1e-3, 0);
    }
    lesson_close(&l);
}

TEST(a_steady_pace_gives_the_rates_of_as_many_steps)
{
    lesson l = smallest();
    vkb_train_params params = timed;
    const seen s = run(&l, &params, steady);
    CHECK_INT(s.steps, 60);
    // Of 60 seconds one is the first step's, of the other 59 a quarter is the warm-up.
    CHECK_NEAR(s.peak, 1e-3 * (1 - 15 / 59.0) / 0.75, 1e-9);
    CHECK_NEAR(s.last, 1e-3 * (1 - 58 / 59.0) / 0.75, 1e-9);
    CHECK_NEAR(s.metrics.seconds, 60, 1e-6);
    // A warm-up in steps against the decay over the time: the smaller.
    params.warmup_steps = 10;
    const seen w = run(&l, &params, steady);
    CHECK(!w.rose_again);
    CHECK_NEAR(w.first, 0, 0);
    CHECK_NEAR(w.peak, 1e-3 * (1 - 8 / 59.0), 1e-9); // 9 / 10 is more, 8 / 10 less
    CHECK_NEAR(w.last, 1e-3 / 59, 1e-9);
    params.warmup_steps = 100000; // however long it is
    CHECK(!run(&l, &params, jumping).rose_again);
    lesson_close(&l);
}

TEST(steps_end_a_run_that_has_time_left)
{
    lesson l = smallest();
    vkb_train_params params = timed;
    params.max_steps = 20;
    seen s = run(&l, &params, steady);
    CHECK_INT(s.steps, 20);
    CHECK_NEAR(s.last, 1e-3 / 15, 1e-9); // the rate follows what ends it
    params.max_steps = 1000;
    s = run(&l, &params, steady);
    CHECK_INT(s.steps, 60);
    CHECK_NEAR(s.last, 1e-3 / 59 / 0.75, 1e-9);
    params.max_steps = 0;
    params.num_train_epochs = 0.25;
    s = run(&l, &params, steady);
    CHECK_INT(s.steps, (vkb_dataset_rows(l.data) + 3) / 4);
    CHECK(s.steps > 10 && s.steps < 60);
    lesson_close(&l);
}

static double long_one(uint64_t n)
{
    (void)n;
    return 5;
}

TEST(a_time_shorter_than_a_step_is_one_step)
{
    lesson l = smallest();
    vkb_train_params params = timed;
    params.max_seconds = 1;
    CHECK_INT(run(&l, &params, long_one).steps, 1);
    params.max_seconds = 1e-9;
    params.gradient_accumulation_steps = 2;
    CHECK_INT(run(&l, &params, long_one).steps, 1);
    lesson_close(&l);
}

// Evaluations and checkpoints are of the run's time, but of no step's pace.
TEST(what_the_caller_does_between_steps_counts)
{
    lesson l = smallest();
    step_clock clock = {.takes = steady};
    lesson_model(&l);
    vkb_trainer *trainer = lesson_trainer(&l, &timed);
    step_clock_use(&clock, trainer);
    const seen before = go(trainer, 20);
    CHECK_INT(before.steps, 20);
    CHECK_NEAR(before.metrics.seconds, 20, 1e-6);
    clock.beside = 30;
    const seen after = go(trainer, UINT64_MAX);
    CHECK_INT(after.steps, 10);
    CHECK(after.first < before.last && !after.rose_again);
    CHECK_NEAR(after.metrics.seconds, 60, 1e-6);
    clock_replace(gpu_context(device), NULL, NULL);
    vkb_trainer_destroy(&trainer);

    // A pause may be all that was left: then there is no step behind it.
    clock = (step_clock){.takes = steady};
    lesson_model(&l);
    trainer = lesson_trainer(&l, &timed);
    step_clock_use(&clock, trainer);
    go(trainer, 5);
    clock.beside = 100;
    CHECK_INT(go(trainer, UINT64_MAX).steps, 0);
    CHECK_INT(trainer->last.max_steps, 5);
    clock_replace(gpu_context(device), NULL, NULL);
    vkb_trainer_destroy(&trainer);
    lesson_close(&l);
}

// Goes on from the lesson's folder.
static seen resume(lesson *l, double seconds)
{
    step_clock clock = {.takes = steady};
    vkb_train_params params = timed;
    params.max_seconds = seconds;
    CHECK_OK(vkb_model_load(device, l->folder, NULL, &l->model));
    vkb_trainer *trainer = lesson_trainer(l, &params);
    step_clock_use(&clock, trainer);
    CHECK_OK(vkb_trainer_resume(trainer, l->folder));
    const seen s = go(trainer, UINT64_MAX);
    CHECK_OK(vkb_trainer_save(trainer, l->folder));
    clock_replace(gpu_context(device), NULL, NULL);
    vkb_trainer_destroy(&trainer);
    CHECK_OK(vkb_model_save(l->model, l->folder, NULL));
    vkb_model_destroy(&l->model);
    return s;
}

TEST(a_resumed_run_has_what_is_left)
{
    lesson l = smallest();
    step_clock clock = {.takes = steady};
    lesson_model(&l);
    vkb_trainer *trainer = lesson_trainer(&l, &timed);
    step_clock_use(&clock, trainer);
    const seen first = go(trainer, 30);
    CHECK_INT(first.steps, 30);
    clock.beside = 5; // an evaluation before the checkpoint
    CHECK_OK(vkb_model_save(l.model, l.folder, NULL));
    CHECK_OK(vkb_trainer_save(trainer, l.folder));
    clock_replace(gpu_context(device), NULL, NULL);
    vkb_trainer_destroy(&trainer);
    vkb_model_destroy(&l.model);

    const seen second = resume(&l, 60);
    CHECK_INT(second.steps, 25);
    CHECK_INT(second.metrics.step, 55);
    CHECK_NEAR(second.metrics.seconds, 60, 1e-6);
    CHECK(second.first < first.last && !second.rose_again);
    CHECK_NEAR(second.last, 1e-3 / 59 / 0.75, 1e-9);

    for (int i = 0; i < 2; i++) { // nothing is left, and nothing is taken
        const seen third = resume(&l, 60);
        CHECK_INT(third.steps, 0);
        CHECK_INT(third.metrics.step, 55);
        CHECK_INT(third.metrics.max_steps, 55);
        CHECK_NEAR(third.metrics.seconds, 60, 1e-6);
        CHECK(third.metrics.epoch > 0);
    }
    CHECK_INT(resume(&l, 30).steps, 0);

    const seen more = resume(&l, 90); // a larger one goes on with that
    CHECK_INT(more.steps, 30);
    CHECK_NEAR(more.first, 1e-3 * (30 / 89.0) / 0.75, 1e-9);
    CHECK_NEAR(more.last, 1e-3 / 89 / 0.75, 1e-9);
    lesson_close(&l);
}

// Of a clock that moves at each reading, as a machine's does.
TEST(a_clock_that_always_moves_ends_a_run_too)
{
    lesson l = smallest();
    test_clock clock = {.now = 3, .step = 0.01};
    lesson_model(&l);
    vkb_train_params params = timed;
    params.max_seconds = 2;
    vkb_trainer *trainer = lesson_trainer(&l, &params);
    test_clock_use(gpu_context(device), &clock);
    const seen s = go(trainer, UINT64_MAX);
    clock_replace(gpu_context(device), NULL, NULL);
    CHECK(s.steps > 10 && s.steps < 200);
    CHECK(!s.rose_again);
    CHECK(s.metrics.seconds > 1.5 && s.metrics.seconds < 2.3);
    vkb_trainer_destroy(&trainer);
    lesson_close(&l);
}

static void all_tests(vkb_device *dev)
{
    device = dev;
    RUN(the_rate_never_rises_after_its_peak);
    RUN(a_steady_pace_gives_the_rates_of_as_many_steps);
    RUN(steps_end_a_run_that_has_time_left);
    RUN(a_time_shorter_than_a_step_is_one_step);
    RUN(what_the_caller_does_between_steps_counts);
    RUN(a_resumed_run_has_what_is_left);
    RUN(a_clock_that_always_moves_ends_a_run_too);
}

int main(void)
{
    return devices_run(all_tests) ? check_report() : 77;
}
