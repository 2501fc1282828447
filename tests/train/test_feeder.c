// The feeder: that the device does not wait for rows, that late ones are counted, that it stops at once.
// Runs alone: it measures what a busy machine would spoil.
#include "lesson.h"

#include <time.h>

static const vkb_train_params quick = {
    .batch_size = 4,
    .learning_rate = 1e-3,
    .max_steps = 60,
    .mask.mlm_probability = 0.3,
    .seed = 42,
};

static void be_late(void *user)
{
    nanosleep(user, NULL);
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

TEST(the_device_does_not_wait_for_rows)
{
    lesson l = lesson_open(16, false, 400);
    lesson_model(&l);
    vkb_trainer *trainer = lesson_trainer(&l, &quick);
    const double from = seconds();
    const vkb_metrics metrics = lesson_steps(trainer, quick.max_steps);
    const double step = (seconds() - from) / (double)quick.max_steps;
    printf("  %llu stalls in %llu steps\n", (unsigned long long)metrics.stalls,
           (unsigned long long)metrics.step);
    // None, unless the system takes the feeder's core away for the time of eight steps.
    CHECK(metrics.stalls <= 2);
    vkb_trainer_destroy(&trainer);

    // Rows that take four steps of this device are late, and are counted.
    struct timespec late = {.tv_sec = (time_t)(4 * step)};
    late.tv_nsec = (long)(1e9 * (4 * step - (double)late.tv_sec));
    lesson_model(&l);
    trainer = lesson_trainer(&l, &quick);
    train_feeder_watch(trainer->feeder, be_late, &late);
    CHECK(lesson_steps(trainer, 20).stalls >= 5);
    vkb_trainer_destroy(&trainer);

    lesson_model(&l); // stopped while it sleeps, before the first step and in the middle
    for (uint64_t steps = 0; steps < 3; steps += 2) {
        trainer = lesson_trainer(&l, &quick);
        train_feeder_watch(trainer->feeder, be_late, &late);
        lesson_steps(trainer, steps);
        vkb_trainer_destroy(&trainer);
    }
    lesson_close(&l);
}

static void on_device(vkb_device *dev)
{
    device = dev;
    RUN(the_device_does_not_wait_for_rows);
}

int main(void)
{
    return devices_run(on_device) ? check_report() : 77;
}
