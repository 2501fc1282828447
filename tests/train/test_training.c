// Training proved by behaviour: where it starts, what it can learn, that it repeats and resumes to
// the bit, that batches and padding are what they seem, and that a step does nothing but submit.
#include "lesson.h"

static const vkb_train_params quick = {
    .batch_size = 4,
    .learning_rate = 1e-3,
    .max_steps = 8,
    .warmup_steps = 2,
    .mask.mlm_probability = 0.3,
    .weight_decay = 0.01,
    .seed = 42,
};

// Logits of a fresh model are N(0, s) with s^2 = initializer_range^2 * H, so the loss is
// ln V + s^2 / 2; with the small s of the preset the second term is 0.006.
TEST(a_fresh_model_knows_nothing)
{
    lesson l = lesson_open(32, false, 60);
    lesson_model(&l);
    const double sigma = l.config.initializer_range;
    const double expected = log(l.config.vocab_size) + sigma * sigma * l.config.hidden_size / 2;
    CHECK_NEAR(lesson_loss(&l, 0.3), expected, 0.05);
    lesson_close(&l);
}

TEST(one_batch_is_learnt_by_heart)
{
    lesson l = lesson_open(16, false, 6);
    l.config.initializer_range = 0.15f;
    lesson_model(&l);
    vkb_train_params params = quick;
    params.max_steps = 400;
    params.learning_rate = 5e-3;
    params.warmup_steps = 40;
    params.mask.mask_replace_prob = 1;
    params.mask.random_replace_prob = -1;
    params.adam_beta2 = 0.98;
    vkb_trainer *trainer = lesson_trainer(&l, &params);
    const double before = lesson_loss(&l, 0.15);
    lesson_steps(trainer, params.max_steps);
    const double after = lesson_loss(&l, 0.15);
    printf("  loss %.3f -> %.3f\n", before, after);
    CHECK(before > 3.0);
    CHECK(after < 0.1);
    vkb_trainer_destroy(&trainer);
    lesson_close(&l);
}

TEST(the_same_seed_gives_the_same_bits)
{
    lesson l = lesson_open(16, false, 40);
    l.config.hidden_dropout_prob = l.config.attention_probs_dropout_prob = 0.1f;
    float *first = lesson_weights_after(&l, &quick, 8),
          *second = lesson_weights_after(&l, &quick, 8);
    vkb_train_params other = quick;
    other.seed = 43;
    float *third = lesson_weights_after(&l, &other, 8);
    const size_t bytes = l.model->layout.elements * sizeof(float);
    CHECK(memcmp(first, second, bytes) == 0);
    CHECK(memcmp(first, third, bytes) != 0);
    free(first);
    free(second);
    free(third);
    lesson_close(&l);
}

// 40 lines are two epochs and a bit in 8 steps: the resume falls into the middle of an epoch.
TEST(a_resumed_run_equals_an_uninterrupted_one)
{
    lesson l = lesson_open(16, false, 40);
    l.config.hidden_dropout_prob = l.config.attention_probs_dropout_prob = 0.1f;
    float *straight = lesson_weights_after(&l, &quick, 8);
    float *resumed = lesson_weights_resumed(&l, &quick, 5, 8);
    CHECK(memcmp(straight, resumed, l.model->layout.elements * sizeof(float)) == 0);
    free(straight);
    free(resumed);
    lesson_close(&l);
}

