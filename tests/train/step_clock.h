// A clock told by a trainer's steps that have finished: each takes what the test says, whatever
// this machine makes of it.
#ifndef VKB_TESTS_TRAIN_STEP_CLOCK_H
#define VKB_TESTS_TRAIN_STEP_CLOCK_H

#include "base/clock.h"
#include "train/trainer.h"

typedef double (*step_fn)(uint64_t n);

typedef struct step_clock {
    const vkb_trainer *trainer;
    step_fn takes; // seconds, of the n-th step of this trainer
    double beside; // what was done between steps
} step_clock;

static inline double step_clock_read(void *user)
{
    const step_clock *c = user;
    double now = 1e6 + c->beside;
    for (uint64_t n = 0; n < c->trainer->oldest_result; n++)
        now += c->takes(n);
    return now;
}

// Until clock_replace(ctx, NULL, NULL), which is before the trainer is destroyed.
static inline void step_clock_use(step_clock *c, const vkb_trainer *trainer)
{
    c->trainer = trainer;
    clock_replace(gpu_context(trainer->model->dev), step_clock_read, c);
}

#endif
