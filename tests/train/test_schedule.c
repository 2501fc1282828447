// Learning rates against transformers' get_scheduler, and the pace that fits a run to a time.
#include "check.h"
#include "train/pace.h"
#include "train/schedule.h"

// Of the step after `step` finished ones.
static double rate(vkb_schedule kind, double peak, double warmup_steps, double steps, double step)
{
    const train_schedule s = {kind, peak, warmup_steps / steps};
    return train_rate(&s, step / steps);
}

TEST(linear_warms_up_from_zero_and_ends_at_zero)
{
    CHECK_NEAR(rate(VKB_LINEAR, 2.0, 4, 12, 0), 0, 0);
    CHECK_NEAR(rate(VKB_LINEAR, 2.0, 4, 12, 1), 0.5, 1e-15);
    CHECK_NEAR(rate(VKB_LINEAR, 2.0, 4, 12, 4), 2.0, 1e-15);
    CHECK_NEAR(rate(VKB_LINEAR, 2.0, 4, 12, 8), 1.0, 1e-15);
    CHECK_NEAR(rate(VKB_LINEAR, 2.0, 4, 12, 11), 0.25, 1e-15);
    CHECK_NEAR(rate(VKB_LINEAR, 2.0, 4, 12, 12), 0, 0);
    CHECK_NEAR(rate(VKB_LINEAR, 2.0, 4, 12, 99), 0, 0);
}

TEST(linear_without_warmup_starts_at_the_peak)
{
    CHECK_NEAR(rate(VKB_LINEAR, 5e-5, 0, 10, 0), 5e-5, 1e-18);
    CHECK_NEAR(rate(VKB_LINEAR, 5e-5, 0, 10, 5), 2.5e-5, 1e-18);
}

TEST(cosine_is_half_a_wave)
{
    CHECK_NEAR(rate(VKB_COSINE, 1.0, 2, 10, 1), 0.5, 1e-15);
    CHECK_NEAR(rate(VKB_COSINE, 1.0, 2, 10, 2), 1.0, 1e-15);
    CHECK_NEAR(rate(VKB_COSINE, 1.0, 2, 10, 4), 0.853553390593, 1e-11);
    CHECK_NEAR(rate(VKB_COSINE, 1.0, 2, 10, 6), 0.5, 1e-15);
}

TEST(constant_ignores_the_warmup_unless_asked)
{
    CHECK_NEAR(rate(VKB_CONSTANT, 1.0, 5, 10, 0), 1, 0);
    CHECK_NEAR(rate(VKB_CONSTANT_WITH_WARMUP, 1.0, 5, 10, 0), 0, 0);
    CHECK_NEAR(rate(VKB_CONSTANT_WITH_WARMUP, 1.0, 5, 10, 5), 1, 0);
    CHECK_NEAR(rate(VKB_CONSTANT_WITH_WARMUP, 1.0, 5, 10, 1000), 1, 0);
}

// As transformers' formulas do it: the run ends before the peak.
TEST(a_warmup_may_be_the_whole_run_or_longer)
{
    CHECK_NEAR(rate(VKB_LINEAR, 1.0, 10, 10, 9), 0.9, 1e-15);
    CHECK_NEAR(rate(VKB_LINEAR, 1.0, 10, 10, 10), 0, 0);
    CHECK_NEAR(rate(VKB_COSINE, 1.0, 40, 10, 10), 0.25, 1e-15);
}

TEST(no_rate_rises_behind_the_warmup)
{
    static const vkb_schedule kinds[] = {VKB_LINEAR, VKB_COSINE, VKB_CONSTANT,
                                         VKB_CONSTANT_WITH_WARMUP};
    static const double warmups[] = {0, 1e-9, 0.1, 0.4, 1};
    for (int k = 0; k < 4; k++)
        for (int w = 0; w < 5; w++) {
            const train_schedule s = {kinds[k], 3e-3, warmups[w]};
            double last = 0;
            for (int i = 0; i <= 1000; i++) {
                const double progress = i / 1000.0, seen = train_rate(&s, progress);
                CHECK(seen >= 0 && seen <= 3e-3);
                if (i > 0 && progress - 0.001 >= warmups[w])
                    CHECK(seen <= last);
                if (progress < warmups[w])
                    CHECK(seen >= last || kinds[k] == VKB_CONSTANT);
                last = seen;
            }
        }
}

TEST(neither_a_first_step_nor_a_pause_is_a_pace)
{
    train_pace pace = {.earlier = 7};
    CHECK_NEAR(pace_seconds_per_step(&pace), 7, 0);
    pace_begin(&pace, 100);
    pace_begin(&pace, 101);   // the second one, behind it
    pace_add(&pace, 104, 10); // the first one: it compiled
    CHECK_NEAR(pace_seconds_per_step(&pace), 7, 0);
    pace_add(&pace, 106, 10);
    CHECK_NEAR(pace_seconds_per_step(&pace), 2, 1e-12);
    pace_pause(&pace);
    pace_begin(&pace, 1106); // after an evaluation of 1000 seconds
    pace_add(&pace, 1108, 10);
    CHECK_NEAR(pace_seconds_per_step(&pace), 2, 1e-9);
    CHECK_NEAR(pace_tokens_per_second(&pace), 5, 1e-9);
    pace_add(&pace, 1111, 10); // a gap without a pause is the step's
    CHECK_NEAR(pace_seconds_per_step(&pace), 7.0 / 3, 1e-9);
}

TEST(pace_is_that_of_the_last_steps)
{
    train_pace pace = {0};
    CHECK_NEAR(pace_seconds_per_step(&pace), 0, 0);
    pace_begin(&pace, 9);
    pace_add(&pace, 10, 100);
    CHECK_NEAR(pace_seconds_per_step(&pace), 0, 0);
    CHECK_NEAR(pace_tokens_per_second(&pace), 0, 0);
    pace_add(&pace, 14, 100); // the slow start is forgotten after PACE_STEPS steps
    CHECK_NEAR(pace_seconds_per_step(&pace), 4, 1e-12);
    for (int i = 1; i <= PACE_STEPS; i++)
        pace_add(&pace, 14 + 0.5 * i, 100);
    CHECK_NEAR(pace_seconds_per_step(&pace), 0.5, 1e-12);
    CHECK_NEAR(pace_tokens_per_second(&pace), 200, 1e-9);
}

int main(void)
{
    RUN(linear_warms_up_from_zero_and_ends_at_zero);
    RUN(linear_without_warmup_starts_at_the_peak);
    RUN(cosine_is_half_a_wave);
    RUN(constant_ignores_the_warmup_unless_asked);
    RUN(a_warmup_may_be_the_whole_run_or_longer);
    RUN(no_rate_rises_behind_the_warmup);
    RUN(neither_a_first_step_nor_a_pause_is_a_pace);
    RUN(pace_is_that_of_the_last_steps);
    return check_report();
}