// Layers that are computed again give the same bits as layers that are kept, in two micro-batches a step,
// with dropout; and it does not matter which way a run is resumed.
TEST(gradient_checkpointing_changes_no_bit)
{
    lesson l = lesson_open(16, false, 40);
    l.config.hidden_dropout_prob = l.config.attention_probs_dropout_prob = 0.1f;
    vkb_train_params params = quick;
    params.gradient_accumulation_steps = 2;
    params.max_steps = 5;
    float *kept = lesson_weights_after(&l, &params, 5);

    lesson_model(&l);
    params.gradient_checkpointing = true;
    vkb_trainer *trainer = lesson_trainer(&l, &params);
    CHECK(trainer->acts.shape.recompute);
    lesson_steps(trainer, 3);
    CHECK_OK(vkb_model_save(l.model, l.folder, NULL));
    CHECK_OK(vkb_trainer_save(trainer, l.folder));
    lesson_steps(trainer, 5);
    float *again = lesson_weights(&l);
    vkb_trainer_destroy(&trainer);
    vkb_model_destroy(&l.model);

    CHECK_OK(vkb_model_load(device, l.folder, NULL, &l.model));
    params.gradient_checkpointing = false;
    trainer = lesson_trainer(&l, &params);
    CHECK_OK(vkb_trainer_resume(trainer, l.folder));
    lesson_steps(trainer, 5);
    float *resumed = lesson_weights(&l);
    const size_t bytes = l.model->layout.elements * sizeof(float);
    CHECK(memcmp(kept, again, bytes) == 0);
    CHECK(memcmp(kept, resumed, bytes) == 0);
    vkb_trainer_destroy(&trainer);
    free(kept);
    free(again);
    free(resumed);
    lesson_close(&l);
}

TEST(a_resume_refuses_what_it_cannot_continue)
{
    lesson l = lesson_open(16, false, 40), other = lesson_open(16, false, 20);
    lesson_model(&l);
    vkb_trainer *trainer = lesson_trainer(&l, &quick);
    CHECK_INT(vkb_trainer_resume(trainer, "/nowhere"), VKB_BAD_FILE);
    lesson_steps(trainer, 2);
    CHECK_OK(vkb_trainer_save(trainer, l.folder));
    vkb_trainer_destroy(&trainer);

    vkb_dataset *data = l.data;
    l.data = other.data;
    trainer = lesson_trainer(&l, &quick);
    CHECK_INT(vkb_trainer_resume(trainer, l.folder), VKB_BAD_FILE);
    CHECK_HAS(vkb_error(gpu_context(device)), "rows of text");
    temp_write_text(l.folder, "trainer_state.json", "{\"global_step\": 3}");
    CHECK_INT(vkb_trainer_resume(trainer, l.folder), VKB_BAD_FILE);
    temp_write_text(l.folder, "trainer_state.json", "{\"global_");
    CHECK_INT(vkb_trainer_resume(trainer, l.folder), VKB_BAD_FILE);
    vkb_trainer_destroy(&trainer);
    l.data = data;
    lesson_close(&other);
    lesson_close(&l);
}

// The gradients of two halves, summed and divided by the number of all masked tokens, are those of
// the whole; only the order of the sums differs.
TEST(accumulation_equals_the_large_batch)
{
    lesson l = lesson_open(16, false, 40);
    l.config.initializer_range = 0.1f;
    vkb_train_params whole = quick, halves = quick;
    whole.batch_size = 8;
    halves.gradient_accumulation_steps = 2;
    whole.max_steps = halves.max_steps = 3;
    float *a = lesson_weights_after(&l, &whole, 3), *b = lesson_weights_after(&l, &halves, 3);
    double difference = 0, size = 0;
    for (uint64_t i = 0; i < l.model->layout.elements; i++) {
        difference += pow((double)a[i] - b[i], 2);
        size += pow(a[i], 2);
    }
    // AdamW divides by the gradient's size, so where that is mere rounding a step may differ by the
    // rate: 1e-4 of the weights is a hundredth of what three steps move them.
    CHECK_NEAR(sqrt(difference / size), 0, 1e-4);
    free(a);
    free(b);
    lesson_close(&l);
}

TEST(padding_changes_nothing)
{
    lesson narrow = lesson_open(24, true, 30), wide = lesson_open(56, true, 30);
    narrow.config.initializer_range = wide.config.initializer_range = 0.3f;
    lesson_model(&narrow);
    lesson_model(&wide);
    CHECK_NEAR(lesson_loss(&narrow, 0.3), lesson_loss(&wide, 0.3), 1e-5);
    lesson_close(&narrow);
    lesson_close(&wide);
}

