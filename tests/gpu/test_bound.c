// How much a submission may hold: from what was seen of the device, never too much.
#include "gpu/bound.h"
#include "check.h"

#include <stdbool.h>

TEST(a_device_that_nobody_has_seen_gets_little)
{
    gpu_bound b = {.rate = 0};
    CHECK_NEAR(gpu_bound_flops(&b, 1e11), 1e11, 0);
    gpu_bound_submitted(&b, 1, 0, 5e9, 10);
    gpu_bound_ended(&b, 1, 11);
    CHECK_NEAR(b.rate, 5e9, 1);
    CHECK_NEAR(gpu_bound_flops(&b, 1e11), 1e11, 0); // slow devices too
}

TEST(what_has_no_estimate_teaches_nothing)
{
    gpu_bound b = {.rate = 7};
    gpu_bound_submitted(&b, 1, 0, 0, 10);
    gpu_bound_ended(&b, 1, 11);
    gpu_bound_submitted(&b, 2, 1, 1e12, 12);
    gpu_bound_ended(&b, 2, 12); // no time has passed
    gpu_bound_ended(&b, 3, 13); // never submitted
    CHECK_NEAR(b.rate, 7, 0);
}

// The ticket that the device may have begun before does not count.
TEST(tickets_in_flight_count_but_the_first)
{
    gpu_bound b = {.rate = 0};
    for (uint64_t ticket = 1; ticket <= 4; ticket++)
        gpu_bound_submitted(&b, ticket, 0, 1e12, 0.9);
    gpu_bound_submitted(&b, 5, 1, 1e12, 1);
    gpu_bound_ended(&b, 5, 2); // 2, begun before?, 3, 4, 5
    CHECK_NEAR(b.rate, 3e12, 1);
    CHECK_NEAR(gpu_bound_flops(&b, 1e11), 3e11, 1);
    gpu_bound_ended(&b, 5, 9); // waited for once more
    CHECK_NEAR(b.rate, 3e12, 1);
}

// A device of 2e13 operations a second, a host that submits steps some ahead and waits for them late: what it
// learns is near, and never above. Then the device becomes slow.
TEST(a_pipeline_is_seen_from_below)
{
    gpu_bound b = {.rate = 0};
    double ends[64] = {0}, now = 0;
    for (uint64_t ticket = 1; ticket < 64; ticket++) {
        const double speed = ticket < 40 ? 2e13 : 2e12, work = ticket % 2 ? 4e12 : 1e9;
        uint64_t done = ticket - 1;
        while (done > 0 && ends[done] > now)
            done--;
        gpu_bound_submitted(&b, ticket, done, work, now);
        ends[ticket] = (ends[ticket - 1] > now ? ends[ticket - 1] : now) + work / speed;
        if (ticket > 4) {
            const double late = ticket % 5 * 0.003;
            now = ends[ticket - 4] + late > now ? ends[ticket - 4] + late : now;
            gpu_bound_ended(&b, ticket - 4, now);
        }
        CHECK(b.rate <= 2.0001e13);
        if (ticket > 10 && ticket < 40)
            CHECK(b.rate > 2e13 / 3);
        if (ticket > 48)
            CHECK(b.rate <= 2.0001e12);
    }
}

int main(void)
{
    RUN(a_device_that_nobody_has_seen_gets_little);
    RUN(what_has_no_estimate_teaches_nothing);
    RUN(tickets_in_flight_count_but_the_first);
    RUN(a_pipeline_is_seen_from_below);
    return check_report();
}
