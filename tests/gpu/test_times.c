// Times: one a run of a timed stream, in order, with flops and bytes.
#include "chain.h"

#include "base/clock.h"

TEST(times_come_one_a_run)
{
    pair p;
    gpu_stream *s = NULL, *untimed = NULL;
    const gpu_time *times = NULL;
    size_t count = 99;
    if (!pair_create(&p))
        return;
    chain c = {gpu_whole(p.a), gpu_whole(p.b), 2};
    CHECK_INT(gpu_record(dev, "timed", true, record_chain, &c, &s), VKB_OK);
    CHECK_INT(gpu_record(dev, "untimed", false, record_chain, &c, &untimed), VKB_OK);
    if (vkb_device_get_info(dev)->timestamps)
        CHECK_INT(gpu_times(s, &times, &count), VKB_BAD_ARGUMENT);
    const double before = clock_seconds(gpu_context(dev));
    for (int i = 0; i < 2; i++)
        CHECK_INT(gpu_submit(dev, (gpu_stream *[]){s, untimed}, 2, NULL), VKB_OK);
    CHECK_INT(gpu_times(untimed, &times, &count), VKB_OK);
    CHECK_INT(count, 0);
    CHECK_INT(gpu_times(s, &times, &count), VKB_OK);
    CHECK_INT(count, vkb_device_get_info(dev)->timestamps ? 4 : 0);
    const double passed = clock_seconds(gpu_context(dev)) - before;
    double seconds = 0;
    for (size_t i = 0; i < count; i++) {
        CHECK_STR(gpu_kernel_name(times[i].kernel), "add");
        CHECK_STR(times[i].label, i / 2 % 2 ? "odd" : "even");
        CHECK_NEAR(times[i].flops, COUNT, 0);
        CHECK(times[i].seconds >= 0);
        if (i) // a microsecond: a timestamp may count in steps
            CHECK(times[i].begin > times[i - 1].begin + times[i - 1].seconds - 1e-6);
        seconds += times[i].seconds;
    }
    CHECK(count == 0 || seconds > 0);
    CHECK(seconds < 1.01 * passed + 1e-3); // two clocks, of which neither is quite right
    CHECK_INT(gpu_wait_all(dev), VKB_OK);
    check_all(p.b, 1597); // F(17)
    gpu_stream_destroy(&untimed);
    gpu_stream_destroy(&s);
    pair_destroy(&p);
}

// y is read and written, x read: each view counts once, and what stands in for an empty one not.
static void record_bytes(gpu_stream *s, void *user)
{
    chain *c = user;
    struct gelu_params push = {.count = COUNT};
    add(s, c->a, c->b, COUNT);
    add(s, (gpu_view){0}, c->b, COUNT);
    add(s, c->b, c->b, COUNT);
    gpu_run(s, add, .bind = {c->a, c->b}, .push = &push, .spec = {64, 1}, .spec_count = 2,
            .groups = gpu_items(1), .bytes = 12);
}

TEST(bytes_are_those_of_the_views)
{
    static const double expected[] = {12.0 * COUNT, 8.0 * COUNT, 8.0 * COUNT, 12};
    pair p;
    gpu_stream *s = NULL;
    const gpu_time *times = NULL;
    size_t count = 0;
    if (!pair_create(&p))
        return;
    chain c = {gpu_whole(p.a), gpu_whole(p.b), 0};
    CHECK_INT(gpu_record(dev, "bytes", true, record_bytes, &c, &s), VKB_OK);
    CHECK_INT(gpu_submit(dev, &s, 1, NULL), VKB_OK);
    CHECK_INT(gpu_times(s, &times, &count), VKB_OK);
    CHECK_INT(count, vkb_device_get_info(dev)->timestamps ? 4 : 0);
    for (size_t i = 0; i < count; i++)
        CHECK_NEAR(times[i].bytes, expected[i], 0);
    gpu_stream_destroy(&s);
    pair_destroy(&p);
}

static double takes(void *user, gpu_kernel kernel, const uint32_t *spec, uint32_t spec_count)
{
    CHECK(kernel == GPU_add && spec_count >= 1 && spec[0] > 0);
    return ++*(double *)user;
}

// With a clock of the device's or without one.
TEST(times_can_be_played)
{
    pair p;
    gpu_stream *s = NULL;
    const gpu_time *times = NULL;
    size_t count = 0;
    double played = 0;
    if (!pair_create(&p))
        return;
    chain c = {gpu_whole(p.a), gpu_whole(p.b), 2};
    gpu_test_times(dev, takes, &played);
    CHECK_INT(gpu_record(dev, "played", true, record_chain, &c, &s), VKB_OK);
    gpu_test_times(dev, NULL, NULL);
    for (int i = 0; i < 2; i++) { // the same each time, one behind the other
        CHECK_INT(gpu_submit(dev, &s, 1, NULL), VKB_OK);
        CHECK_INT(gpu_times(s, &times, &count), VKB_OK);
        CHECK_INT(count, 4);
        for (size_t k = 0; k < count; k++) {
            CHECK_NEAR(times[k].seconds, (double)k + 1, 0);
            CHECK_NEAR(times[k].begin, 10.0 * i + (double)(k * (k + 1) / 2), 0);
        }
    }
    gpu_stream_destroy(&s);
    pair_destroy(&p);
}

static void all_tests(vkb_device *device)
{
    dev = device;
    RUN(times_come_one_a_run);
    RUN(bytes_are_those_of_the_views);
    RUN(times_can_be_played);
}

int main(void)
{
    return devices_run(all_tests) ? check_report() : 77;
}
