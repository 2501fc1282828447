// Rows, masks and objectives in training: that every kind of rows resumes to the bit, what static and
// the tutorial's masks are, that next sentences are learnt.
#include "lesson.h"

static const vkb_train_params quick = {
    .batch_size = 4,
    .learning_rate = 1e-3,
    .max_steps = 60,
    .mask.mlm_probability = 0.3,
    .seed = 42,
};

// Documents of four sentences about one of 5 subjects: a sentence follows another when their subject
// is the same.
static lesson open_pairs(void)
{
    static const char *const subjects[] = {"cats", "ships", "snow", "bread", "kings"};
    static const char *const verbs[] = {"come", "go", "fall", "rise", "stay", "sing"};
    static char text[1 << 15];
    size_t used = 0;
    for (int d = 0; d < 150; d++) {
        for (int i = 0; i < 4; i++)
            used += (size_t)snprintf(text + used, sizeof(text) - used, "%s %s\n", subjects[d % 5],
                                     verbs[(d / 5 * 4 + i * 5 + d) % 6]);
        used += (size_t)snprintf(text + used, sizeof(text) - used, "\n");
    }
    lesson l = lesson_of(text, 9, VKB_ROWS_PAIRS);
    l.config.next_sentence = true;
    return l;
}

// ---- Rows ----

static void resumes(lesson l, vkb_train_params params, const char *what)
{
    check_case = what;
    params.max_steps = 7;
    params.gradient_accumulation_steps = 2;
    lesson_model(&l);
    vkb_trainer *trainer = lesson_trainer(&l, &params);
    const vkb_metrics straight = lesson_steps(trainer, 7);
    CHECK(straight.epoch > 1);
    float *expected = lesson_weights(&l);
    vkb_trainer_destroy(&trainer);

    lesson_model(&l);
    trainer = lesson_trainer(&l, &params);
    lesson_steps(trainer, 3);
    CHECK_OK(vkb_trainer_save(trainer, l.folder));
    CHECK_OK(vkb_model_save(l.model, l.folder, NULL));
    vkb_trainer_destroy(&trainer);
    vkb_model_destroy(&l.model);
    CHECK_OK(vkb_model_load(device, l.folder, NULL, &l.model));
    trainer = lesson_trainer(&l, &params);
    CHECK_OK(vkb_trainer_resume(trainer, l.folder));
    const vkb_metrics resumed = lesson_steps(trainer, 7);
    float *seen = lesson_weights(&l);
    CHECK_INT(memcmp(expected, seen, l.model->layout.elements * sizeof(*seen)), 0);
    CHECK_INT(resumed.step, straight.step);
    CHECK(resumed.loss == straight.loss);
    CHECK(resumed.epoch == straight.epoch);
    vkb_trainer_destroy(&trainer);
    free(expected);
    free(seen);
    lesson_close(&l);
    check_case = "";
}

TEST(every_kind_of_rows_resumes_to_the_bit)
{
    static char text[1 << 14];
    lesson_text(text, sizeof(text), 45);
    resumes(lesson_of(text, 32, VKB_ROWS_PACKED), quick, "packed");
    resumes(lesson_of(text, 16, VKB_ROWS_LINES), quick, "lines");
    lesson pairs = open_pairs();
    vkb_train_params params = quick;
    params.objective = VKB_OBJECTIVE_MLM_NSP;
    params.batch_size = 32;
    resumes(pairs, params, "pairs");
}

TEST(packed_rows_are_learnt)
{
    static char text[1 << 14];
    lesson_text(text, sizeof(text), 80);
    lesson l = lesson_of(text, 48, VKB_ROWS_PACKED);
    l.config.initializer_range = 0.15f;
    lesson_model(&l);
    vkb_train_params params = quick;
    params.learning_rate = 1e-2;
    params.max_steps = 90;
    const double before = lesson_loss(&l, 0.3);
    vkb_trainer *trainer = lesson_trainer(&l, &params);
    lesson_steps(trainer, params.max_steps);
    const double after = lesson_loss(&l, 0.3);
    printf("  loss %.3f -> %.3f\n", before, after);
    CHECK(after < before - 1);
    vkb_trainer_destroy(&trainer);
    lesson_close(&l);
}

// ---- Masks: an epoch is one step, so that its masks can be counted ----

static void masked_by_epoch(vkb_masking masking, uint32_t copies, uint64_t counts[4])
{
    lesson l = lesson_open(16, true, 40);
    lesson_model(&l);
    vkb_train_params params = quick;
    params.batch_size = 40;
    params.max_steps = 4;
    params.mask.masking = masking;
    params.mask.static_copies = copies;
    vkb_trainer *trainer = lesson_trainer(&l, &params);
    for (uint64_t e = 0; e < 4; e++) {
        counts[e] = lesson_steps(trainer, e + 1).masked_tokens;
        CHECK(counts[e] > 0);
    }
    if (masking == VKB_MASK_TUTORIAL)
        CHECK_INT(counts[0], vkb_dataset_tokens(l.data)); // every real token is a label
    vkb_trainer_destroy(&trainer);
    lesson_close(&l);
}

