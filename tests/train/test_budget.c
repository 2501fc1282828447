// A run fitted to a time, with a device that is made of numbers: whatever its pace does, the run
// ends in time and progress goes forward only.
#include "check.h"
#include "train/budget.h"

#include <math.h>

enum { RING = 3, MOST = 100000 };

// How long the n-th step takes.
typedef double (*step_fn)(uint64_t n);

static double steady(uint64_t n)
{
    (void)n;
    return 1;
}
static double slower(uint64_t n)
{
    return n < 40 ? 1 : 10;
}
static double faster(uint64_t n)
{
    return n < 6 ? 10 : 1;
}
static double first_is_slow(uint64_t n)
{
    return n == 0 ? 20 : 0.1;
}
static double jumping(uint64_t n)
{
    return n / 7 % 2 ? 10 : 1;
}
static double long_ones(uint64_t n)
{
    (void)n;
    return 37;
}

typedef struct seen {
    uint64_t steps;
    double ended;    // in the run's seconds
    double progress; // of the last step
    double longest;
} seen;

// The trainer's loop: at most RING steps are unfinished, and the host takes no time.
static seen run(train_budget *b, train_pace *pace, step_fn takes, double from)
{
    static double ends[MOST];
    uint64_t finished = 0, submitted = 0;
    double now = from;
    seen s = {.progress = -1};
    for (;;) {
        budget_verdict verdict;
        while ((verdict = budget_ask(b, pace, now, submitted - finished)) == BUDGET_WAIT ||
               submitted - finished == RING) {
            CHECK(submitted > finished);
            if (submitted == finished)
                return s;
            now = fmax(now, ends[finished++]);
            if (finished == 1 && b->spent <= 0)
                budget_ready(b, now);
            pace_add(pace, now, 1);
        }
        if (verdict == BUDGET_OVER || submitted == MOST)
            break;
        budget_begin(b, now);
        pace_begin(pace, now);
        const double progress = budget_progress(b, pace, now, submitted - finished);
        CHECK(progress >= s.progress && progress <= 1);
        CHECK(budget_steps(b, pace, now, submitted - finished) >= 1);
        s.progress = progress;
        ends[submitted] = (submitted ? fmax(now, ends[submitted - 1]) : now) + takes(submitted);
        s.longest = fmax(s.longest, takes(submitted));
        submitted++;
    }
    CHECK_INT(finished, submitted);
    s.steps = submitted;
    s.ended = budget_used(b, now);
    return s;
}

static seen run_for(double seconds, step_fn takes)
{
    train_budget b = {.seconds = seconds};
    train_pace pace = {0};
    return run(&b, &pace, takes, 1e6);
}

TEST(a_steady_pace_fills_its_time)
{
    const seen s = run_for(100, steady);
    CHECK_INT(s.steps, 100);
    CHECK_NEAR(s.ended, 100, 1e-9);
    CHECK_NEAR(s.progress, 98 / 99.0, 1e-9); // of the last step, as it begins
}

TEST(whatever_the_pace_does_the_run_ends_within_a_step)
{
    static const struct {
        const char *name;
        step_fn takes;
    } paces[] = {{"steady", steady},   {"slower", slower},
                 {"faster", faster},   {"first is slow", first_is_slow},
                 {"jumping", jumping}, {"long ones", long_ones}};
    static const double budgets[] = {0.5, 1, 12, 41, 45, 77.7, 100, 500, 2345.6};
    for (size_t i = 0; i < sizeof(paces) / sizeof(*paces); i++)
        for (size_t k = 0; k < sizeof(budgets) / sizeof(*budgets); k++) {
            char name[64];
            snprintf(name, sizeof(name), "%s, %g s", paces[i].name, budgets[k]);
            check_case = name;
            const seen s = run_for(budgets[k], paces[i].takes);
            CHECK(s.steps >= 1);
            CHECK(s.ended <= fmax(budgets[k], 0) + s.longest + 1e-9);
            if (budgets[k] > 30 * s.longest) { // all of it is used
                CHECK(s.ended > budgets[k] - 1.01 * s.longest);
                CHECK(s.progress > 0.95);
            }
        }
    check_case = "";
}

