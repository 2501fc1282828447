// A run's time: how much of it is spent, when the next step will begin, and whether it ends in
// time.
//
// Wall time from the first step on, with all that is done between steps (evaluations, checkpoints),
// and what a run that is gone on with had spent before. Device and host do not wait for each other,
// so that a step begins when those that are submitted already have ended, by the pace that was
// seen.
#ifndef VKB_TRAIN_BUDGET_H
#define VKB_TRAIN_BUDGET_H

#include "train/pace.h"

typedef struct train_budget {
    double seconds; // that the run may take; 0: as long as its steps do
    double spent;   // before `started`, by the run that is gone on with
    double started; // the clock at the first step
    bool running;   // there was one
    // In the run's seconds. Drivers compile in the first step: its time is spent, but is no
    // progress, or there would be no warm-up behind it.
    double ready; // when the first step had finished
    double rated; // when the newest step was to begin: it never goes back
} train_budget;

void budget_begin(train_budget *budget, double now); // before each step; the first one counts
void budget_ready(train_budget *budget, double now); // when the run's first step has finished
double budget_used(const train_budget *budget, double now);

// When the next step begins, in the run's seconds, behind so many that have not finished.
double budget_next(const train_budget *budget, const train_pace *pace, double now,
                   uint64_t unfinished);

typedef enum budget_verdict {
    BUDGET_GO,
    BUDGET_WAIT, // it cannot be said before one of the unfinished steps has finished
    BUDGET_OVER,
} budget_verdict;

// Whether the next step fits: it ends within the budget by the pace seen, or, where none was seen
// yet, begins within it. No step is submitted behind unfinished ones where a pace that becomes ten
// times slower could be noticed too late: the run ends at most a step after its budget.
budget_verdict budget_ask(const train_budget *budget, const train_pace *pace, double now,
                          uint64_t unfinished);

// How many steps fit from the next one on, which does: 1 while there is no pace.
uint64_t budget_steps(const train_budget *budget, const train_pace *pace, double now,
                      uint64_t unfinished);

// The share of the budget that is spent when the next step begins, of what the first step has left.
double budget_progress(train_budget *budget, const train_pace *pace, double now,
                       uint64_t unfinished);

#endif
