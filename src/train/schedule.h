// Learning-rate schedules, as transformers' get_scheduler has them, over a run that is counted in
// steps or in seconds: progress is the share of it that is behind.
#ifndef VKB_TRAIN_SCHEDULE_H
#define VKB_TRAIN_SCHEDULE_H

#include "vkbert.h"

typedef struct train_schedule {
    vkb_schedule kind;
    double learning_rate; // the peak
    double warmup;        // the share of the run in which the rate rises to it
} train_schedule;

// The rate of a step that begins at this progress, in [0, 1]: the first step of a warm-up runs at
// 0. In progress it rises within the warm-up and never behind it.
double train_rate(const train_schedule *schedule, double progress);

#endif
