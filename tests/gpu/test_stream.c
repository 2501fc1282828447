// Streams: barriers, replay, counters, refusals, times. The kernel is add: y += x.
#include "check.h"
#include "devices.h"

#include "gpu/gpu.h"
#include "shaders/params.h"

#include <stdlib.h>

static vkb_device *dev;

// ---- A chain of dependent runs ----

enum { COUNT = 1003 };

typedef struct chain {
    gpu_view a, b;
    uint32_t rounds;
} chain;

static void add(gpu_stream *s, gpu_view x, gpu_view y, uint32_t count)
{
    gpu_run(s, add, .bind = {x, y}, .push = &(struct gelu_params){.count = count}, .spec = {64, 1},
            .spec_count = 2, .groups = gpu_items((count + 255) / 256), .flops = count);
}

// a, b = a + b, a + 2 b, ...: Fibonacci numbers, wrong after one missing barrier
static void record_chain(gpu_stream *s, void *user)
{
    chain *c = user;
    for (uint32_t i = 0; i < c->rounds; i++) {
        gpu_label(s, i % 2 ? "odd" : "even");
        add(s, c->b, c->a, COUNT);
        add(s, c->a, c->b, COUNT);
    }
}

typedef struct pair {
    gpu_buffer *a, *b;
} pair;

static bool pair_create(pair *p)
{
    float ones[COUNT], zeros[COUNT];
    for (int i = 0; i < COUNT; i++) {
        ones[i] = 1;
        zeros[i] = 0;
    }
    *p = (pair){0};
    bool ok = gpu_buffer_create(dev, "a", sizeof(ones), GPU_LOCAL, &p->a) == VKB_OK &&
              gpu_buffer_create(dev, "b", sizeof(ones), GPU_LOCAL, &p->b) == VKB_OK &&
              gpu_upload(dev, gpu_whole(p->a), zeros) == VKB_OK &&
              gpu_upload(dev, gpu_whole(p->b), ones) == VKB_OK;
    CHECK(ok);
    return ok;
}

static void pair_destroy(pair *p)
{
    gpu_buffer_destroy(&p->a);
    gpu_buffer_destroy(&p->b);
}

static void check_all(gpu_buffer *buffer, float expected)
{
    float seen[COUNT];
    CHECK_INT(gpu_download(dev, gpu_whole(buffer), seen), VKB_OK);
    for (int i = 0; i < COUNT; i++)
        if (seen[i] != expected) {
            CHECK_FAILED("element %d is %g, expected %g", i, seen[i], expected);
            return;
        }
}

TEST(chain_of_runs_waits_for_each_other)
{
    pair p;
    if (!pair_create(&p))
        return;
    chain c = {gpu_whole(p.a), gpu_whole(p.b), 12};
    CHECK_INT(gpu_run_once(dev, "chain", record_chain, &c), VKB_OK);
    check_all(p.a, 46368); // F(24)
    check_all(p.b, 75025); // F(25)
    pair_destroy(&p);
}

// ---- Replay ----

TEST(replays_and_counts_only_submissions)
{
    pair p;
    gpu_stream *s = NULL;
    uint64_t ticket = 0, first = 0;
    if (!pair_create(&p))
        return;
    chain c = {gpu_whole(p.a), gpu_whole(p.b), 1};
    CHECK_INT(gpu_record(dev, "replay", false, record_chain, &c, &s), VKB_OK);
    gpu_counters before = gpu_count(dev);
    CHECK_INT(gpu_submit(dev, &s, 1, &first), VKB_OK);
    for (int i = 1; i < 12; i++)
        CHECK_INT(gpu_submit(dev, &s, 1, &ticket), VKB_OK);
    CHECK_INT(ticket, first + 11);
    gpu_counters after = gpu_count(dev);
    CHECK_INT(after.submissions - before.submissions, 12);
    after.submissions = before.submissions;
    CHECK(memcmp(&before, &after, sizeof(before)) == 0);
    CHECK_INT(gpu_wait(dev, ticket), VKB_OK);
    CHECK(gpu_done(dev, ticket));
    CHECK(!gpu_done(dev, ticket + 1));
    CHECK_INT(gpu_count(dev).waits - before.waits, 1);
    check_all(p.b, 75025);
    gpu_stream_destroy(&s);
    CHECK(s == NULL);
    pair_destroy(&p);
}

static void all_tests(vkb_device *device)
{
    dev = device;
    RUN(chain_of_runs_waits_for_each_other);
    RUN(replays_and_counts_only_submissions);
}

int main(void)
{
    return devices_run(all_tests) ? check_report() : 77;
}