TEST(a_step_only_submits)
{
    lesson l = lesson_open(16, false, 40);
    lesson_model(&l);
    vkb_trainer *trainer = lesson_trainer(&l, &quick);
    lesson_steps(trainer, 2);
    const gpu_counters before = gpu_count(device);
    lesson_steps(trainer, 8);
    const gpu_counters after = gpu_count(device);
    CHECK_INT(after.allocations, before.allocations);
    CHECK_INT(after.pipelines, before.pipelines);
    CHECK_INT(after.descriptor_sets, before.descriptor_sets);
    CHECK_INT(after.recorded_runs, before.recorded_runs);
    CHECK_INT(after.recorded_barriers, before.recorded_barriers);
    // rows in and micro-batch; update and metrics out
    CHECK_INT(after.submissions, before.submissions + 2 * 6);
    // The host waits when a ring is full, for a slot and for a result, and for the last three at the end.
    CHECK(after.waits - before.waits <= 2 * 6 + TRAIN_SLOTS);
    vkb_trainer_destroy(&trainer);
    lesson_close(&l);
}

static uint64_t plan_of(const vkb_config *config, const vkb_train_params *params, uint32_t length)
{
    vkb_plan_entry *plan = NULL;
    uint64_t bytes = 0;
    CHECK_OK(vkb_trainer_plan(gpu_context(device), device, config, params, length, &plan));
    for (const vkb_plan_entry *entry = plan; entry->name; entry++)
        bytes += entry->bytes - entry->shared;
    free(plan);
    return bytes;
}

static uint64_t planned_bytes(lesson *l, const vkb_train_params *params)
{
    return plan_of(&l->config, params, dataset_row_length(l->data));
}

// 335 M parameters of 16 bytes are 5.4 GB; without checkpointing 8 GiB are not much more than enough.
TEST(bert_large_is_planned_into_8_gib)
{
    vkb_config config;
    vkb_train_params params = {.batch_size = 8, .gradient_checkpointing = true};
    CHECK_OK(vkb_config_preset(gpu_context(device), "large", &config));
    const uint64_t few = plan_of(&config, &params, 128);
    params.gradient_checkpointing = false;
    const uint64_t all = plan_of(&config, &params, 128);
    printf("  BERT-large, 8 x 128: %.2f GiB with checkpointing, %.2f without\n",
           (double)few / 0x1p30, (double)all / 0x1p30);
    CHECK(few < 0x1.9p32); // 6.25 GiB: a driver and a display want some, too
    CHECK(all > few + 0x1p30);
}

TEST(the_plan_is_what_is_allocated)
{
    lesson l = lesson_open(16, false, 40);
    l.config.hidden_dropout_prob = 0.1f;
    for (int i = 0; i < 4; i++) {
        vkb_train_params params = quick;
        params.batch_size = 8;
        params.gradient_accumulation_steps = i > 0 ? 2 : 1;
        params.gradient_checkpointing = i > 1;
        params.precision = i > 2 ? VKB_FP16 : VKB_FP32;
        vkb_model_destroy(&l.model);
        const gpu_counters before = gpu_count(device);
        const uint64_t planned = planned_bytes(&l, &params);
        const gpu_counters between = gpu_count(device);
        CHECK(memcmp(&before, &between, sizeof(before)) == 0); // nothing was done for it
        lesson_model(&l);
        vkb_trainer *trainer = lesson_trainer(&l, &params);
        CHECK_INT(gpu_count(device).buffer_bytes - before.buffer_bytes, planned);
        lesson_steps(trainer, 1);
        vkb_trainer_destroy(&trainer);
    }
    lesson_close(&l);
}

