// Cross entropy, its gradient in place and the step's sums, on every device against the reference.
#include "check.h"
#include "devices.h"
#include "harness.h"
#include "ref.h"

#include <stddef.h>

static vkb_device *device;
static gpu_type act; // of the logits

enum { ROWS = 70 };

typedef enum label_kind { LABELS_SOME, LABELS_NONE } label_kind;

typedef struct cross_entropy {
    tensor *logits, *labels, *row_stats, *step_out, *scaling; // scaling NULL: none
    uint32_t count, vocab, ld;                                // ld 0: vocab
    float unit;
    bool gradient, pairs;
} cross_entropy;

static void record(gpu_stream *s, void *user)
{
    const cross_entropy *c = user;
    const op_scaling scaling = {c->scaling ? c->scaling->view : (gpu_view){0}, c->unit};
    const op_scaling *gradient = c->gradient ? &scaling : NULL;
    if (c->pairs)
        op_pair_entropy(s, c->logits->view, c->labels->view, c->count, gradient, c->row_stats->view,
                        c->step_out->view);
    else
        op_cross_entropy(s, c->logits->view, c->labels->view, c->count, c->vocab, c->ld, gradient,
                         c->row_stats->view, c->step_out->view);
}

// fp32 of a logit of 100 or 300 is 4e-6 or 1.5e-5 off the double at worst once a maximum has been
// subtracted; a loss adds the rounding of its own size.
static const double TOLERANCE = 3e-5;

static void check_row_stats(trial *t, const cross_entropy *c, const double *ref)
{
    for (size_t i = 0; i < 4 * (size_t)c->count; i++) {
        double seen = tensor_seen(c->row_stats, i), tolerance = TOLERANCE;
        if (i % 4 == 1 || i % 4 == 3) // a rank, a maximum: exact
            tolerance = 0;
        if (!(fabs(seen - ref[i]) <= tolerance))
            trial_wrong(t, "row_stats[%zu][%zu] is %.9g, expected %.9g", i / 4, i % 4, seen,
                        ref[i]);
    }
}

static void check_step_out(trial *t, const cross_entropy *c, struct step_out before, ref_loss loss)
{
    struct step_out after;
    memcpy(&after, c->step_out->seen, sizeof after);
    double expected = before.loss_sum + loss.sum;
    if (!(fabs(after.loss_sum - expected) <= TOLERANCE + 1e-6 * expected))
        trial_wrong(t, "loss_sum is %.9g, expected %.9g", after.loss_sum, expected);
    if (after.top1 != before.top1 + loss.top1 || after.top5 != before.top5 + loss.top5)
        trial_wrong(t, "top1 and top5 are %u and %u, expected %u and %u", after.top1, after.top5,
                    before.top1 + loss.top1, before.top5 + loss.top5);
    after.loss_sum = before.loss_sum; // everything else stays
    after.top1 = before.top1;
    after.top5 = before.top5;
    if (memcmp(&after, &before, sizeof after) != 0)
        trial_wrong(t, "step_out was changed where it should not");
}

// The reference's rows are dense, the device's ld apart: `wide` of the one from the other.
static void spread(const double *dense, const cross_entropy *c, double *wide, double beyond)
{
    for (size_t i = 0; i < c->count; i++)
        for (size_t j = 0; j < c->ld; j++)
            wide[i * c->ld + j] = j < c->vocab ? dense[i * c->vocab + j] : beyond;
}

