// Where a step's time goes: its streams recorded with timestamps, and what each kernel run took.
#ifndef VKB_TRAIN_PROFILE_H
#define VKB_TRAIN_PROFILE_H

#include "vkbert.h"

typedef struct train_profiler train_profiler;

// Called by vkb_train_step; without a profiler they do nothing. micro: the micro-batch that was
// just submitted, of several in a step, whose stream is submitted again before the step ends; step:
// the step's end. Both wait for the device and take the times.
vkb_status train_profile_micro(vkb_trainer *trainer, bool first);
vkb_status train_profile_step(vkb_trainer *trainer);

void train_profiler_free(train_profiler **profiler);

#endif
