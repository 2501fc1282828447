// Masks: the device draws what the host's Philox draws, to the bit on every driver; the shares are
// BERT's; special tokens and padding are never selected; overflow is left alone and counted.
#include "check.h"
#include "devices.h"
#include "ops/harness.h"

#include "base/philox.h"

#include <stdlib.h>

static vkb_device *device;

static const vkb_special_ids SPECIAL = {.pad = 0, .unk = 1, .cls = 2, .sep = 3, .mask = 4};
enum { FIRST_WORD = 5 };

typedef struct batch {
    struct step_in step;
    op_mask mask; // the shape and shares; trial_batch fills in the views
    uint32_t *ids, *segments, *examples, *continues;
    // what the host draws
    uint32_t *masked_ids, *index, *labels;
    struct step_out out;
} batch;

static uint32_t *words(size_t count)
{
    uint32_t *w = calloc(count + 1, sizeof *w);
    if (!w)
        abort();
    return w;
}

// Rows [CLS] words [SEP], some of them padded, some of several segments, of ids below vocab_size; a
// third of the ids go on a word.
static batch batch_create(const op_mask *shape, uint64_t seed, uint32_t epoch)
{
    uint32_t tokens = shape->rows * shape->length;
    batch b = {
        .mask = *shape,
        .step = {.seed_low = (uint32_t)seed, .seed_high = (uint32_t)(seed >> 32), .epoch = epoch},
        .out = {.predictions = 7, .overflow = 3, .top1 = 1, .loss_sum = 2}}; // added to
    b.mask.special = SPECIAL;
    b.ids = words(tokens);
    b.segments = words(tokens);
    b.examples = words(shape->rows);
    b.masked_ids = words(tokens);
    b.index = words(shape->capacity);
    b.labels = words(shape->capacity);
    b.continues = words(shape->vocab_size / 32 + 1);
    random_source r = {.key = seed};
    for (uint32_t id = FIRST_WORD; id < shape->vocab_size; id++)
        b.continues[id / 32] |= (uint32_t)(random_below(&r, 3) == 0) << id % 32;
    for (uint32_t row = 0; row < shape->rows; row++) {
        uint32_t filled = row % 3 == 1 ? 1 + random_below(&r, shape->length) : shape->length;
        b.examples[row] = random_below(&r, 1u << 31);
        for (uint32_t at = 0; at < shape->length; at++) {
            uint32_t word = FIRST_WORD + random_below(&r, shape->vocab_size - FIRST_WORD);
            uint32_t t = row * shape->length + at;
            b.ids[t] = at >= filled       ? SPECIAL.pad
                       : at == 0          ? SPECIAL.cls
                       : at == filled - 1 ? SPECIAL.sep
                                          : word;
            b.segments[t] = at >= filled ? 0 : row % 4 == 2 ? 1 + at / 7 : 1;
        }
    }
    return b;
}

static void batch_destroy(batch *b)
{
    free(b->ids);
    free(b->segments);
    free(b->continues);
    free(b->examples);
    free(b->masked_ids);
    free(b->index);
    free(b->labels);
}

static bool may_be_selected(const batch *b, uint32_t t)
{
    uint32_t id = b->ids[t];
    return b->segments[t] && id != SPECIAL.cls && id != SPECIAL.sep && id != SPECIAL.pad;
}

static bool goes_on(const batch *b, uint32_t t)
{
    return b->continues[b->ids[t] / 32] >> b->ids[t] % 32 & 1;
}

static philox4 draw_of(const batch *b, uint32_t t)
{
    const uint64_t key = (uint64_t)b->step.seed_high << 32 | b->step.seed_low;
    const uint32_t length = b->mask.length;
    return philox(key,
                  (philox4){{t % length, b->examples[t / length], b->step.epoch, PHILOX_MASK}});
}

static bool is_selected(const batch *b, uint32_t t)
{
    if (!may_be_selected(b, t))
        return false;
    while (b->mask.whole_word && t % b->mask.length && goes_on(b, t) && may_be_selected(b, t - 1) &&
           b->segments[t - 1] == b->segments[t])
        t--;
    return philox_uniform(draw_of(b, t).v[0]) < b->mask.probability;
}

