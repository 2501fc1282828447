// A context's clock in a test's hand: it moves when the test moves it, and by `step` at each
// reading.
#ifndef VKB_TESTS_TEST_CLOCK_H
#define VKB_TESTS_TEST_CLOCK_H

#include "base/clock.h"

typedef struct test_clock {
    double now, step;
} test_clock;

static inline double test_clock_read(void *user)
{
    test_clock *c = user;
    return c->now += c->step;
}

// Until clock_replace(ctx, NULL, NULL).
static inline void test_clock_use(vkb_context *ctx, test_clock *c)
{
    clock_replace(ctx, test_clock_read, c);
}

#endif
