// Learning rates against transformers' get_scheduler, and the pace that fits a run to a time.
#include "check.h"
#include "train/pace.h"
#include "train/schedule.h"

TEST(linear_warms_up_from_zero_and_ends_at_zero)
{
    const train_schedule s = {VKB_LINEAR, 2.0, 4, 12};
    CHECK_NEAR(train_rate(&s, 0), 0, 0);
    CHECK_NEAR(train_rate(&s, 1), 0.5, 1e-15);
    CHECK_NEAR(train_rate(&s, 4), 2.0, 1e-15);
    CHECK_NEAR(train_rate(&s, 8), 1.0, 1e-15);
    CHECK_NEAR(train_rate(&s, 11), 0.25, 1e-15);
    CHECK_NEAR(train_rate(&s, 12), 0, 0);
    CHECK_NEAR(train_rate(&s, 99), 0, 0);
}

TEST(linear_without_warmup_starts_at_the_peak)
{
    const train_schedule s = {VKB_LINEAR, 5e-5, 0, 10};
    CHECK_NEAR(train_rate(&s, 0), 5e-5, 1e-18);
    CHECK_NEAR(train_rate(&s, 5), 2.5e-5, 1e-18);
}

TEST(cosine_is_half_a_wave)
{
    const train_schedule s = {VKB_COSINE, 1.0, 2, 10};
    CHECK_NEAR(train_rate(&s, 1), 0.5, 1e-15);
    CHECK_NEAR(train_rate(&s, 2), 1.0, 1e-15);
    CHECK_NEAR(train_rate(&s, 4), 0.853553390593, 1e-11);
    CHECK_NEAR(train_rate(&s, 6), 0.5, 1e-15);
}

TEST(constant_ignores_the_warmup_unless_asked)
{
    const train_schedule plain = {VKB_CONSTANT, 1.0, 5, 10};
    const train_schedule warm = {VKB_CONSTANT_WITH_WARMUP, 1.0, 5, 10};
    CHECK_NEAR(train_rate(&plain, 0), 1, 0);
    CHECK_NEAR(train_rate(&warm, 0), 0, 0);
    CHECK_NEAR(train_rate(&warm, 5), 1, 0);
    CHECK_NEAR(train_rate(&warm, 1000), 1, 0);
}

TEST(pace_is_that_of_the_last_steps)
{
    train_pace pace = {0};
    CHECK_NEAR(pace_seconds_per_step(&pace), 0, 0);
    pace_add(&pace, 10, 100);
    CHECK_NEAR(pace_seconds_per_step(&pace), 0, 0);
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
    RUN(pace_is_that_of_the_last_steps);
    return check_report();
}