static void loss_of_rows(uint32_t count, uint32_t vocab, uint32_t ld, values kind, label_kind label,
                         bool gradient)
{
    trial *t = trial_open(device, "cross_entropy %ux%u of %u values %d labels %d type %d%s", count,
                          vocab, ld, kind, label, act, gradient ? " gradient" : "");
    cross_entropy c = {.count = count, .vocab = vocab, .ld = ld, .gradient = gradient};
    const size_t logits = (size_t)count * ld;
    if (gradient)
        c.logits = trial_inout(t, "logits", logits, kind, kind == VALUES_WIDE ? 1e-10 : LIMIT_FP32);
    else
        c.logits = trial_input(t, "logits", logits, kind);
    uint32_t labels[ROWS];
    for (uint32_t i = 0; i < count; i++) {
        labels[i] = random_below(trial_random(t), i % 3 == 1 && vocab > 7 ? 7 : vocab);
        if (label == LABELS_NONE || i % 7 == 5)
            labels[i] = OP_NONE;
        else if (i % 3 == 1) // so that there is something for top1 and top5 to count
            c.logits->ref[(size_t)i * ld + labels[i]] += 2;
        for (size_t j = vocab; j < ld; j++) // larger than any that counts
            c.logits->ref[i * ld + j] = 1000;
    }
    tensor_start_from_ref(c.logits);
    tensor_as(c.logits, act);
    struct step_out before = {.predictions = 7, .overflow = 1, .top1 = 2, .top5 = 3};
    before.loss_sum = 1.5f;
    c.labels = trial_words(t, "labels", count, labels);
    c.row_stats = trial_free_words(t, "row_stats", 4 * count, NULL);
    c.step_out = trial_free_words(t, "step_out", sizeof before / 4, &before);
    double *stats = trial_spare(t, 4 * count), *dense = trial_spare(t, (size_t)count * vocab);
    for (size_t i = 0; i < (size_t)count * vocab; i++)
        dense[i] = c.logits->ref[i / vocab * ld + i % vocab];
    ref_loss expected =
        ref_cross_entropy(dense, labels, count, vocab, stats, gradient ? dense : NULL);
    if (gradient)
        spread(dense, &c, c.logits->ref, 0);
    trial_run(t, record, &c);
    check_row_stats(t, &c, stats);
    check_step_out(t, &c, before, expected);
    CHECK(trial_close(&t));
}

static void loss(uint32_t count, uint32_t vocab, values kind, label_kind label, bool gradient)
{
    loss_of_rows(count, vocab, vocab, kind, label, gradient);
}

static const struct {
    uint32_t count, vocab;
} SHAPES[] = {{1, 1},  {1, 2},   {3, 3},   {8, 17},   {17, 31},  {5, 33},   {64, 63},
              {2, 64}, {33, 65}, {7, 100}, {70, 127}, {9, 1000}, {6, 30522}};

TEST(gradients_are_scaled)
{
    static const uint32_t labels[] = {0, 30, OP_NONE, 2};
    struct loss_scale scaling = {.scale = 1024};
    trial *t = trial_open(device, "cross_entropy with scaled gradients");
    cross_entropy c = {.count = 4, .vocab = 31, .gradient = true, .unit = 1.0f / 32};
    c.logits = trial_inout(t, "logits", 124, VALUES_NORMAL, LIMIT_FP32);
    struct step_out before = {.predictions = 7};
    c.labels = trial_words(t, "labels", 4, labels);
    c.row_stats = trial_free_words(t, "row_stats", 16, NULL);
    c.step_out = trial_free_words(t, "step_out", sizeof before / 4, &before);
    c.scaling = trial_words(t, "loss_scale", sizeof scaling / 4, &scaling);
    double *stats = trial_spare(t, 16);
    ref_loss expected = ref_cross_entropy(c.logits->ref, labels, 4, 31, stats, c.logits->ref);
    for (size_t i = 0; i < 124; i++)
        c.logits->ref[i] *= 1024 / 32;
    trial_run(t, record, &c);
    check_step_out(t, &c, before, expected); // the loss is not
    trial_needs_all(t, c.scaling, record, &c);
    CHECK(trial_close(&t));
}

// Two classes, and sums of their own in step_out.
TEST(pairs_have_their_own_sums)
{
    static const uint32_t labels[] = {0, 1, OP_NONE, 1, 0, 0};
    trial *t = trial_open(device, "pair_entropy");
    cross_entropy c = {.count = 6, .vocab = 2, .gradient = true, .pairs = true};
    c.logits = trial_inout(t, "logits", 12, VALUES_NORMAL, LIMIT_FP32);
    struct step_out before = {.predictions = 7, .top1 = 2, .pairs = 10, .pairs_right = 4};
    before.pair_loss_sum = 1.5f;
    c.labels = trial_words(t, "labels", 6, labels);
    c.row_stats = trial_free_words(t, "row_stats", 24, NULL);
    c.step_out = trial_free_words(t, "step_out", sizeof before / 4, &before);
    double *stats = trial_spare(t, 24);
    ref_loss expected = ref_cross_entropy(c.logits->ref, labels, 6, 2, stats, c.logits->ref);
    trial_run(t, record, &c);
    check_row_stats(t, &c, stats);
    struct step_out after;
    memcpy(&after, c.step_out->seen, sizeof after);
    CHECK_NEAR(after.pair_loss_sum, 1.5 + expected.sum, TOLERANCE);
    CHECK_INT(after.pairs, 15);
    CHECK_INT(after.pairs_right, 4 + expected.top1);
    after.pair_loss_sum = before.pair_loss_sum; // everything else stays
    after.pairs = before.pairs;
    after.pairs_right = before.pairs_right;
    CHECK(memcmp(&after, &before, sizeof after) == 0);
    CHECK(trial_close(&t));
}