static uint32_t replacement(const batch *b, uint32_t t)
{
    const op_mask *m = &b->mask;
    const philox4 bits = draw_of(b, t);
    const float u = philox_uniform(bits.v[1]);
    if (u < m->mask_share)
        return SPECIAL.mask;
    return u < m->mask_share + m->random_share
               ? (uint32_t)((uint64_t)bits.v[2] * m->vocab_size >> 32)
               : b->ids[t];
}

// The host's twin of mask_draw.comp.
static void host_draw(batch *b)
{
    const op_mask *m = &b->mask;
    uint32_t drawn = 0, listed = 0;
    for (uint32_t t = 0; t < m->rows * m->length; t++) {
        const bool selected = is_selected(b, t);
        b->masked_ids[t] = b->ids[t];
        if (!(m->label_all ? b->segments[t] != 0 : selected) || drawn++ >= m->capacity)
            continue;
        b->index[listed] = t;
        b->labels[listed++] = b->ids[t];
        if (selected)
            b->masked_ids[t] = replacement(b, t);
    }
    for (uint32_t i = listed; i < m->capacity; i++)
        b->index[i] = b->labels[i] = OP_NONE;
    b->out.predictions += listed;
    b->out.overflow += drawn - listed;
}

typedef struct views {
    op_mask mask;
    tensor *step, *ids, *segments, *examples, *continues, *masked_ids, *index, *labels, *out;
} views;

static views trial_batch(trial *t, batch *b)
{
    uint32_t tokens = b->mask.rows * b->mask.length, capacity = b->mask.capacity;
    struct step_out before = b->out;
    host_draw(b);
    return (views){
        .mask = b->mask,
        .step = trial_words(t, "step", sizeof b->step / 4, &b->step),
        .ids = trial_words(t, "ids", tokens, b->ids),
        .segments = trial_words(t, "segments", tokens, b->segments),
        .examples = trial_words(t, "examples", b->mask.rows, b->examples),
        .continues = trial_words(t, "continues", (b->mask.vocab_size + 31) / 32, b->continues),
        .masked_ids = trial_words_out(t, "masked_ids", tokens, NULL, b->masked_ids),
        .index = trial_words_out(t, "index", capacity, NULL, b->index),
        .labels = trial_words_out(t, "labels", capacity, NULL, b->labels),
        .out = trial_words_out(t, "step_out", sizeof before / 4, &before, &b->out),
    };
}

static void record(gpu_stream *s, void *user)
{
    const views *v = user;
    op_mask m = v->mask;
    m.step = v->step->view;
    m.ids = v->ids->view;
    m.segments = v->segments->view;
    m.examples = v->examples->view;
    m.continues = v->continues->view;
    m.masked_ids = v->masked_ids->view;
    m.index = v->index->view;
    m.labels = v->labels->view;
    m.step_out = v->out->view;
    op_mask_draw(s, &m);
}

// Runs the batch on the device; every word must be the host's.
static void check_batch(batch *b)
{
    const op_mask *m = &b->mask;
    trial *t = trial_open(device, "mask_draw %ux%u capacity %u probability %g", m->rows, m->length,
                          m->capacity, m->probability);
    views v = trial_batch(t, b);
    trial_run(t, record, &v);
    CHECK(trial_close(&t));
}

// ---- Tests ----

TEST(device_draws_what_the_host_draws)
{
    static const op_mask SHAPES[] = {
        {.rows = 1, .length = 1, .capacity = 1, .vocab_size = 8},
        {.rows = 1, .length = 3, .capacity = 8, .vocab_size = 6},
        {.rows = 3, .length = 17, .capacity = 24, .vocab_size = 100},
        {.rows = 5, .length = 103, .capacity = 128, .vocab_size = 30522},
        {.rows = 32, .length = 128, .capacity = 752, .vocab_size = 30522},
    };
    for (size_t i = 0; i < BASE_COUNT(SHAPES); i++) {
        op_mask shape = SHAPES[i];
        shape.probability = 0.15f;
        shape.mask_share = 0.8f;
        shape.random_share = 0.1f;
        batch b = batch_create(&shape, 0x123456789ABCDEFull + i, 5 * (uint32_t)i);
        check_batch(&b);
        batch_destroy(&b);
        shape.whole_word = true;
        b = batch_create(&shape, 0xFEDCBA987654321ull + i, 3 * (uint32_t)i);
        check_batch(&b);
        batch_destroy(&b);
        shape.label_all = true;
        shape.capacity = shape.rows * shape.length;
        b = batch_create(&shape, 77 + i, (uint32_t)i);
        check_batch(&b);
        batch_destroy(&b);
    }
}

