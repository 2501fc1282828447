// Sorted keys on every device against the host's stable sort: to the bit.
#include "check.h"
#include "devices.h"
#include "harness.h"

#include <stdlib.h>

static vkb_device *device;

enum { MOST = 70000 };

typedef struct sort {
    tensor *keys, *sorted;
    uint32_t count, bound;
} sort;

static void record(gpu_stream *s, void *user)
{
    const sort *o = user;
    op_sort_keys(s, o->keys->view, o->count, o->bound, o->sorted->view);
}

static int by_key_and_place(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return x[0] != y[0] ? (x[0] > y[0]) - (x[0] < y[0]) : (x[1] > y[1]) - (x[1] < y[1]);
}

static void sorts(trial *t, const uint32_t *keys, uint32_t count, uint32_t bound)
{
    static uint32_t expected[MOST][2];
    for (uint32_t i = 0; i < count; i++) {
        expected[i][0] = keys[i];
        expected[i][1] = i;
    }
    qsort(expected, count, sizeof(*expected), by_key_and_place);
    sort o = {.count = count, .bound = bound};
    o.keys = trial_words(t, "keys", count, keys);
    o.sorted = trial_words_out(t, "sorted", 2 * (size_t)count, NULL, expected);
    trial_run(t, record, &o);
    CHECK(trial_close(&t));
}

// Of keys at random below `kinds`, which are spread so that they use all digits of the bound.
static void random_keys(uint32_t count, uint32_t kinds, uint32_t bound)
{
    static uint32_t keys[MOST];
    trial *t = trial_open(device, "sort %u of %u kinds below %u", count, kinds, bound);
    for (uint32_t i = 0; i < count; i++)
        keys[i] = (uint32_t)((uint64_t)random_below(trial_random(t), kinds) * (bound - 1) /
                             (kinds > 1 ? kinds - 1 : 1));
    sorts(t, keys, count, bound);
}

static const uint32_t COUNTS[] = {1, 2, 31, 255, 256, 257, 4096, 32768};

TEST(many_kinds_of_keys)
{
    for (size_t i = 0; i < BASE_COUNT(COUNTS); i++)
        random_keys(COUNTS[i], 30522, 30522);
}

TEST(few_keys)
{
    for (size_t i = 0; i < BASE_COUNT(COUNTS); i++) {
        random_keys(COUNTS[i], 1, 30522);
        random_keys(COUNTS[i], 3, 30522);
    }
    random_keys(MOST, 2, 2);
    random_keys(300, 1, 1);
}

TEST(one_to_four_passes)
{
    static const uint32_t bounds[] = {2,        256,    257,      512,      513,
                                      1u << 18, 300000, 1u << 27, 1u << 31, UINT32_MAX};
    for (size_t i = 0; i < BASE_COUNT(bounds); i++)
        random_keys(1000, bounds[i], bounds[i]);
}

TEST(different_keys_the_wrong_way_round)
{
    static uint32_t keys[MOST];
    for (size_t i = 0; i < BASE_COUNT(COUNTS); i++) {
        trial *t = trial_open(device, "sort %u different keys", COUNTS[i]);
        for (uint32_t k = 0; k < COUNTS[i]; k++)
            keys[k] = COUNTS[i] - 1 - k;
        sorts(t, keys, COUNTS[i], COUNTS[i]);
    }
}

TEST(wrong_views_are_refused)
{
    trial *t = trial_open(device, "sort with wrong views");
    sort o = {.count = 6, .bound = 9};
    o.keys = trial_free_words(t, "keys", 6, NULL);
    o.sorted = trial_free_words(t, "sorted", 12, NULL);
    trial_needs_all(t, o.keys, record, &o);
    trial_needs_all(t, o.sorted, record, &o);
    CHECK(trial_close(&t));
}

static void on_device(vkb_device *dev)
{
    device = dev;
    RUN(many_kinds_of_keys);
    RUN(few_keys);
    RUN(one_to_four_passes);
    RUN(different_keys_the_wrong_way_round);
    RUN(wrong_views_are_refused);
}

int main(void)
{
    return trial_devices(on_device) ? check_report() : 77;
}
