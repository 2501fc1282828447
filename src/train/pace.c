// The last steps in a ring of times.
#include "train/pace.h"

#include <stdlib.h>

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double train_median(double *values, size_t count)
{
    if (count == 0)
        return 0;
    qsort(values, count, sizeof(*values), ascending);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

void pace_begin(train_pace *p, double now)
{
    if (p->in_pause && p->count)
        p->paused += now - p->last;
    p->in_pause = false;
}

void pace_pause(train_pace *p)
{
    p->in_pause = true;
}

void pace_add(train_pace *p, double now, uint64_t step_tokens)
{
    const uint64_t before = p->count ? p->tokens[(p->count - 1) % PACE_STEPS] : 0;
    p->last = now;
    p->time[p->count % PACE_STEPS] = now - p->paused;
    p->tokens[p->count % PACE_STEPS] = before + step_tokens;
    p->count++;
}

// The oldest and newest steps that are remembered; false when there are not two.
static int pace_ends(const train_pace *p, uint64_t *oldest, uint64_t *newest)
{
    *newest = p->count - 1;
    *oldest = p->count > PACE_STEPS ? p->count - PACE_STEPS : 0;
    return p->count >= 2 && p->time[*newest % PACE_STEPS] > p->time[*oldest % PACE_STEPS];
}

double pace_seconds_per_step(const train_pace *p)
{
    uint64_t a, b;
    if (p->count < 2)
        return p->earlier;
    if (!pace_ends(p, &a, &b))
        return 0;
    return (p->time[b % PACE_STEPS] - p->time[a % PACE_STEPS]) / (double)(b - a);
}

double pace_median(const train_pace *p, uint32_t *steps)
{
    double took[PACE_STEPS];
    uint64_t a, b;
    *steps = 0;
    if (!pace_ends(p, &a, &b))
        return 0;
    for (uint64_t i = a; i < b; i++)
        took[(*steps)++] = p->time[(i + 1) % PACE_STEPS] - p->time[i % PACE_STEPS];
    return train_median(took, *steps);
}

double pace_tokens_per_second(const train_pace *p)
{
    uint64_t a, b;
    if (!pace_ends(p, &a, &b))
        return 0;
    return (double)(p->tokens[b % PACE_STEPS] - p->tokens[a % PACE_STEPS]) /
           (p->time[b % PACE_STEPS] - p->time[a % PACE_STEPS]);
}