TEST(shares_and_probability_may_be_extreme)
{
    static const struct {
        float probability, mask_share, random_share;
    } CASES[] = {{0, 0.8f, 0.1f}, {1, 0.8f, 0.2f}, {1, 1, 0}, {1, 0, 1}, {1, 0, 0}};
    for (size_t i = 0; i < BASE_COUNT(CASES); i++) {
        batch b = batch_create(&(op_mask){.rows = 4,
                                          .length = 33,
                                          .capacity = 136,
                                          .vocab_size = 1000,
                                          .probability = CASES[i].probability,
                                          .mask_share = CASES[i].mask_share,
                                          .random_share = CASES[i].random_share},
                               99, 0);
        check_batch(&b);
        batch_destroy(&b);
    }
}

// Every word is drawn, more than there is room for: the first are listed, the others left as they
// are and counted.
TEST(overflow_is_left_alone_and_counted)
{
    batch b = batch_create(&(op_mask){.rows = 3,
                                      .length = 50,
                                      .capacity = 16,
                                      .vocab_size = 1000,
                                      .probability = 1,
                                      .mask_share = 1},
                           5, 2);
    check_batch(&b);
    CHECK_INT(b.out.predictions, 7 + 16);
    CHECK(b.out.overflow > 3 + 50);
    CHECK_INT(b.labels[15], b.ids[b.index[15]]);
    for (uint32_t t = b.index[15] + 1; t < 150; t++)
        CHECK_INT(b.masked_ids[t], b.ids[t]);
    batch_destroy(&b);
}

TEST(special_tokens_and_padding_are_never_selected)
{
    batch b = batch_create(&(op_mask){.rows = 12,
                                      .length = 64,
                                      .capacity = 768,
                                      .vocab_size = 1000,
                                      .probability = 1,
                                      .mask_share = 1},
                           6, 0);
    b.segments[5] = 0;      // a word that attention does not see
    b.ids[6] = SPECIAL.pad; // and padding that it does
    check_batch(&b);
    uint32_t selectable = 0;
    for (uint32_t t = 0; t < 12 * 64; t++) {
        bool may = may_be_selected(&b, t);
        selectable += may;
        CHECK_INT(b.masked_ids[t], may ? SPECIAL.mask : b.ids[t]);
    }
    CHECK_INT(b.out.predictions, 7 + selectable);
    batch_destroy(&b);
}

// Masks name their example, not their row or batch: the same rows in another order and another batch
// get the same masks.
TEST(masks_do_not_depend_on_the_batch)
{
    op_mask shape = {.rows = 4,
                     .length = 40,
                     .capacity = 160,
                     .vocab_size = 1000,
                     .probability = 0.5f,
                     .mask_share = 0.8f,
                     .random_share = 0.1f};
    batch one = batch_create(&shape, 7, 3);
    shape.rows = 1;
    for (uint32_t row = 0; row < 4; row++) {
        batch alone = batch_create(&shape, 7, 3);
        alone.examples[0] = one.examples[row];
        memcpy(alone.ids, one.ids + 40 * row, 40 * sizeof *alone.ids);
        memcpy(alone.segments, one.segments + 40 * row, 40 * sizeof *alone.segments);
        check_batch(&alone);
        if (row == 0)
            check_batch(&one);
        CHECK(memcmp(alone.masked_ids, one.masked_ids + 40 * row, 160) == 0);
        batch_destroy(&alone);
    }
    shape.rows = 4;
    batch_destroy(&one);
}

// ---- Statistics, on the host's twin ----

static void check_share(const char *what, double count, double of, double share)
{
    check_case = what;
    CHECK_NEAR(count, of * share, 4 * sqrt(of * share * (1 - share)));
    check_case = "";
}

