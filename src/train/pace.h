// How fast the run goes, over its last steps. Times are the clock's; what passes between pace_pause
// and the next pace_begin is no step's.
#ifndef VKB_TRAIN_PACE_H
#define VKB_TRAIN_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PACE_STEPS = 16 };

typedef struct train_pace {
    double time[PACE_STEPS];     // when the step finished, seconds, without the pauses before it
    uint64_t tokens[PACE_STEPS]; // finished by then
    uint64_t count;
    double last;    // when the newest step finished
    double paused;  // all pauses so far
    bool in_pause;  // since `last`
    double earlier; // seconds a step in the run that is gone on with; 0: not known
} train_pace;

double train_median(double *values, size_t count); // sorts them; 0 of none

// Before a step is submitted: takes a pause that there was.
void pace_begin(train_pace *pace, double now);
// All steps have finished, and the next one is not to be expected at once.
void pace_pause(train_pace *pace);
// A step has finished.
void pace_add(train_pace *pace, double now, uint64_t step_tokens);
// Until two steps have finished, of which the first may have taken longer, what is known from an
// earlier run; 0: not known yet.
double pace_seconds_per_step(const train_pace *pace);
// The median of the steps' times and, in *steps, of how many; 0: not known yet.
double pace_median(const train_pace *pace, uint32_t *steps);
double pace_tokens_per_second(const train_pace *pace); // 0: not known yet

#endif
