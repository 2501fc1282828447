// A batch for which there is time: how it is found, and that measuring changes no model.
#include "lesson.h"

typedef struct pace {
    double base, row; // seconds of a step, and of each of its rows
    int tries;
} pace;

static vkb_status as_told(void *pace_, uint32_t rows, double *seconds)
{
    pace *p = pace_;
    p->tries++;
    *seconds = p->base + p->row * rows;
    return VKB_OK;
}

static vkb_status not_at_all(void *user, uint32_t rows, double *seconds)
{
    (void)user, (void)rows, (void)seconds;
    return VKB_OUT_OF_MEMORY;
}

TEST(rows_are_halved_until_a_step_is_short_enough)
{
    static const struct {
        double base, row, longest;
        uint32_t rows, least, expected;
        int tries;
    } fits[] = {
        {0, 1, 100, 32, 8, 32, 1}, {0, 1, 32, 32, 8, 32, 1}, {0, 1, 31, 32, 8, 16, 2},
        {0, 1, 9, 32, 8, 8, 3},    {0, 1, 1, 32, 8, 8, 3},   {5, 1, 14, 32, 1, 8, 3},
        {5, 1, 1, 32, 1, 1, 6},    {0, 1, 1, 4, 8, 4, 1},    {0, 1, 20, 33, 1, 16, 2},
    };
    for (size_t i = 0; i < BASE_COUNT(fits); i++) {
        pace p = {fits[i].base, fits[i].row, 0};
        uint32_t rows = fits[i].rows;
        double seconds = -1;
        CHECK_OK(train_fit_rows(as_told, &p, fits[i].longest, fits[i].least, &rows, &seconds));
        CHECK_INT(rows, fits[i].expected);
        CHECK_INT(p.tries, fits[i].tries);
        CHECK_NEAR(seconds, p.base + p.row * rows, 1e-12);
    }
    uint32_t rows = 8;
    double seconds;
    CHECK_INT(train_fit_rows(not_at_all, NULL, 1, 1, &rows, &seconds), VKB_OUT_OF_MEMORY);
    CHECK_INT(rows, 8);
}

TEST(measuring_steps_changes_no_weight)
{
    static const vkb_precision precisions[] = {VKB_FP32, VKB_FP16, VKB_BF16};
    for (size_t i = 0; i < BASE_COUNT(precisions); i++) {
        lesson l = lesson_open(8, false, 40);
        lesson_model(&l);
        float *before = lesson_weights(&l);
        double seconds = 0;
        vkb_train_params params = {.batch_size = 8,
                                   .learning_rate = 1e-3,
                                   .weight_decay = 0.1,
                                   .max_seconds = 1e9,
                                   .precision = precisions[i],
                                   .mask.mlm_probability = 0.3,
                                   .seed = 42};
        CHECK_OK(vkb_trainer_fit_time(l.model, l.tok, l.data, 1, 2, &params, &seconds));
        CHECK_INT(params.batch_size, 8);
        CHECK(seconds > 0);
        params.max_seconds = 1e-9;
        CHECK_OK(vkb_trainer_fit_time(l.model, l.tok, l.data, 1, 2, &params, &seconds));
        CHECK_INT(params.batch_size, 2);
        CHECK(seconds > 0);
        float *after = lesson_weights(&l);
        CHECK(memcmp(before, after, l.model->layout.elements * sizeof(*before)) == 0);
        free(before);
        free(after);
        lesson_close(&l);
    }
}

static void all_tests(vkb_device *dev)
{
    device = dev;
    RUN(rows_are_halved_until_a_step_is_short_enough);
    RUN(measuring_steps_changes_no_weight);
}

int main(void)
{
    return devices_run(all_tests) ? check_report() : 77;
}