TEST(the_largest_batch_that_fits_is_found)
{
    lesson l = lesson_open(16, false, 40);
    vkb_train_params params = quick, more;
    params.batch_size = 4096;
    gpu_test_limit_memory(device, 64 << 20);
    CHECK_OK(vkb_trainer_fit(gpu_context(device), device, &l.config, 16, &params));
    CHECK(params.batch_size > 20 && params.batch_size < 4096);
    more = params;
    more.batch_size++;
    CHECK(plan_of(&l.config, &params, 16) <= 0.85 * (64 << 20));
    CHECK(plan_of(&l.config, &more, 16) > 0.85 * (64 << 20));
    params.batch_size = 7; // never more than was asked for
    CHECK_OK(vkb_trainer_fit(gpu_context(device), device, &l.config, 16, &params));
    CHECK_INT(params.batch_size, 7);
    gpu_test_limit_memory(device, 256 << 10);
    CHECK_INT(vkb_trainer_fit(gpu_context(device), device, &l.config, 16, &params),
              VKB_OUT_OF_MEMORY);
    CHECK_HAS(vkb_error(gpu_context(device)), "a batch of 1 x 16 tokens needs");
    gpu_test_limit_memory(device, UINT64_MAX);
    lesson_close(&l);
}

// As deep as BERT-large, and narrow: what fits with gradient checkpointing, and not without.
TEST(gradient_checkpointing_fits_where_all_layers_do_not)
{
    enum { SLACK = 16 << 20 }; // memory is taken in blocks
    lesson l = lesson_open(64, false, 400);
    l.config.num_hidden_layers = 24;
    l.config.hidden_size = 128;
    l.config.intermediate_size = 512;
    vkb_train_params params = quick;
    params.batch_size = 8;
    params.max_steps = 1;
    const uint64_t all = planned_bytes(&l, &params);
    params.gradient_checkpointing = true;
    const uint64_t few = planned_bytes(&l, &params);
    printf("  %.0f MB with all layers, %.0f MB with checkpointing\n", 1e-6 * (double)all,
           1e-6 * (double)few);
    CHECK(few + 2 * SLACK < all);
    gpu_test_limit_memory(device, few + SLACK);
    lesson_model(&l);
    vkb_trainer *trainer = NULL;
    params.gradient_checkpointing = false;
    CHECK_INT(vkb_trainer_create(l.model, l.tok, l.data, &params, &trainer), VKB_OUT_OF_MEMORY);
    CHECK_HAS(vkb_error(gpu_context(device)), "activations");
    params.gradient_checkpointing = true;
    trainer = lesson_trainer(&l, &params);
    const vkb_metrics metrics = lesson_steps(trainer, 1);
    CHECK(metrics.grad_norm > 0 && isfinite(metrics.loss));
    gpu_test_limit_memory(device, UINT64_MAX);
    vkb_trainer_destroy(&trainer);
    lesson_close(&l);
}

TEST(metrics_are_of_the_step_they_name)
{
    lesson l = lesson_open(16, false, 40);
    lesson_model(&l);
    vkb_trainer *trainer = lesson_trainer(&l, &quick);
    const vkb_metrics first = lesson_steps(trainer, 1), third = lesson_steps(trainer, 3);
    CHECK_INT(first.step, 1);
    CHECK_NEAR(first.learning_rate, 0, 0);
    CHECK_NEAR(first.loss, log(l.config.vocab_size), 0.3);
    CHECK(first.grad_norm > 0);
    CHECK(first.masked_tokens > 5 && first.masked_tokens < 40);
    CHECK_INT(first.overflowed_tokens, 0);
    CHECK_INT(third.step, 3);
    CHECK_INT(third.max_steps, 8);
    CHECK_NEAR(third.learning_rate, 1e-3, 1e-12);
    CHECK(third.tokens_per_second > 0);
    const vkb_metrics last = lesson_steps(trainer, 100);
    CHECK_INT(last.step, 8);
    vkb_trainer_destroy(&trainer);
    lesson_close(&l);
}

