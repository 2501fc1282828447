// The feeder: that rows are there before the device could want them, that late ones are counted,
// each of them, and that it stops at once. Who is late is agreed upon, not slept for.
#include "lesson.h"

#include <pthread.h>

enum { STEPS = 24 };

static const vkb_train_params quick = {
    .batch_size = 4,
    .learning_rate = 1e-3,
    .max_steps = STEPS,
    .mask.mlm_probability = 0.3,
    .seed = 42,
};

// ---- What the feeder's thread tells, and is told ----

typedef struct watch {
    train_feeder *feeder;
    uint64_t late_every; // of which fills each one that this divides is late; 0: none
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t begun; // fills: all before the last of them are ready
} watch;

static void before_fill(void *user)
{
    watch *w = user;
    pthread_mutex_lock(&w->lock);
    const uint64_t fill = w->begun++;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
    if (w->late_every && fill % w->late_every == 0)
        train_feeder_be_late(w->feeder);
}

// Until the rows of so many micro-batches are ready, which nothing but the feeder has to do for.
static void await_rows(watch *w, uint64_t ready)
{
    pthread_mutex_lock(&w->lock);
    while (w->begun <= ready)
        pthread_cond_wait(&w->changed, &w->lock);
    pthread_mutex_unlock(&w->lock);
}

static vkb_trainer *watched(lesson *l, watch *w, uint64_t late_every)
{
    lesson_model(l);
    vkb_trainer *trainer = lesson_trainer(l, &quick);
    *w = (watch){.feeder = trainer->feeder, .late_every = late_every};
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    train_feeder_watch(trainer->feeder, before_fill, w);
    return trainer;
}

static void watch_end(watch *w, vkb_trainer **trainer)
{
    vkb_trainer_destroy(trainer);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->changed);
}

// ---- Rows ahead, and late ones ----

TEST(rows_are_ready_before_they_are_asked_for)
{
    lesson l = lesson_open(16, false, 60);
    watch w;
    vkb_trainer *trainer = watched(&l, &w, 0);
    lesson_steps(trainer, 1);
    await_rows(&w, TRAIN_SLOTS - 1); // in all slots but that of the step, without another step
    for (uint64_t step = 2; step <= STEPS; step++) {
        await_rows(&w, step);
        CHECK_INT(lesson_steps(trainer, step).stalls, 0);
    }
    watch_end(&w, &trainer);
    lesson_close(&l);
}

// Each step has ended when the next one's rows are asked for: the device has nothing to do but to
// wait.
TEST(rows_that_are_late_are_counted)
{
    static const uint64_t every[] = {1, 3};
    lesson l = lesson_open(16, false, 60);
    for (size_t i = 0; i < BASE_COUNT(every); i++) {
        watch w;
        vkb_trainer *trainer = watched(&l, &w, every[i]);
        uint64_t late = 0;
        for (uint64_t step = 1; step <= STEPS; step++) {
            const uint64_t fill = step - 1;
            if (fill % every[i] != 0)
                await_rows(&w, step);
            else
                late += fill > 0; // the first rows of a run are waited for
            CHECK_INT(lesson_steps(trainer, step).stalls, late);
        }
        watch_end(&w, &trainer);
    }
    lesson_close(&l);
}

TEST(it_stops_while_rows_are_late)
{
    lesson l = lesson_open(16, false, 60);
    for (uint64_t steps = 0; steps < 3; steps += 2) { // before it is started, and in the middle
        watch w;
        vkb_trainer *trainer = watched(&l, &w, 1);
        lesson_steps(trainer, steps);
        if (steps)
            await_rows(&w, steps); // it has begun with the next ones
        watch_end(&w, &trainer);
    }
    lesson_close(&l);
}

static void on_device(vkb_device *dev)
{
    device = dev;
    RUN(rows_are_ready_before_they_are_asked_for);
    RUN(rows_that_are_late_are_counted);
    RUN(it_stops_while_rows_are_late);
}

int main(void)
{
    return devices_run(on_device) ? check_report() : 77;
}
