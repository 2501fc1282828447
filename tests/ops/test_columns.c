// Sums over rows, all or those of a key, on every device against the reference.
#include "check.h"
#include "devices.h"
#include "harness.h"
#include "ref.h"

static vkb_device *device;
static gpu_type act; // of the activations

enum { KEYS = 3 };

typedef struct columns {
    tensor *x, *keys, *sums;
    uint32_t rows, cols, select;
    bool accumulate;
} columns;

static void record(gpu_stream *s, void *user)
{
    const columns *c = user;
    if (c->keys)
        op_sum_columns_where(s, c->x->view, c->rows, c->cols, c->keys->view, c->select,
                             c->accumulate, c->sums->view);
    else
        op_sum_columns(s, c->x->view, c->rows, c->cols, c->accumulate, c->sums->view);
}

// select: a key below KEYS, one that no row has, or OP_NONE for all rows.
static void sum(uint32_t rows, uint32_t cols, values kind, uint32_t select, bool accumulate)
{
    trial *t = trial_open(device, "columns %ux%u values %d type %d key %d%s", rows, cols, kind, act,
                          (int)select, accumulate ? " accumulate" : "");
    columns c = {.rows = rows, .cols = cols, .select = select, .accumulate = accumulate};
    uint32_t keys[2000];
    c.x = trial_input(t, "x", (size_t)rows * cols, kind);
    c.sums = trial_inout(t, "sums", cols, VALUES_NORMAL, LIMIT_FP32);
    tensor_as(c.x, act);
    for (uint32_t i = 0; i < rows; i++)
        keys[i] = random_below(trial_random(t), KEYS);
    if (select != OP_NONE)
        c.keys = trial_words(t, "keys", rows, keys);
    ref_sum_columns(c.x->ref, rows, cols, c.keys ? keys : NULL, select, accumulate, c.sums->ref);
    trial_run(t, record, &c);
    CHECK(trial_close(&t));
}

static const struct {
    uint32_t rows, cols;
} SHAPES[] = {{1, 1},  {1, 100}, {3, 17},  {17, 3},   {31, 31},  {33, 65},  {64, 64},
              {65, 1}, {100, 2}, {127, 5}, {128, 48}, {512, 96}, {1999, 33}};

TEST(all_rows)
{
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++) {
        sum(SHAPES[i].rows, SHAPES[i].cols, VALUES_NORMAL, OP_NONE, i % 2);
        sum(SHAPES[i].rows, SHAPES[i].cols, VALUES_FAR, OP_NONE, i % 2 == 0);
    }
}

TEST(rows_of_a_key)
{
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++)
        sum(SHAPES[i].rows, SHAPES[i].cols, VALUES_NORMAL, i % KEYS, i % 2);
    sum(33, 17, VALUES_NORMAL, KEYS, false); // no row has it
    sum(33, 17, VALUES_NORMAL, KEYS, true);
}

TEST(parts_of_what_is_beyond_one_binding)
{
    gpu_test_limit_binding(device, 16 << 10);
    sum(1999, 33, VALUES_NORMAL, OP_NONE, false);
    sum(129, 48, VALUES_FAR, OP_NONE, true);
    gpu_test_limit_binding(device, 0);
}

TEST(activations_of_16_bits)
{
    for (act = GPU_F16; act <= GPU_BF16; act++) {
        sum(1, 100, VALUES_NORMAL, OP_NONE, false);
        sum(512, 96, VALUES_NORMAL, OP_NONE, true);
        sum(1999, 36, VALUES_NORMAL, 1, false);
    }
    act = GPU_F32;
}

TEST(wrong_views_are_refused)
{
    trial *t = trial_open(device, "columns with wrong views");
    columns c = {.rows = 5, .cols = 3};
    c.x = trial_free_words(t, "x", 15, NULL);
    c.sums = trial_free_words(t, "sums", 3, NULL);
    tensor *keys = trial_free_words(t, "keys", 5, NULL);
    trial_needs_all(t, c.x, record, &c);
    trial_needs_all(t, c.sums, record, &c);
    c.keys = keys;
    trial_needs_all(t, c.keys, record, &c);
    CHECK(trial_close(&t));
}

static void on_device(vkb_device *dev)
{
    device = dev;
    RUN(all_rows);
    RUN(rows_of_a_key);
    RUN(parts_of_what_is_beyond_one_binding);
    RUN(activations_of_16_bits);
    RUN(wrong_views_are_refused);
}

int main(void)
{
    return trial_devices(on_device) ? check_report() : 77;
}