TEST(static_masks_repeat_and_others_do_not)
{
    uint64_t counts[4];
    masked_by_epoch(VKB_MASK_STATIC, 1, counts);
    CHECK(counts[0] == counts[1] && counts[1] == counts[2] && counts[2] == counts[3]);
    masked_by_epoch(VKB_MASK_STATIC, 2, counts);
    CHECK(counts[0] == counts[2] && counts[1] == counts[3] && counts[0] != counts[1]);
    masked_by_epoch(VKB_MASK_MLM, 1, counts);
    CHECK(counts[0] != counts[1] || counts[1] != counts[2] || counts[2] != counts[3]);
    masked_by_epoch(VKB_MASK_WHOLE_WORD, 1, counts);
    CHECK(counts[0] != counts[1] || counts[1] != counts[2] || counts[2] != counts[3]);
    masked_by_epoch(VKB_MASK_TUTORIAL, 1, counts);
    CHECK_INT(counts[0], counts[3]);
}

// ---- Next sentences ----

static void learns_pairs(vkb_objective objective, uint64_t steps, double loss, double accuracy)
{
    lesson l = open_pairs();
    l.config.initializer_range = 0.15f;
    lesson_model(&l);
    vkb_train_params params = quick;
    params.objective = objective;
    params.batch_size = 32;
    params.learning_rate = 4e-3;
    params.max_steps = steps;
    params.warmup_steps = 30;
    params.mask.mlm_probability = 0.15;
    params.adam_beta2 = 0.98;
    const vkb_eval_params eval = {.objective = objective, .batch_size = 64, .seed = 3};
    vkb_eval_result before, after;
    CHECK_OK(vkb_evaluate(l.model, l.tok, l.data, &eval, &before));
    vkb_trainer *trainer = lesson_trainer(&l, &params);
    const vkb_metrics m = lesson_steps(trainer, params.max_steps);
    CHECK_OK(vkb_evaluate(l.model, l.tok, l.data, &eval, &after));
    printf("  next sentence %.3f nats -> %.3f, %.1f %% right; masked words %.3f -> %.3f; last step "
           "%.3f\n",
           before.next_sentence_loss, after.next_sentence_loss, 100 * after.next_sentence_accuracy,
           before.loss, after.loss, m.next_sentence_loss);
    CHECK_NEAR(before.next_sentence_loss, log(2), 0.3);
    CHECK(after.next_sentence_loss < loss);
    CHECK(after.next_sentence_accuracy > accuracy);
    if (objective == VKB_OBJECTIVE_NSP)
        CHECK_INT(after.masked_tokens, 0);
    else
        CHECK(after.loss < before.loss - 0.5);
    vkb_trainer_destroy(&trainer);
    lesson_close(&l);
}

TEST(next_sentences_are_learnt)
{
    learns_pairs(VKB_OBJECTIVE_NSP, 110, 0.55, 0.72);
}

TEST(both_objectives_are_learnt_together)
{
    learns_pairs(VKB_OBJECTIVE_MLM_NSP, 200, 0.55, 0.72);
}

TEST(objectives_need_their_rows_and_their_head)
{
    lesson l = lesson_open(16, true, 20), pairs = open_pairs();
    pairs.config.next_sentence = false;
    vkb_train_params params = quick;
    vkb_trainer *trainer = NULL;
    params.objective = VKB_OBJECTIVE_NSP;
    lesson_model(&pairs);
    CHECK_INT(vkb_trainer_create(pairs.model, pairs.tok, pairs.data, &params, &trainer),
              VKB_BAD_ARGUMENT);
    CHECK_HAS(vkb_error(gpu_context(device)), "no next-sentence head");
    l.config.next_sentence = true;
    lesson_model(&l);
    CHECK_INT(vkb_trainer_create(l.model, l.tok, l.data, &params, &trainer), VKB_BAD_ARGUMENT);
    CHECK_HAS(vkb_error(gpu_context(device)), "no pairs of texts");
    params.objective = VKB_OBJECTIVE_MLM;
    params.mask.mask_replace_prob = 0.9;
    params.mask.random_replace_prob = 0.3;
    CHECK_INT(vkb_trainer_create(l.model, l.tok, l.data, &params, &trainer), VKB_BAD_ARGUMENT);
    CHECK_HAS(vkb_error(gpu_context(device)), "at most 1 together");
    CHECK(trainer == NULL);
    lesson_close(&l);
    lesson_close(&pairs);
}

static void on_device(vkb_device *dev)
{
    device = dev;
    RUN(every_kind_of_rows_resumes_to_the_bit);
    RUN(packed_rows_are_learnt);
    RUN(static_masks_repeat_and_others_do_not);
    RUN(next_sentences_are_learnt);
    RUN(both_objectives_are_learnt_together);
    RUN(objectives_need_their_rows_and_their_head);
}

int main(void)
{
    return devices_run(on_device) ? check_report() : 77;
}