// A million tokens, every one of id 5: drawn on the host, whose words the other tests hold the
// device to.
TEST(a_million_draws_have_berts_shares)
{
    enum { ROWS = 2048, LENGTH = 512, TOKENS = ROWS * LENGTH, VOCAB = 30000 };
    op_mask shape = {.rows = ROWS,
                     .length = LENGTH,
                     .capacity = TOKENS,
                     .vocab_size = VOCAB,
                     .probability = 0.15f,
                     .mask_share = 0.8f,
                     .random_share = 0.1f};
    batch now = batch_create(&shape, 42, 0), next = batch_create(&shape, 42, 1);
    batch *both[] = {&now, &next};
    for (int i = 0; i < 2; i++) {
        for (uint32_t t = 0; t < TOKENS; t++) {
            both[i]->ids[t] = FIRST_WORD;
            both[i]->segments[t] = 1;
        }
        for (uint32_t row = 0; row < ROWS; row++)
            both[i]->examples[row] = row;
        host_draw(both[i]);
    }
    double selected = now.out.predictions - 7, masked = 0, random = 0, random_sum = 0, again = 0;
    for (uint32_t i = 0, j = 0; now.index[i] != OP_NONE; i++) {
        uint32_t t = now.index[i], id = now.masked_ids[t];
        while (next.index[j] < t)
            j++;
        again += next.index[j] == t;
        masked += id == SPECIAL.mask;
        if (id != SPECIAL.mask && id != FIRST_WORD) {
            random++;
            random_sum += id;
        }
    }
    check_share("selected", selected, TOKENS, 0.15);
    check_share("masked", masked, selected, 0.8 + 0.1 / VOCAB);
    check_share("random", random, selected, 0.1 - 0.2 / VOCAB);
    check_share("selected in the next epoch too", again, selected, 0.15);
    // uniform over 0 .. VOCAB - 1: mean, and standard deviation of the mean
    CHECK_NEAR(random_sum / random, (VOCAB - 1) / 2.0, 4 * VOCAB / sqrt(12 * random));
    batch_destroy(&now);
    batch_destroy(&next);
}

// Words of one to four pieces: a word is selected as a whole or not at all, words and pieces with
// the probability, and the capacity holds them.
TEST(whole_words_are_selected_as_wholes)
{
    enum { ROWS = 2048, LENGTH = 512, TOKENS = ROWS * LENGTH, VOCAB = 30000 };
    op_mask shape = {.rows = ROWS,
                     .length = LENGTH,
                     .capacity = op_mask_capacity(TOKENS, 0.15, true),
                     .vocab_size = VOCAB,
                     .probability = 0.15f,
                     .mask_share = 0.8f,
                     .random_share = 0.1f,
                     .whole_word = true};
    batch b = batch_create(&shape, 43, 0);
    static bool selected[TOKENS];
    memset(selected, 0, sizeof(selected));
    host_draw(&b);
    for (uint32_t i = 0; b.index[i] != OP_NONE; i++)
        selected[b.index[i]] = true;
    double words = 0, whole = 0, pieces = 0, split = 0, may = 0;
    for (uint32_t t = 0; t < TOKENS; t++) {
        if (!may_be_selected(&b, t)) {
            CHECK(!selected[t]);
            continue;
        }
        may++;
        pieces += selected[t];
        const bool begins = t % LENGTH == 0 || !goes_on(&b, t) || !may_be_selected(&b, t - 1) ||
                            b.segments[t - 1] != b.segments[t];
        words += begins;
        whole += begins && selected[t];
        split += !begins && selected[t] != selected[t - 1];
    }
    CHECK_INT(split, 0);
    CHECK_INT(b.out.overflow - 3, 0);
    check_share("words", whole, words, 0.15);
    // A third of the pieces go on a word: word lengths are geometric with mean 3/2, and the mean
    // square over the mean is 2, so that the variance is that of twice as many draws.
    CHECK_NEAR(pieces, 0.15 * may, 4 * sqrt(may * 0.15 * 0.85 * 2));
    batch_destroy(&b);
}

