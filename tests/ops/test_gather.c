// Gather and scatter of rows, on every device against the reference: to the bit.
#include "check.h"
#include "devices.h"
#include "harness.h"
#include "ref.h"

static vkb_device *device;
static gpu_type act; // of the rows

// MANY: more than the 65,535 workgroups an axis may have.
enum { ROWS = 200, MANY = 66000 };

typedef struct gather {
    tensor *index, *x, *y, *dy, *dx;
    uint32_t count, rows, cols;
    bool accumulate;
} gather;

static void record_gather(gpu_stream *s, void *user)
{
    const gather *g = user;
    op_gather(s, g->index->view, g->x->view, g->count, g->cols, g->y->view);
}

static void record_scatter(gpu_stream *s, void *user)
{
    const gather *g = user;
    op_scatter(s, g->index->view, g->dy->view, g->count, g->rows, g->cols, g->accumulate,
               g->dx->view);
}

// `used` different rows in no order; empty entries behind them, as the masking leaves them, and one
// in their midst.
static void draw_index(random_source *r, uint32_t rows, uint32_t count, uint32_t used,
                       uint32_t *index)
{
    static uint32_t order[MANY];
    for (uint32_t i = 0; i < rows; i++)
        order[i] = i;
    for (uint32_t i = 0; i < count; i++) {
        if (i >= used || i == used / 2) {
            index[i] = OP_NONE;
            continue;
        }
        uint32_t other = i + random_below(r, rows - i), row = order[other];
        order[other] = order[i];
        index[i] = order[i] = row;
    }
}

static void both(uint32_t rows, uint32_t cols, uint32_t count, uint32_t used)
{
    static uint32_t index[MANY];
    for (int scatter = 0; scatter < 3; scatter++) {
        static const char *const names[] = {"gather", "scatter", "scatter and add"};
        trial *t = trial_open(device, "%s %u of %ux%u, %u used, type %d", names[scatter], count,
                              rows, cols, used, act);
        gather g = {.count = count, .rows = rows, .cols = cols, .accumulate = scatter == 2};
        draw_index(trial_random(t), rows, count, used, index);
        g.index = trial_words(t, "index", count, index);
        if (scatter) {
            g.dy = trial_input(t, "dy", (size_t)count * cols, VALUES_NORMAL);
            // one rounding of a sum where it adds
            g.dx = g.accumulate
                       ? trial_inout(t, "dx", (size_t)rows * cols, VALUES_NORMAL, LIMIT_FP32)
                       : trial_output(t, "dx", (size_t)rows * cols, LIMIT_EXACT);
            tensor_as(g.dy, act);
            tensor_as(g.dx, act);
            ref_scatter(index, g.dy->ref, count, rows, cols, g.accumulate, g.dx->ref);
        } else {
            g.x = trial_input(t, "x", (size_t)rows * cols, VALUES_FAR);
            g.y = trial_output(t, "y", (size_t)count * cols, LIMIT_EXACT);
            tensor_as(g.x, act);
            tensor_as(g.y, act);
            ref_gather(index, g.x->ref, count, cols, g.y->ref);
        }
        trial_run(t, scatter ? record_scatter : record_gather, &g);
        CHECK(trial_close(&t));
    }
}

TEST(rows_and_empty_entries)
{
    static const uint32_t cols[] = {1, 2, 3, 17, 31, 33, 63, 64, 65, 100, 127, 256};
    for (size_t i = 0; i < sizeof cols / sizeof *cols; i++)
        both(ROWS, cols[i], 40, 31);
    both(1, 5, 1, 1);     // the only entry is empty
    both(ROWS, 20, 8, 0); // all are
    both(33, 20, 33, 33); // nearly every row
    both(MANY, 2, MANY, MANY);
}

TEST(rows_of_16_bits)
{
    for (act = GPU_F16; act <= GPU_BF16; act++) {
        both(ROWS, 64, 40, 31);
        both(ROWS, 100, 40, 31);
        both(MANY, 4, MANY, MANY);
    }
    act = GPU_F32;
}

typedef struct used_count {
    tensor *index, *used;
    uint32_t count;
} used_count;

static void record_used(gpu_stream *s, void *user)
{
    const used_count *u = user;
    op_index_used(s, u->index->view, u->count, u->used->view);
}

TEST(used_entries_end_behind_the_last)
{
    static const uint32_t shapes[][2] = {{1, 0},   {1, 1},     {70, 1},
                                         {300, 0}, {300, 255}, {1000, 1000}};
    static uint32_t index[1000];
    for (size_t i = 0; i < BASE_COUNT(shapes); i++) {
        const uint32_t count = shapes[i][0], used = shapes[i][1];
        trial *t = trial_open(device, "index_used %u of %u", used, count);
        used_count u = {.count = count};
        for (uint32_t k = 0; k < count; k++) // one in their midst is empty
            index[k] = k >= used || (k == used / 2 && used > 1) ? OP_NONE : k;
        u.index = trial_words(t, "index", count, index);
        u.used = trial_words_out(t, "used", 1, NULL, &used);
        trial_run(t, record_used, &u);
        trial_needs_all(t, u.index, record_used, &u);
        trial_needs_all(t, u.used, record_used, &u);
        CHECK(trial_close(&t));
    }
}

TEST(wrong_views_are_refused)
{
    trial *t = trial_open(device, "gather with wrong views");
    gather g = {.count = 3, .rows = 4, .cols = 5};
    g.index = trial_free_words(t, "index", 3, NULL);
    g.x = trial_free_words(t, "x", 20, NULL);
    g.y = trial_free_words(t, "y", 15, NULL);
    g.dy = trial_free_words(t, "dy", 15, NULL);
    g.dx = trial_free_words(t, "dx", 20, NULL);
    trial_needs_all(t, g.index, record_gather, &g);
    trial_needs(t, g.x, record_gather, &g); // its rows are not told to the op
    trial_needs_all(t, g.y, record_gather, &g);
    trial_needs_all(t, g.index, record_scatter, &g);
    trial_needs_all(t, g.dy, record_scatter, &g);
    trial_needs_all(t, g.dx, record_scatter, &g);
    CHECK(trial_close(&t));
}

static void on_device(vkb_device *dev)
{
    device = dev;
    RUN(rows_and_empty_entries);
    RUN(rows_of_16_bits);
    RUN(used_entries_end_behind_the_last);
    RUN(wrong_views_are_refused);
}

int main(void)
{
    return trial_devices(on_device) ? check_report() : 77;
}
