// How fast the run goes, over its last steps.
#ifndef VKB_TRAIN_PACE_H
#define VKB_TRAIN_PACE_H

#include <stddef.h>
#include <stdint.h>

enum { PACE_STEPS = 16 };

typedef struct train_pace {
    double time[PACE_STEPS];     // when the step finished, seconds
    uint64_t tokens[PACE_STEPS]; // finished by then
    uint64_t count;
} train_pace;

double train_median(double *values, size_t count); // sorts them; 0 of none

void pace_add(train_pace *pace, double now, uint64_t step_tokens);
double pace_seconds_per_step(const train_pace *pace); // 0: not known yet
// The median of the steps' times and, in *steps, of how many; 0: not known yet.
double pace_median(const train_pace *pace, uint32_t *steps);
double pace_tokens_per_second(const train_pace *pace);

#endif
