#include "train/budget.h"

#include <math.h>

#define SLOWER 10.0 // that the pace may become from one step to the next

void budget_begin(train_budget *b, double now)
{
    if (!b->running)
        b->started = now;
    b->running = true;
}

void budget_ready(train_budget *b, double now)
{
    b->ready = budget_used(b, now);
}

double budget_used(const train_budget *b, double now)
{
    return b->running ? b->spent + now - b->started : b->spent;
}

double budget_next(const train_budget *b, const train_pace *pace, double now, uint64_t unfinished)
{
    const double behind = pace->last + (double)unfinished * pace_seconds_per_step(pace);
    return budget_used(b, unfinished && pace->count ? fmax(now, behind) : now);
}

budget_verdict budget_ask(const train_budget *b, const train_pace *pace, double now,
                          uint64_t unfinished)
{
    const double step = pace_seconds_per_step(pace);
    const double left = b->seconds - budget_used(b, now);
    const double next = budget_next(b, pace, now, unfinished);
    if (b->seconds <= 0)
        return BUDGET_GO;
    if (unfinished && (step <= 0 || left < SLOWER * step * (double)(unfinished + 1)))
        return BUDGET_WAIT;
    return next < b->seconds && next + step <= b->seconds ? BUDGET_GO : BUDGET_OVER;
}

uint64_t budget_steps(const train_budget *b, const train_pace *pace, double now,
                      uint64_t unfinished)
{
    const double step = pace_seconds_per_step(pace);
    if (step <= 0)
        return 1;
    const double fitting = (b->seconds - budget_next(b, pace, now, unfinished)) / step;
    return fitting < 1 ? 1 : fitting < 1e18 ? (uint64_t)fitting : (uint64_t)1e18;
}

double budget_progress(train_budget *b, const train_pace *pace, double now, uint64_t unfinished)
{
    b->rated = fmax(b->rated, budget_next(b, pace, now, unfinished));
    return b->rated >= b->seconds ? 1 : fmax(b->rated - b->ready, 0) / (b->seconds - b->ready);
}
