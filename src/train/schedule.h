// Learning-rate schedules, as transformers' get_scheduler has them.
#ifndef VKB_TRAIN_SCHEDULE_H
#define VKB_TRAIN_SCHEDULE_H

#include "vkbert.h"

typedef struct train_schedule {
    vkb_schedule kind;
    double learning_rate; // the peak
    uint64_t warmup_steps;
    uint64_t max_steps;
} train_schedule;

// The rate of the step after `step` finished ones: the first step of a warm-up runs at 0.
double train_rate(const train_schedule *schedule, uint64_t step);

#endif
