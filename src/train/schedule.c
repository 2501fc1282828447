// The formulas of transformers/optimization.py.
#include "train/schedule.h"

#include <math.h>

double train_rate(const train_schedule *s, double progress)
{
    const double pi = 3.14159265358979323846;
    if (s->kind != VKB_CONSTANT && progress < s->warmup)
        return s->learning_rate * progress / s->warmup;
    if (s->kind == VKB_CONSTANT || s->kind == VKB_CONSTANT_WITH_WARMUP)
        return s->learning_rate;
    if (progress >= 1)
        return 0;
    const double decayed = (progress - s->warmup) / (1 - s->warmup); // in [0, 1)
    if (s->kind == VKB_COSINE)
        return s->learning_rate * 0.5 * (1.0 + cos(pi * decayed));
    return s->learning_rate * (1.0 - decayed);
}