TEST(a_time_shorter_than_a_step_is_one_step)
{
    const seen s = run_for(1, long_ones);
    CHECK_INT(s.steps, 1);
    CHECK_NEAR(s.progress, 0, 0);
    // Of one step no pace is known: the second may be the last, the third is not begun.
    CHECK_INT(run_for(38, long_ones).steps, 2);
    CHECK_INT(run_for(110, long_ones).steps, 2);
}

TEST(a_run_that_goes_on_has_what_is_left)
{
    train_budget b = {.seconds = 100, .spent = 60, .rated = 61};
    train_pace pace = {.earlier = 1};
    const seen s = run(&b, &pace, steady, 5);
    CHECK_INT(s.steps, 40);
    CHECK_NEAR(s.ended, 100, 1e-9);

    b = (train_budget){.seconds = 100, .spent = 60, .rated = 61}; // no rate before the last one's
    pace = (train_pace){.earlier = 1};
    CHECK_NEAR(budget_progress(&b, &pace, 5, 0), 0.61, 1e-12);

    b = (train_budget){.seconds = 100, .spent = 99.5}; // a step is known to take longer
    CHECK_INT(budget_ask(&b, &pace, 5, 0), BUDGET_OVER);
    pace.earlier = 0; // or it is not known
    CHECK_INT(budget_ask(&b, &pace, 5, 0), BUDGET_GO);
    b.spent = 100;
    CHECK_INT(budget_ask(&b, &pace, 5, 0), BUDGET_OVER);
}

// Drivers compile in the first step: the run is not over then, and warms up behind it.
TEST(a_long_first_step_is_no_progress)
{
    train_budget b = {.seconds = 30};
    train_pace pace = {0};
    budget_begin(&b, 0);
    CHECK_NEAR(budget_progress(&b, &pace, 0, 0), 0, 0);
    budget_ready(&b, 20);
    pace_add(&pace, 20, 1);
    CHECK_INT(budget_ask(&b, &pace, 20, 0), BUDGET_GO);
    CHECK_NEAR(budget_progress(&b, &pace, 20, 0), 0, 0);
    CHECK_NEAR(budget_progress(&b, &pace, 21, 0), 0.1, 1e-12);
    CHECK_NEAR(budget_progress(&b, &pace, 31, 0), 1, 0);
    CHECK(run_for(30, first_is_slow).steps > 90);
    CHECK_INT(run_for(19, first_is_slow).steps, 1);
}

// Evaluations on the way: they take their time from the run, and not from its pace.
TEST(what_is_done_between_steps_counts)
{
    train_budget b = {.seconds = 100};
    train_pace pace = {0};
    double now = 0;
    for (int i = 0; i < 20; i++) {
        budget_begin(&b, now);
        pace_begin(&pace, now);
        pace_add(&pace, ++now, 1);
    }
    CHECK_NEAR(budget_progress(&b, &pace, now, 0), 0.2, 1e-12);
    pace_pause(&pace);
    now += 60;
    CHECK_INT(budget_ask(&b, &pace, now, 0), BUDGET_GO);
    CHECK_INT(budget_steps(&b, &pace, now, 0), 20);
    CHECK_NEAR(budget_progress(&b, &pace, now, 0), 0.8, 1e-12);
    now += 19.5;
    CHECK_INT(budget_ask(&b, &pace, now, 0), BUDGET_OVER);
}

TEST(without_a_time_there_is_no_end)
{
    const train_budget b = {.seconds = 0};
    const train_pace pace = {.earlier = 5};
    CHECK_INT(budget_ask(&b, &pace, 1e9, 2), BUDGET_GO);
}

int main(void)
{
    RUN(a_steady_pace_fills_its_time);
    RUN(whatever_the_pace_does_the_run_ends_within_a_step);
    RUN(a_time_shorter_than_a_step_is_one_step);
    RUN(a_run_that_goes_on_has_what_is_left);
    RUN(a_long_first_step_is_no_progress);
    RUN(what_is_done_between_steps_counts);
    RUN(without_a_time_there_is_no_end);
    return check_report();
}