typedef struct weight {
    tensor *labels, *next_sentence, *logits;
    uint32_t count, rows;
} weight;

static void record_weight(gpu_stream *s, void *user)
{
    const weight *w = user;
    op_pair_weight(s, w->labels->view, w->count, w->next_sentence->view, w->rows, w->logits->view);
}

static void pair_weight(uint32_t count, uint32_t rows, bool any_labels, bool any_pairs)
{
    trial *t = trial_open(device, "pair_weight %u%s of %u%s", count, any_labels ? "" : " empty",
                          rows, any_pairs ? "" : " empty");
    weight w = {.count = count, .rows = rows};
    uint32_t labels[300], next[ROWS], predictions = 0, pairs = 0;
    for (uint32_t k = 0; k < w.count; k++)
        predictions += (labels[k] = k % 3 == 2 || !any_labels ? OP_NONE : k) != OP_NONE;
    for (uint32_t k = 0; k < w.rows; k++)
        pairs += (next[k] = k % 4 == 3 || !any_pairs ? OP_NONE : k % 2) != OP_NONE;
    w.labels = trial_words(t, "labels", w.count, labels);
    w.next_sentence = trial_words(t, "next_sentence", w.rows, next);
    w.logits = trial_inout(t, "logits", 2 * w.rows, VALUES_NORMAL, LIMIT_FP32);
    for (uint32_t k = 0; k < 2 * w.rows; k++)
        w.logits->ref[k] *= pairs ? (double)predictions / pairs : 0;
    trial_run(t, record_weight, &w);
    CHECK(trial_close(&t));
}

TEST(pairs_weigh_as_predictions_per_pair)
{
    static const uint32_t shapes[][2] = {{9, 4}, {300, 33}, {1, 70}, {2, 1}, {33, 65}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        pair_weight(shapes[i][0], shapes[i][1], true, true);
    pair_weight(9, 4, false, true);
    pair_weight(9, 4, true, false);
    pair_weight(9, 4, false, false);
}

TEST(loss_and_gradient)
{
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++) {
        loss(SHAPES[i].count, SHAPES[i].vocab, VALUES_NORMAL, LABELS_SOME, true);
        loss(SHAPES[i].count, SHAPES[i].vocab, VALUES_FAR, LABELS_SOME, true);
        loss(SHAPES[i].count, SHAPES[i].vocab, VALUES_WIDE, LABELS_SOME, true);
    }
}

// Rows of a multiple of some columns, of which the last do not count.
TEST(padded_rows)
{
    loss_of_rows(17, 30, 32, VALUES_NORMAL, LABELS_SOME, true);
    loss_of_rows(9, 99, 128, VALUES_FAR, LABELS_SOME, true);
    loss_of_rows(5, 6, 7, VALUES_NORMAL, LABELS_SOME, true); // no fours
    loss_of_rows(17, 30, 32, VALUES_NORMAL, LABELS_SOME, false);
    loss_of_rows(8, 29, 32, VALUES_NORMAL, LABELS_NONE, true);
}

TEST(logits_of_16_bits)
{
    for (act = GPU_F16; act <= GPU_BF16; act++) {
        loss_of_rows(17, 30, 32, VALUES_NORMAL, LABELS_SOME, true);
        loss_of_rows(9, 1000, 1024, VALUES_NORMAL, LABELS_SOME, true);
        loss_of_rows(64, 64, 64, VALUES_FAR, LABELS_SOME, false);
        loss_of_rows(8, 29, 32, VALUES_NORMAL, LABELS_NONE, true);
    }
    act = GPU_F32;
}

TEST(loss_without_gradient_leaves_the_logits)
{
    loss(17, 31, VALUES_NORMAL, LABELS_SOME, false);
    loss(6, 30522, VALUES_FAR, LABELS_SOME, false);
}

TEST(equal_logits)
{
    loss(17, 31, VALUES_ZERO, LABELS_SOME, true);
}

