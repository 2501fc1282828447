// Streams: barriers, replay, counters, submissions, refusals.
#include "chain.h"

#include <stdlib.h>

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

// ---- Barriers ----

typedef struct four {
    gpu_view a, b, c;
    int which;
} four;

static void record_hazards(gpu_stream *s, void *user)
{
    four *f = user;
    gpu_view half[2] = {gpu_part(f->a, 0, 256), gpu_part(f->a, 256, 256)};
    gpu_view b = gpu_part(f->b, 0, 256), c = gpu_part(f->c, 0, 256);
    switch (f->which) {
    case 0: // reads of the same, writes apart
        add(s, f->a, f->b, 64);
        add(s, f->a, f->c, 64);
        break;
    case 1: // parts of one buffer that do not overlap
        gpu_fill(s, half[0], 1);
        gpu_fill(s, half[1], 2);
        gpu_copy(s, b, c);
        break;
    case 2: // read after write
        gpu_fill(s, half[0], 1);
        add(s, half[0], b, 64);
        break;
    case 3: // write after read
        add(s, half[0], b, 64);
        gpu_fill(s, half[0], 1);
        break;
    case 4: // write after write, overlapping by four bytes
        gpu_fill(s, half[0], 1);
        gpu_fill(s, gpu_part(f->a, 252, 8), 2);
        break;
    case 5: // nothing waits twice for the same
        gpu_fill(s, half[0], 1);
        add(s, half[0], b, 64);
        add(s, half[0], c, 64);
        break;
    case 6: // an empty run is none
        gpu_fill(s, half[0], 1);
        add(s, half[0], b, 0);
        break;
    }
}

TEST(barriers_stand_where_they_must)
{
    static const int expected[] = {0, 0, 1, 1, 1, 1, 0};
    gpu_buffer *buffers[3] = {0};
    char name[] = "a";
    for (int i = 0; i < 3; i++, name[0]++)
        CHECK_INT(gpu_buffer_create(dev, name, 1024, GPU_LOCAL, &buffers[i]), VKB_OK);
    four f = {gpu_whole(buffers[0]), gpu_whole(buffers[1]), gpu_whole(buffers[2]), 0};
    for (f.which = 0; f.which < 7; f.which++) {
        char text[32];
        snprintf(text, sizeof(text), "case %d", f.which);
        check_case = text;
        uint64_t before = gpu_count(dev).recorded_barriers;
        CHECK_INT(gpu_run_once(dev, "hazards", record_hazards, &f), VKB_OK);
        CHECK_INT(gpu_count(dev).recorded_barriers - before, expected[f.which]);
    }
    check_case = "";
    for (int i = 0; i < 3; i++)
        gpu_buffer_destroy(&buffers[i]);
}

// ---- Bounded submissions ----

static void record_heavy(gpu_stream *s, void *user)
{
    chain *c = user;
    for (uint32_t i = 0; i < 2 * c->rounds; i++) {
        gpu_view x = i % 2 ? c->a : c->b, y = i % 2 ? c->b : c->a;
        gpu_label(s, "heavy");
        gpu_run(s, add, .bind = {x, y}, .push = &(struct gelu_params){.count = COUNT},
                .spec = {64, 1}, .spec_count = 2, .groups = gpu_items((COUNT + 255) / 256),
                .flops = 6e10);
    }
}

