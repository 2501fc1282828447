// fill-mask on a model of known answers.
#include "lesson.h"

#include <pthread.h>

static lesson taught;

static vkb_status fill(const char *text, vkb_fill_params params, vkb_fill_result *r)
{
    return vkb_fill_mask(taught.model, taught.tok, text, &params, r);
}

// So many steps that the animal's sound follows from the animal.
static void teach(void)
{
    taught = lesson_open(16, true, 70);
    taught.config.num_hidden_layers = 1;
    taught.config.initializer_range = 0.15f;
    lesson_model(&taught);
    const vkb_train_params params = {
        .batch_size = 14,
        .learning_rate = 5e-3,
        .max_steps = 200,
        .warmup_steps = 40,
        .mask = {.mlm_probability = 0.3, .mask_replace_prob = 1, .random_replace_prob = -1},
        .adam_beta2 = 0.98};
    vkb_trainer *trainer = lesson_trainer(&taught, &params);
    lesson_steps(trainer, params.max_steps);
    vkb_trainer_destroy(&trainer);
}

TEST(the_best_answer_is_the_learnt_one)
{
    vkb_fill_result r = {0};
    CHECK_OK(fill("the dog in the river [MASK] when it is 3.", (vkb_fill_params){0}, &r));
    CHECK_INT(r.mask_count, 1);
    CHECK_INT(r.top_k, 5);
    double sum = 0;
    for (size_t i = 0; i < r.top_k; i++) {
        sum += r.fills[i].score;
        CHECK(i == 0 || r.fills[i].score <= r.fills[i - 1].score);
    }
    CHECK(sum > 0 && sum <= 1.0 + 1e-9);
    CHECK_STR(vkb_tokenizer_piece(taught.tok, r.fills[0].token), "barks");
    vkb_fill_result_free(&r);
}

TEST(several_masks_are_answered_each)
{
    vkb_fill_result r = {0};
    CHECK_OK(
        fill("the [MASK] in the house purrs when it [MASK] 4.", (vkb_fill_params){.top_k = 2}, &r));
    CHECK_INT(r.mask_count, 2);
    CHECK_INT(r.top_k, 2);
    CHECK_STR(vkb_tokenizer_piece(taught.tok, r.fills[0].token), "cat");
    CHECK_STR(vkb_tokenizer_piece(taught.tok, r.fills[2].token), "is");
    CHECK_INT(r.tokens.at[r.mask_positions[1]].id, vkb_tokenizer_special(taught.tok).mask);
    vkb_fill_result_free(&r);
}

TEST(targets_keep_their_share_of_the_whole_vocabulary)
{
    vkb_fill_result all = {0}, some = {0};
    const char *text = "the bee in the garden [MASK] when it is 6.";
    uint32_t targets[2];
    CHECK(vkb_tokenizer_find(taught.tok, "barks", &targets[0]));
    CHECK(vkb_tokenizer_find(taught.tok, "hums", &targets[1]));
    CHECK_OK(fill(text, (vkb_fill_params){.top_k = 1}, &all));
    CHECK_OK(fill(text, (vkb_fill_params){.targets = targets, .target_count = 2}, &some));
    CHECK_INT(some.top_k, 2);
    CHECK_INT(some.fills[0].token, targets[1]);
    CHECK_NEAR(some.fills[0].score, all.fills[0].score, 0);
    CHECK(some.fills[1].score < some.fills[0].score);
    vkb_fill_result_free(&all);
    vkb_fill_result_free(&some);
}

static void check_same_fills(const vkb_fill_result *a, const vkb_fill_result *b)
{
    CHECK_INT(a->top_k, b->top_k);
    for (size_t i = 0; i < a->top_k && i < b->top_k; i++) {
        CHECK_INT(a->fills[i].token, b->fills[i].token);
        CHECK_NEAR(a->fills[i].score, b->fills[i].score, 0);
    }
}

// The same text through passes of other lengths: an answer does not depend on what came before.
TEST(an_answer_is_the_same_after_others)
{
    vkb_fill_result first = {0}, again = {0};
    const char *text = "the cat in the river [MASK] when it is 3.";
    CHECK_OK(fill(text, (vkb_fill_params){0}, &first));
    CHECK_OK(fill("a [MASK]", (vkb_fill_params){0}, &again));
    CHECK_OK(fill("[MASK] [MASK] [MASK] [MASK] [MASK] [MASK] [MASK] [MASK] [MASK] [MASK] the cat "
                  "in the river when it is 3. the cat in the river when it is 3.",
                  (vkb_fill_params){0}, &again));
    CHECK_OK(fill(text, (vkb_fill_params){0}, &again));
    check_same_fills(&first, &again);
    vkb_fill_result_free(&first);
    vkb_fill_result_free(&again);
}