// Of a model that is sure: the label's logit is 8 to 15 above a vocabulary of others, whose
// exponentials are each below the rounding error of 1, and together the whole loss.
TEST(small_losses_keep_their_digits)
{
    enum { COUNT = 8, VOCAB = 30522 };
    trial *t = trial_open(device, "cross_entropy of sure rows");
    cross_entropy c = {.count = COUNT, .vocab = VOCAB};
    uint32_t labels[COUNT];
    c.logits = trial_input(t, "logits", (size_t)COUNT * VOCAB, VALUES_NORMAL);
    for (uint32_t i = 0; i < COUNT; i++) {
        labels[i] = random_below(trial_random(t), VOCAB);
        c.logits->ref[(size_t)i * VOCAB + labels[i]] = 8 + i;
    }
    tensor_start_from_ref(c.logits);
    const struct step_out zero = {0};
    c.labels = trial_words(t, "labels", COUNT, labels);
    c.row_stats = trial_free_words(t, "row_stats", 4 * COUNT, NULL);
    c.step_out = trial_free_words(t, "step_out", sizeof zero / 4, &zero);
    double *stats = trial_spare(t, 4 * COUNT);
    ref_cross_entropy(c.logits->ref, labels, COUNT, VOCAB, stats, NULL);
    trial_run(t, record, &c);
    for (uint32_t i = 0; i < COUNT; i++) // exp of -15 is 33 ULP off at worst: 4e-6
        CHECK_NEAR(tensor_seen(c.row_stats, 4 * i) / stats[4 * i], 1, 1e-5);
    CHECK(trial_close(&t));
}

TEST(no_predictions)
{
    loss(8, 17, VALUES_NORMAL, LABELS_NONE, true);
    loss(8, 17, VALUES_NORMAL, LABELS_NONE, false);
}

TEST(parts_of_what_is_beyond_one_binding)
{
    gpu_test_limit_binding(device, 27 << 10); // 64 rows and a little
    loss(ROWS, 100, VALUES_NORMAL, LABELS_SOME, true);
    loss(ROWS, 101, VALUES_FAR, LABELS_SOME, false);
    gpu_test_limit_binding(device, 0);
}

TEST(wrong_views_are_refused)
{
    trial *t = trial_open(device, "cross_entropy with wrong views");
    cross_entropy c = {.count = 3, .vocab = 5, .gradient = true};
    c.logits = trial_free_words(t, "logits", 15, NULL);
    c.labels = trial_free_words(t, "labels", 3, NULL);
    c.row_stats = trial_free_words(t, "row_stats", 12, NULL);
    c.step_out = trial_free_words(t, "step_out", sizeof(struct step_out) / 4, NULL);
    trial_needs_all(t, c.logits, record, &c);
    trial_needs_all(t, c.labels, record, &c);
    trial_needs_all(t, c.row_stats, record, &c);
    trial_needs_all(t, c.step_out, record, &c);
    CHECK(trial_close(&t));
}

TEST(wrong_views_of_pairs_are_refused)
{
    trial *t = trial_open(device, "pair_entropy and pair_weight with wrong views");
    cross_entropy c = {.count = 3, .gradient = true, .pairs = true};
    c.logits = trial_free_words(t, "logits", 6, NULL);
    c.labels = trial_free_words(t, "labels", 3, NULL);
    c.row_stats = trial_free_words(t, "row_stats", 12, NULL);
    c.step_out = trial_free_words(t, "step_out", sizeof(struct step_out) / 4, NULL);
    weight w = {.count = 3, .rows = 3, .labels = c.labels, .logits = c.logits};
    w.next_sentence = trial_free_words(t, "next_sentence", 3, NULL);
    trial_needs_all(t, c.logits, record, &c);
    trial_needs_all(t, c.labels, record, &c);
    trial_needs_all(t, c.row_stats, record, &c);
    trial_needs_all(t, c.step_out, record, &c);
    trial_needs_all(t, w.labels, record_weight, &w);
    trial_needs_all(t, w.next_sentence, record_weight, &w);
    trial_needs_all(t, w.logits, record_weight, &w);
    CHECK(trial_close(&t));
}

static void on_device(vkb_device *dev)
{
    device = dev;
    RUN(loss_and_gradient);
    RUN(gradients_are_scaled);
    RUN(pairs_have_their_own_sums);
    RUN(pairs_weigh_as_predictions_per_pair);
    RUN(loss_without_gradient_leaves_the_logits);
    RUN(padded_rows);
    RUN(logits_of_16_bits);
    RUN(equal_logits);
    RUN(small_losses_keep_their_digits);
    RUN(no_predictions);
    RUN(parts_of_what_is_beyond_one_binding);
    RUN(wrong_views_are_refused);
    RUN(wrong_views_of_pairs_are_refused);
}

int main(void)
{
    return trial_devices(on_device) ? check_report() : 77;
}
