// The formulas of transformers/optimization.py.
#include "train/schedule.h"

#include <math.h>

double train_rate(const train_schedule *s, uint64_t step)
{
    const double pi = 3.14159265358979323846;
    if (s->kind != VKB_CONSTANT && step < s->warmup_steps)
        return s->learning_rate * (double)step / (double)s->warmup_steps;
    if (s->kind == VKB_CONSTANT || s->kind == VKB_CONSTANT_WITH_WARMUP)
        return s->learning_rate;
    if (step >= s->max_steps)
        return 0;
    double progress =
        (double)(step - s->warmup_steps) / (double)(s->max_steps - s->warmup_steps); // in [0, 1)
    if (s->kind == VKB_COSINE)
        return s->learning_rate * 0.5 * (1.0 + cos(pi * progress));
    return s->learning_rate * (1.0 - progress);
}