// Texts of many lengths, some with several masks.
static const char *const many[] = {
    "the dog in the river [MASK] when it is 3.",
    "a [MASK]",
    "the [MASK] in the house purrs when it [MASK] 4.",
    "the bee in the garden [MASK] when it is 6. the cat in the kitchen purrs when it is 7.",
    "[MASK] [MASK] [MASK] [MASK] [MASK] [MASK] [MASK] [MASK] [MASK] [MASK] [MASK] [MASK]",
    "the cat in the river [MASK] when it is 3.",
    "the mouse [MASK]",
    "the horse in the [MASK] neighs when it is 1.",
    "[MASK] salmon in the house splashes",
};
enum { MANY = sizeof(many) / sizeof(*many) };

static void check_same_results(const vkb_fill_result *a, const vkb_fill_result *b)
{
    CHECK_INT(a->mask_count, b->mask_count);
    CHECK_INT(a->top_k, b->top_k);
    size_t same = 0, count = a->mask_count * a->top_k;
    for (size_t i = 0; i < count && count == b->mask_count * b->top_k; i++)
        same += a->fills[i].token == b->fills[i].token && a->fills[i].score == b->fills[i].score;
    CHECK_INT(same, count);
}

static void many_alone(vkb_fill_result results[MANY])
{
    for (int i = 0; i < MANY; i++)
        CHECK_OK(fill(many[i], (vkb_fill_params){.top_k = 100}, &results[i]));
}

static void many_free(vkb_fill_result results[MANY])
{
    for (int i = 0; i < MANY; i++)
        vkb_fill_result_free(&results[i]);
}

TEST(a_batch_gives_what_each_text_gives_alone_to_the_bit)
{
    vkb_fill_result alone[MANY] = {0}, together[MANY] = {0};
    const vkb_fill_params params = {.top_k = 100};
    size_t failed = 0;
    many_alone(alone);
    CHECK_OK(vkb_fill_mask_batch(taught.model, taught.tok, many, MANY, &params, together, &failed));
    for (int i = 0; i < MANY; i++)
        check_same_results(&together[i], &alone[i]);
    // The same results again, used anew; and more texts of a bucket than one submission takes.
    const char *same[70];
    vkb_fill_result *lots = calloc(70, sizeof(*lots));
    for (int i = 0; i < 70; i++)
        same[i] = many[i % 2 ? 5 : 7];
    CHECK_OK(vkb_fill_mask_batch(taught.model, taught.tok, same, 70, &params, lots, NULL));
    CHECK_OK(vkb_fill_mask_batch(taught.model, taught.tok, same, 69, &params, lots, NULL));
    for (int i = 0; i < 70; i++) {
        check_same_results(&lots[i], &alone[i % 2 ? 5 : 7]);
        vkb_fill_result_free(&lots[i]);
    }
    free(lots);
    many_free(alone);
    many_free(together);
}

TEST(a_batch_says_which_text_is_at_fault)
{
    const char *texts[] = {"a [MASK]", "a cat", "[MASK]"};
    const uint32_t beyond = 100000;
    vkb_fill_result results[3] = {0};
    size_t failed = 7;
    vkb_fill_params params = {.top_k = 1};
    CHECK_INT(vkb_fill_mask_batch(taught.model, taught.tok, texts, 3, &params, results, &failed),
              VKB_BAD_ARGUMENT);
    CHECK_INT(failed, 1);
    params = (vkb_fill_params){.targets = &beyond, .target_count = 1};
    CHECK_INT(vkb_fill_mask_batch(taught.model, taught.tok, texts, 3, &params, results, &failed),
              VKB_BAD_ARGUMENT);
    CHECK_INT(failed, 3);
    params = (vkb_fill_params){0};
    CHECK_OK(vkb_fill_mask_batch(taught.model, taught.tok, texts, 0, &params, results, NULL));
    for (int i = 0; i < 3; i++)
        vkb_fill_result_free(&results[i]);
}

typedef struct worker {
    pthread_t thread;
    int number;
    const vkb_fill_result *alone;
    vkb_fill_result results[MANY];
    vkb_status statuses[MANY];
    bool sentence; // of its failure
} worker;

static void *worker_run(void *user)
{
    worker *w = user;
    for (int k = 0; k < MANY; k++) {
        int i = (k + 3 * w->number) % MANY; // not all the same at the same time
        w->statuses[i] = fill(many[i], (vkb_fill_params){.top_k = 100}, &w->results[i]);
    }
    vkb_fill_result none = {0};
    w->sentence = fill("no mask", (vkb_fill_params){0}, &none) == VKB_BAD_ARGUMENT &&
                  strstr(vkb_error(gpu_context(device)), "[MASK]");
    vkb_fill_result_free(&none);
    return NULL;
}