TEST(epochs_count_steps_as_the_trainer_does)
{
    lesson l = lesson_open(16, false, 40);
    lesson_model(&l);
    vkb_train_params params = quick;
    params.max_steps = 0;
    params.num_train_epochs = 2;
    vkb_trainer *trainer = lesson_trainer(&l, &params);
    const uint64_t per_epoch = (vkb_dataset_rows(l.data) + 3) / 4;
    const vkb_metrics last = lesson_steps(trainer, 1000);
    CHECK_INT(last.step, 2 * per_epoch);
    CHECK_NEAR(last.epoch, 2, 1e-12);
    vkb_trainer_destroy(&trainer);
    lesson_close(&l);
}

TEST(wrong_parameters_are_refused)
{
    lesson l = lesson_open(16, false, 40);
    lesson_model(&l);
    vkb_trainer *trainer = NULL;
    vkb_train_params params = quick;
    params.mask.mlm_probability = 1.5;
    CHECK_INT(vkb_trainer_create(l.model, l.tok, l.data, &params, &trainer), VKB_BAD_ARGUMENT);
    CHECK_HAS(vkb_error(gpu_context(device)), "mlm_probability");
    params = quick;
    params.learning_rate = -1;
    CHECK_INT(vkb_trainer_create(l.model, l.tok, l.data, &params, &trainer), VKB_BAD_ARGUMENT);
    CHECK(trainer == NULL);
    lesson_close(&l);

    lesson longer = lesson_open(100, false, 60);
    lesson_model(&longer);
    CHECK_INT(vkb_trainer_create(longer.model, longer.tok, longer.data, &quick, &trainer),
              VKB_BAD_ARGUMENT);
    CHECK_HAS(vkb_error(gpu_context(device)), "position embeddings");
    lesson_close(&longer);

    lesson small = lesson_open(16, false, 40);
    small.config.vocab_size -= 5;
    lesson_model(&small);
    CHECK_INT(vkb_trainer_create(small.model, small.tok, small.data, &quick, &trainer),
              VKB_BAD_FILE);
    CHECK_HAS(vkb_error(gpu_context(device)), "vocab_size");
    lesson_close(&small);
}

// A batch of 6 GB of activations, which the device is told not to have.
TEST(a_device_that_is_too_small_says_so)
{
    lesson l = lesson_open(16, false, 40);
    lesson_model(&l);
    vkb_trainer *trainer = NULL;
    vkb_train_params params = quick;
    params.batch_size = 20000;
    gpu_test_limit_memory(device, 64 << 20);
    CHECK_INT(vkb_trainer_create(l.model, l.tok, l.data, &params, &trainer), VKB_OUT_OF_MEMORY);
    CHECK_HAS(vkb_error(gpu_context(device)), "smaller");
    gpu_test_limit_memory(device, UINT64_MAX);
    CHECK(trainer == NULL);
    params.batch_size = 4;
    CHECK_OK(vkb_trainer_create(l.model, l.tok, l.data, &params, &trainer));
    vkb_trainer_destroy(&trainer);
    lesson_close(&l);
}

static void run_all(vkb_device *dev)
{
    device = dev;
    RUN(a_fresh_model_knows_nothing);
    RUN(one_batch_is_learnt_by_heart);
    RUN(the_same_seed_gives_the_same_bits);
    RUN(a_resumed_run_equals_an_uninterrupted_one);
    RUN(gradient_checkpointing_changes_no_bit);
    RUN(a_resume_refuses_what_it_cannot_continue);
    RUN(accumulation_equals_the_large_batch);
    RUN(padding_changes_nothing);
    RUN(a_step_only_submits);
    RUN(the_plan_is_what_is_allocated);
    RUN(bert_large_is_planned_into_8_gib);
    RUN(the_largest_batch_that_fits_is_found);
    RUN(gradient_checkpointing_fits_where_all_layers_do_not);
    RUN(metrics_are_of_the_step_they_name);
    RUN(epochs_count_steps_as_the_trainer_does);
    RUN(wrong_parameters_are_refused);
    RUN(a_device_that_is_too_small_says_so);
}

int main(void)
{
    return devices_run(run_all) ? check_report() : 77;
}