TEST(long_streams_become_several_submissions)
{
    pair p;
    gpu_stream *s = NULL;
    if (!pair_create(&p))
        return;
    chain c = {gpu_whole(p.a), gpu_whole(p.b), 4};
    gpu_test_limit_submissions(dev, 1e11);
    CHECK_INT(gpu_record(dev, "heavy", false, record_heavy, &c, &s), VKB_OK);
    gpu_counters before = gpu_count(dev);
    uint64_t ticket = 0;
    gpu_stream *twice[] = {s, s};
    CHECK_INT(gpu_submit(dev, twice, 2, &ticket), VKB_OK);
    CHECK_INT(gpu_count(dev).submissions - before.submissions, 16);
    CHECK_INT(gpu_wait(dev, ticket), VKB_OK);
    check_all(p.b, 1597); // F(17)
    // Of the same parts, as many together as are allowed.
    gpu_test_limit_submissions(dev, 2e11);
    before = gpu_count(dev);
    CHECK_INT(gpu_submit(dev, twice, 2, &ticket), VKB_OK);
    CHECK_INT(gpu_count(dev).submissions - before.submissions, 6); // of three, and one of one
    CHECK_INT(gpu_wait(dev, ticket), VKB_OK);
    check_all(p.b, 3524578); // F(33)
    gpu_test_limit_submissions(dev, 0);
    gpu_stream_destroy(&s);
    pair_destroy(&p);
}

TEST(short_streams_are_one_submission)
{
    pair p;
    gpu_stream *streams[3] = {NULL};
    if (!pair_create(&p))
        return;
    chain c = {gpu_whole(p.a), gpu_whole(p.b), 1};
    for (int i = 0; i < 3; i++)
        CHECK_INT(gpu_record(dev, "short", false, record_chain, &c, &streams[i]), VKB_OK);
    const gpu_counters before = gpu_count(dev);
    uint64_t ticket = 0;
    CHECK_INT(gpu_submit(dev, streams, 3, &ticket), VKB_OK);
    CHECK_INT(gpu_wait(dev, ticket), VKB_OK);
    CHECK_INT(gpu_count(dev).submissions - before.submissions, 1);
    check_all(p.b, 13); // F(7)
    for (int i = 0; i < 3; i++)
        gpu_stream_destroy(&streams[i]);
    pair_destroy(&p);
}

// ---- Scratch ----

typedef struct scratch_case {
    gpu_view to;
    uint64_t second; // bytes asked for in the second pass, when not 0
    bool same, dry_seen;
} scratch_case;

static void record_scratch(gpu_stream *s, void *user)
{
    scratch_case *c = user;
    c->dry_seen |= gpu_is_dry(s);
    gpu_view small = gpu_scratch(s, 1, 64);
    gpu_view large = gpu_scratch(s, 1, gpu_is_dry(s) || !c->second ? 4096 : c->second);
    c->same = small.buffer == large.buffer && small.bytes == 64 && gpu_stream_device(s) == dev;
    gpu_fill(s, gpu_part(large, 4032, 64), 7);
    gpu_copy(s, gpu_part(large, 4032, 64), c->to);
}

TEST(scratch_is_as_large_as_the_dry_pass_asked)
{
    uint32_t words[16] = {0};
    gpu_buffer *to = NULL;
    CHECK_INT(gpu_buffer_create(dev, "to", 64, GPU_LOCAL, &to), VKB_OK);
    scratch_case c = {.to = gpu_whole(to)};
    CHECK_INT(gpu_run_once(dev, "scratch", record_scratch, &c), VKB_OK);
    CHECK(c.same && c.dry_seen);
    CHECK_INT(gpu_download(dev, gpu_whole(to), words), VKB_OK);
    CHECK_INT(words[0], 7);
    CHECK_INT(words[15], 7);
    c.second = 8192;
    CHECK_INT(gpu_run_once(dev, "scratch", record_scratch, &c), VKB_FAILED);
    CHECK_HAS(vkb_error(gpu_context(dev)), "4096 in the dry pass");
    gpu_buffer_destroy(&to);
}

// ---- Refusals ----