TEST(threads_share_a_model)
{
    vkb_fill_result alone[MANY] = {0};
    worker workers[3] = {{.number = 0}, {.number = 1}, {.number = 2}};
    many_alone(alone);
    bert_passes_free(taught.model); // they record passes too
    for (int i = 0; i < 3; i++)
        pthread_create(&workers[i].thread, NULL, worker_run, &workers[i]);
    for (int i = 0; i < 3; i++) {
        pthread_join(workers[i].thread, NULL);
        CHECK(workers[i].sentence);
        for (int k = 0; k < MANY; k++) {
            CHECK_INT(workers[i].statuses[k], VKB_OK);
            check_same_results(&workers[i].results[k], &alone[k]);
        }
        many_free(workers[i].results);
    }
    many_free(alone);
}

// Where inference packs the weights, they are as before for everybody else.
TEST(training_between_answers_is_training)
{
    CHECK_OK(bert_weights_borrow(taught.model));
    float *before = lesson_weights(&taught);
    bert_weights_return(taught.model);
    const vkb_train_params params = {.batch_size = 2, .learning_rate = 1e-3, .max_steps = 2};
    vkb_fill_result r = {0};
    lesson fresh = lesson_open(16, true, 70);
    lesson_model(&fresh);
    vkb_model *taught_model = taught.model;
    taught.model = fresh.model;
    CHECK_OK(fill(many[0], (vkb_fill_params){0}, &r)); // packs
    vkb_trainer *trainer = lesson_trainer(&fresh, &params);
    const double first = lesson_steps(trainer, 1).loss;
    CHECK_OK(fill(many[0], (vkb_fill_params){0}, &r)); // does not, while it is trained
    CHECK_INT(fresh.model->panel, 0);
    const double second = lesson_steps(trainer, 2).loss;
    vkb_trainer_destroy(&trainer);
    lesson_model(&fresh); // the same seed
    trainer = lesson_trainer(&fresh, &params);
    CHECK_NEAR(lesson_steps(trainer, 1).loss, first, 0);
    CHECK_NEAR(lesson_steps(trainer, 2).loss, second, 0);
    vkb_trainer_destroy(&trainer);

    taught.model = taught_model;
    CHECK_OK(fill(many[0], (vkb_fill_params){0}, &r));
    CHECK_INT(taught.model->panel, op_panel(device));
    CHECK_OK(bert_weights_borrow(taught.model));
    float *after = lesson_weights(&taught);
    bert_weights_return(taught.model);
    CHECK(memcmp(before, after, taught.model->layout.elements * sizeof(*after)) == 0);
    free(before);
    free(after);
    vkb_fill_result_free(&r);
    lesson_close(&fresh);
}

TEST(what_cannot_be_answered_is_refused)
{
    vkb_fill_result r = {0};
    vkb_context *ctx = gpu_context(device);
    CHECK_INT(fill("the cat purrs.", (vkb_fill_params){0}, &r), VKB_BAD_ARGUMENT);
    CHECK_HAS(vkb_error(ctx), "[MASK]");
    char text[1024] = "[MASK]";
    for (int i = 0; i < 80; i++)
        strcat(text, " cat");
    CHECK_INT(fill(text, (vkb_fill_params){0}, &r), VKB_BAD_ARGUMENT);
    CHECK_HAS(vkb_error(ctx), "83 tokens");
    CHECK_OK(fill(text, (vkb_fill_params){.truncate = true}, &r));
    CHECK_INT(r.tokens.count, 64);
    const uint32_t beyond = 100000;
    CHECK_INT(fill("[MASK]", (vkb_fill_params){.targets = &beyond, .target_count = 1}, &r),
              VKB_BAD_ARGUMENT);
    vkb_fill_result_free(&r);
}

TEST(a_saved_model_gives_the_same_answers)
{
    vkb_fill_result before = {0}, after = {0};
    const char *text = "the horse in the forest [MASK] when it is 1.";
    CHECK_OK(fill(text, (vkb_fill_params){0}, &before));
    CHECK_OK(vkb_model_save(taught.model, taught.folder, NULL));
    vkb_model_destroy(&taught.model);
    CHECK_OK(vkb_model_load(device, taught.folder, NULL, &taught.model));
    CHECK_OK(fill(text, (vkb_fill_params){0}, &after));
    check_same_fills(&before, &after);
    vkb_fill_result_free(&before);
    vkb_fill_result_free(&after);
}

static void run_all(vkb_device *dev)
{
    device = dev;
    teach();
    RUN(the_best_answer_is_the_learnt_one);
    RUN(several_masks_are_answered_each);
    RUN(targets_keep_their_share_of_the_whole_vocabulary);
    RUN(an_answer_is_the_same_after_others);
    RUN(a_batch_gives_what_each_text_gives_alone_to_the_bit);
    RUN(a_batch_says_which_text_is_at_fault);
    RUN(threads_share_a_model);
    RUN(training_between_answers_is_training);
    RUN(what_cannot_be_answered_is_refused);
    RUN(a_saved_model_gives_the_same_answers);
    lesson_close(&taught);
}

int main(void)
{
    return devices_run(run_all) ? check_report() : 77;
}