// The course's masks: always [MASK], and every real token is a label, itself.
TEST(the_tutorial_labels_every_real_token)
{
    enum { ROWS = 1024, LENGTH = 256, TOKENS = ROWS * LENGTH };
    op_mask shape = {.rows = ROWS,
                     .length = LENGTH,
                     .capacity = TOKENS,
                     .vocab_size = 1000,
                     .probability = 0.15f,
                     .mask_share = 1,
                     .label_all = true};
    batch b = batch_create(&shape, 44, 0);
    host_draw(&b);
    double real = 0, may = 0, masked = 0;
    for (uint32_t t = 0; t < TOKENS; t++) {
        const bool changed = b.masked_ids[t] != b.ids[t];
        may += may_be_selected(&b, t);
        masked += changed;
        CHECK(!changed || (b.masked_ids[t] == SPECIAL.mask && may_be_selected(&b, t)));
        if (b.segments[t]) {
            CHECK_INT(b.index[(uint32_t)real], t);
            CHECK_INT(b.labels[(uint32_t)real], b.ids[t]);
            real++;
        }
    }
    CHECK_INT(b.out.predictions - 7, real);
    check_share("masked", masked, may, 0.15);
    batch_destroy(&b);
}

TEST(capacity_is_mean_and_six_sigma)
{
    CHECK_INT(op_mask_capacity(4096, 0.15, false), 752); // 614.4 + 6 * 22.85 = 751.5
    CHECK_INT(op_mask_capacity(16, 0.15, false), 16);    // 2.4 + 6 * 1.43 = 10.97
    CHECK_INT(op_mask_capacity(8, 0.15, false), 8);
    CHECK_INT(op_mask_capacity(3, 0.15, false), 3);
    CHECK_INT(op_mask_capacity(1000, 1, false), 1000);
    CHECK_INT(op_mask_capacity(4096, 0.15, true), 896); // 614.4 + 12 * 22.85 = 888.6
    for (uint32_t tokens = 1; tokens < 3000; tokens += 7)
        CHECK(op_mask_capacity(tokens, 0.15, false) % 8 == 0 ||
              op_mask_capacity(tokens, 0.15, false) == tokens);
}

// ---- Refusals ----

TEST(wrong_arguments_are_refused)
{
    const op_mask right = {.rows = 2,
                           .length = 9,
                           .capacity = 8,
                           .vocab_size = 100,
                           .probability = 0.15f,
                           .mask_share = 0.8f,
                           .random_share = 0.1f};
    op_mask wrong[] = {right, right, right, right, right, right, right, right};
    wrong[0].probability = 1.5f;
    wrong[1].probability = -0.1f;
    wrong[2].probability = NAN;
    wrong[3].random_share = 0.3f;
    wrong[4].mask_share = -0.1f;
    wrong[5].capacity = 0;
    wrong[6].rows = 0;
    wrong[7].label_all = true; // 18 tokens
    batch b = batch_create(&right, 1, 0);
    trial *t = trial_open(device, "mask_draw with wrong arguments");
    views v = trial_batch(t, &b);
    tensor *tensors[] = {v.step,       v.ids,   v.segments, v.examples,
                         v.masked_ids, v.index, v.labels,   v.out};
    for (size_t i = 0; i < BASE_COUNT(tensors); i++)
        trial_needs_all(t, tensors[i], record, &v);
    for (size_t i = 0; i < BASE_COUNT(wrong); i++) {
        v.mask = wrong[i];
        trial_refuses(t, "mask_draw: ", record, &v);
    }
    CHECK(trial_close(&t));
    batch_destroy(&b);
}

static void on_device(vkb_device *dev)
{
    device = dev;
    RUN(device_draws_what_the_host_draws);
    RUN(shares_and_probability_may_be_extreme);
    RUN(overflow_is_left_alone_and_counted);
    RUN(special_tokens_and_padding_are_never_selected);
    RUN(masks_do_not_depend_on_the_batch);
    RUN(wrong_arguments_are_refused);
}

int main(void)
{
    RUN(a_million_draws_have_berts_shares);
    RUN(whole_words_are_selected_as_wholes);
    RUN(the_tutorial_labels_every_real_token);
    RUN(capacity_is_mean_and_six_sigma);
    int ran = trial_devices(on_device), failed = check_report();
    return failed || ran ? failed : 77;
}