static void record_wrong(gpu_stream *s, void *user)
{
    four *f = user;
    struct gelu_params push = {.count = 16};
    gpu_view a = gpu_part(f->a, 0, 64), b = gpu_part(f->b, 0, 64);
    gpu_run_params run = {
        .bind = {a, b}, .push = &push, .spec = {64, 1}, .spec_count = 2, .groups = {1, 1, 1}};
    switch (f->which) {
    case 0:
        run.groups.z = 0xFFFFFFFF;
        break;
    case 1:
        run.push = NULL;
        break;
    case 2:
        run.bind[1] = gpu_part(f->b, 4, 64);
        break;
    case 3:
        run.bind[1].bytes = 2048;
        break;
    case 4:
        run.bind[2] = a;
        break;
    case 5:
        run.bind[0] = run.bind[1] = (gpu_view){0};
        break;
    case 6:
        run.spec[0] = 1 << 20;
        break;
    case 7:
        run.spec_count = GPU_MAX_SPEC + 1;
        break;
    case 8:
        run.bind[1].offset = UINT64_MAX - 255;
        break;
    case 9:
        run.bind[0].bytes = 0;
        break;
    case 10:
        gpu_fill(s, gpu_part(f->a, 2, 4), 0);
        break;
    case 11:
        gpu_copy(s, a, gpu_part(f->a, 32, 64));
        break;
    case 12:
        gpu_copy(s, a, f->b);
        break;
    case 13:
        gpu_scratch(s, GPU_MAX_SCRATCH, 64);
        break;
    case 14:
        gpu_stream_fail(s, vkb_fail(gpu_context(dev), VKB_BAD_ARGUMENT, "kept"));
        gpu_stream_fail(s, vkb_fail(gpu_context(dev), VKB_FAILED, "follows from it"));
        break;
    }
    gpu_run_(s, GPU_add, &run);
}

TEST(wrong_runs_are_refused_by_name)
{
    static const char *const sentences[] = {
        "add: 1 x 1 x 4294967295 workgroups",
        "add: no push constants",
        "add: binding 1 starts at",
        "add: binding 1 is 2048 bytes",
        "add: 3 views were given",
        "add: no view",
        "add: workgroups of 1048576",
        "specialisation constants, at most",
        "add: binding 1 is 64",
        "add: binding 0 is 0 bytes",
        "no multiple of 4",
        "copying 64 bytes from a",
        "copying 1024 bytes from a to b",
        "scratch slot 5",
        "kept",
    };
    gpu_buffer *a = NULL, *b = NULL;
    CHECK_INT(gpu_buffer_create(dev, "a", 1024, GPU_LOCAL, &a), VKB_OK);
    CHECK_INT(gpu_buffer_create(dev, "b", 1024, GPU_LOCAL, &b), VKB_OK);
    four f = {.a = gpu_whole(a), .b = gpu_whole(b)};
    for (f.which = 0; f.which < (int)(sizeof(sentences) / sizeof(*sentences)); f.which++) {
        gpu_stream *s = NULL;
        check_case = sentences[f.which];
        CHECK_INT(gpu_record(dev, "wrong", false, record_wrong, &f, &s), VKB_BAD_ARGUMENT);
        CHECK(s == NULL);
        CHECK_HAS(vkb_error(gpu_context(dev)), sentences[f.which]);
    }
    check_case = "";
    f.which = 100; // and the run they were made from is fine
    CHECK_INT(gpu_run_once(dev, "right", record_wrong, &f), VKB_OK);
    gpu_buffer_destroy(&a);
    gpu_buffer_destroy(&b);
}

// An empty view is given another of the run's: the kernel then must not touch it, or, as here, may.
static void record_empty(gpu_stream *s, void *user)
{
    gpu_view y = *(gpu_view *)user;
    add(s, (gpu_view){0}, y, COUNT);
}

TEST(empty_views_get_the_first_one)
{
    pair p;
    if (!pair_create(&p))
        return;
    gpu_view b = gpu_whole(p.b);
    CHECK_INT(gpu_run_once(dev, "empty", record_empty, &b), VKB_OK);
    check_all(p.b, 2);
    pair_destroy(&p);
}

// ---- What compilers say ----

static void count_told(void *user, gpu_kernel kernel, const uint32_t *numbers, uint32_t count,
                       const char *text)
{
    CHECK_STR(gpu_kernel_name(kernel), "add");
    CHECK_INT(count, 2);
    CHECK_INT(numbers[0], 128);
    CHECK(text && (text[0] == 0 || text[strlen(text) - 1] == '\n'));
    ++*(int *)user;
}

static void record_of_128(gpu_stream *s, void *user)
{
    const chain *c = user;
    for (uint32_t i = 0; i < 3; i++)
        gpu_run(s, add, .bind = {c->a, c->b}, .push = &(struct gelu_params){.count = COUNT},
                .spec = {128, 1}, .spec_count = 2, .groups = gpu_items(1));
}

static void no_memory(void *user, const char *name, uint64_t bytes)
{
    (void)user, (void)name, (void)bytes;
}

// In a plan, where nothing reaches the device: once a pipeline.
TEST(a_kernel_is_told_of_when_it_is_built)
{
    int told = 0;
    gpu_buffer *buffer = NULL;
    const gpu_counters before = gpu_count(dev);
    gpu_plan(dev, no_memory, NULL);
    CHECK_INT(gpu_buffer_create(dev, "a", 4 * COUNT, GPU_LOCAL, &buffer), VKB_OK);
    chain c = {gpu_whole(buffer), gpu_whole(buffer), 1};
    CHECK_INT(gpu_rehearse(dev, "plain", record_of_128, &c, NULL), VKB_OK);
    CHECK_INT(gpu_count(dev).pipelines, before.pipelines);
    gpu_statistics(dev, count_told, &told);
    CHECK_INT(gpu_rehearse(dev, "told", record_of_128, &c, NULL), VKB_OK);
    CHECK_INT(gpu_rehearse(dev, "again", record_of_128, &c, NULL), VKB_OK);
    gpu_statistics(dev, NULL, NULL);
    gpu_buffer_destroy(&buffer);
    gpu_plan(dev, NULL, NULL);
    CHECK_INT(told, 1);
    CHECK_INT(gpu_count(dev).pipelines, before.pipelines + 1);
    CHECK_INT(gpu_count(dev).submissions, before.submissions);
}

// ---- Odds and ends ----

static void record_nothing(gpu_stream *s, void *user)
{
    (void)s;
    (void)user;
}

TEST(nothing_is_fine)
{
    uint64_t first = 0, second = 0;
    CHECK_INT(gpu_run_once(dev, "nothing", record_nothing, NULL), VKB_OK);
    CHECK_INT(gpu_submit(dev, NULL, 0, &first), VKB_OK);
    CHECK_INT(gpu_submit(dev, NULL, 0, &second), VKB_OK);
    CHECK_INT(second, first + 1);
    CHECK_INT(gpu_wait_all(dev), VKB_OK);
    gpu_stream_destroy(NULL);
    gpu_buffer_destroy(NULL);
}

TEST(items_are_folded_into_two_axes)
{
    static const uint64_t counts[] = {1, 2, 65534, 65535, 65536, 65537, 1 << 20, 4000000000u};
    CHECK_INT(gpu_items(0).x, 0);
    for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
        gpu_groups g = gpu_items(counts[i]);
        CHECK(g.x <= 65535 && g.y <= 65535 && g.z == 1);
        CHECK((uint64_t)g.x * g.y >= counts[i] && (uint64_t)g.x * g.y - counts[i] < g.y);
    }
}

static void all_tests(vkb_device *device)
{
    dev = device;
    RUN(chain_of_runs_waits_for_each_other);
    RUN(replays_and_counts_only_submissions);
    RUN(barriers_stand_where_they_must);
    RUN(long_streams_become_several_submissions);
    RUN(short_streams_are_one_submission);
    RUN(scratch_is_as_large_as_the_dry_pass_asked);
    RUN(wrong_runs_are_refused_by_name);
    RUN(empty_views_get_the_first_one);
    RUN(a_kernel_is_told_of_when_it_is_built);
    RUN(nothing_is_fine);
    RUN(items_are_folded_into_two_axes);
}

int main(void)
{
    return devices_run(all_tests) ? check_report() : 77;
}
