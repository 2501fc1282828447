// One optimiser step: micro-batches, update, metrics; the rings around them.
#include "train/trainer.h"

#include "base/clock.h"

#include <math.h>
#include <stdlib.h>

// ---- Create and destroy ----

vkb_status train_check_rows(const vkb_model *model, const vkb_tokenizer *tok,
                            const vkb_dataset *data, vkb_objective objective)
{
    vkb_context *ctx = gpu_context(model->dev);
    const vkb_config *c = &model->config;
    if (objective != VKB_OBJECTIVE_MLM && !c->next_sentence)
        return vkb_fail(ctx, VKB_BAD_ARGUMENT,
                        "the model has no next-sentence head, which this objective trains");
    if (objective != VKB_OBJECTIVE_MLM && !dataset_has_pairs(data))
        return vkb_fail(ctx, VKB_BAD_ARGUMENT,
                        "the rows are no pairs of texts, which next-sentence prediction needs");
    const uint32_t random = dataset_random_vocab(data);
    if (!tok && !random)
        return vkb_fail(ctx, VKB_BAD_ARGUMENT, "rows of a text need the tokenizer that made them");
    if (random > c->vocab_size)
        return vkb_fail(ctx, VKB_BAD_ARGUMENT,
                        "the random rows have %u ids, but the model's vocab_size is %u", random,
                        c->vocab_size);
    if (tok && vkb_tokenizer_size(tok) > c->vocab_size)
        return vkb_fail(ctx, VKB_BAD_FILE,
                        "the tokenizer has %u ids, but the model's vocab_size is %u: use the "
                        "tokenizer that belongs to the model",
                        vkb_tokenizer_size(tok), c->vocab_size);
    if (dataset_row_length(data) > c->max_position_embeddings)
        return vkb_fail(ctx, VKB_BAD_ARGUMENT,
                        "max_seq_length is %u, but the model has %u position embeddings",
                        dataset_row_length(data), c->max_position_embeddings);
    return VKB_OK;
}

static void trainer_count_steps(vkb_trainer *t)
{
    const uint64_t rows = vkb_dataset_rows(t->data);
    const uint64_t micro = (rows + t->params.batch_size - 1) / t->params.batch_size;
    const uint64_t k = t->params.gradient_accumulation_steps;
    const uint64_t steps_per_epoch = (micro + k - 1) / k;
    t->budget.seconds = t->params.max_seconds;
    t->most_steps = t->params.max_steps;
    if (!t->most_steps)
        t->most_steps = (uint64_t)ceil(t->params.num_train_epochs * (double)steps_per_epoch);
    t->at.max_steps = t->most_steps ? t->most_steps : 1; // no pace is known yet
}

static vkb_status trainer_allocate(vkb_trainer *t, uint32_t length)
{
    vkb_status status = VKB_OK;
    vkb_device *dev = t->model->dev;
    const vkb_config *c = &t->model->config;
    const bert_layout *layout = &t->model->layout;
    bert_shape shape;
    const uint32_t layers = c->num_hidden_layers;
    BASE_TRY(train_shape(gpu_context(dev), &t->params, length, &shape));
    BASE_TRY(bert_params_create(dev, layout, layers, "gradients", &t->grads));
    BASE_TRY(bert_params_create(dev, layout, layers, "exp_avg", &t->exp_avg));
    BASE_TRY(bert_params_create(dev, layout, layers, "exp_avg_sq", &t->exp_avg_sq));
    BASE_TRY(bert_acts_create(dev, c, shape, &t->acts));
    BASE_TRY(gpu_buffer_create(dev, "step_out", sizeof(struct step_out), GPU_LOCAL, &t->step_out));
    BASE_TRY(train_precision_create(t));
cleanup:
    return status;
}

vkb_status train_build(vkb_trainer *t, const vkb_tokenizer *tok, uint32_t length)
{
    vkb_status status = VKB_OK;
    BASE_TRY(trainer_allocate(t, length));
    BASE_TRY(train_inputs_create(t->model, tok, t->data, &t->acts, &t->inputs));
    BASE_TRY(train_record(t));
    const train_feed_params feed = {
        .data = t->data,
        .inputs = &t->inputs,
        .mask = t->params.mask,
        .seed = t->params.seed,
    };
    BASE_TRY(train_feeder_create(&feed, &t->feeder));
cleanup:
    return status;
}

vkb_status vkb_trainer_create(vkb_model *model, const vkb_tokenizer *tok, vkb_dataset *data,
                              const vkb_train_params *params, vkb_trainer **out)
{
    vkb_status status = VKB_OK;
    vkb_context *ctx = gpu_context(model->dev);
    vkb_trainer *t = calloc(1, sizeof(*t));
    if (!t)
        return vkb_fail_memory(ctx, sizeof(*t), "the trainer");
    t->model = model;
    t->data = data;
    t->params = *params;
    BASE_TRY(bert_weights_borrow(model));
    BASE_TRY(train_params_complete(ctx, &t->params));
    BASE_TRY(train_check_rows(model, tok, data, t->params.objective));
    trainer_count_steps(t);
    BASE_TRY(train_build(t, tok, dataset_row_length(data)));
    *out = t;
    return VKB_OK;
cleanup:
    vkb_trainer_destroy(&t);
    return status;
}

void train_tear_down(vkb_trainer *t)
{
    gpu_wait_all(t->model->dev);
    train_profiler_free(&t->profiler);
    gpu_stream_destroy(&t->first);
    gpu_stream_destroy(&t->more);
    gpu_stream_destroy(&t->update);
    for (uint32_t i = 0; i < TRAIN_RESULTS; i++) {
        gpu_stream_destroy(&t->results[i].copy_out);
        gpu_buffer_destroy(&t->results[i].out);
    }
    train_feeder_destroy(&t->feeder);
    train_inputs_free(&t->inputs);
    gpu_buffer_destroy(&t->step_out);
    train_precision_free(t);
    bert_acts_free(&t->acts);
    bert_params_free(&t->grads);
    bert_params_free(&t->exp_avg);
    bert_params_free(&t->exp_avg_sq);
}

void vkb_trainer_destroy(vkb_trainer **trainer)
{
    vkb_trainer *t = trainer ? *trainer : NULL;
    if (!t)
        return;
    *trainer = NULL;
    train_tear_down(t);
    bert_weights_return(t->model);
    free(t);
}

// ---- Metrics ----

static double trainer_now(const vkb_trainer *t)
{
    return clock_seconds(gpu_context(t->model->dev));
}

static uint64_t unfinished_steps(const vkb_trainer *t)
{
    return t->next_result - t->oldest_result;
}

// With max_seconds: as many steps as fit by the pace seen, one more at least, until the run has
// ended.
static void steps_fit(vkb_trainer *t, double now)
{
    if (t->budget.seconds <= 0 || t->ended)
        return;
    t->at.max_steps = t->at.step + budget_steps(&t->budget, &t->pace, now, unfinished_steps(t));
    if (t->most_steps && t->most_steps < t->at.max_steps)
        t->at.max_steps = t->most_steps;
}

static double seconds_left(const vkb_trainer *t, uint64_t finished, double used)
{
    const double steps = (double)(t->at.max_steps - finished) * pace_seconds_per_step(&t->pace);
    return t->budget.seconds > 0 ? fmin(steps, fmax(t->budget.seconds - used, 0)) : steps;
}

// The device has finished the step: its metrics become the trainer's last.
static void result_take(vkb_trainer *t, train_result *result)
{
    const struct step_out *out = gpu_mapped(gpu_whole(result->out));
    const double now = trainer_now(t), used = budget_used(&t->budget, now);
    vkb_metrics m = result->metrics;
    result->ticket = 0;
    if (m.step == 1)
        budget_ready(&t->budget, now);
    pace_add(&t->pace, now, result->tokens);
    steps_fit(t, now);

    m.loss = out->predictions ? (double)out->loss_sum / out->predictions : 0;
    m.next_sentence_loss = out->pairs ? (double)out->pair_loss_sum / out->pairs : 0;
    m.next_sentence_accuracy = out->pairs ? (double)out->pairs_right / out->pairs : 0;
    m.grad_norm = out->grad_norm;
    m.masked_tokens = out->predictions;
    m.overflowed_tokens = out->overflow;
    m.loss_scale = t->scaling ? out->loss_scale : 0;
    m.skipped_steps = out->skipped;
    m.stalls = t->stalls;
    m.max_steps = t->at.max_steps;
    m.seconds = used;
    m.tokens_per_second = pace_tokens_per_second(&t->pace);
    m.seconds_left = seconds_left(t, m.step, used);
    t->last = m;
}

// Takes the results that are there; with `wait`, at least the oldest.
static vkb_status results_take(vkb_trainer *t, bool wait)
{
    vkb_device *dev = t->model->dev;
    while (t->oldest_result < t->next_result) {
        train_result *result = &t->results[t->oldest_result % TRAIN_RESULTS];
        if (!gpu_done(dev, result->ticket)) {
            if (!wait)
                break;
            vkb_status status = gpu_wait(dev, result->ticket);
            if (status != VKB_OK)
                return status;
        }
        wait = false;
        t->oldest_result++;
        result_take(t, result);
    }
    return VKB_OK;
}

// ---- Step ----

static struct step_in step_values(const vkb_trainer *t, double rate, uint64_t mask_epoch)
{
    const double n = (double)(t->at.step + 1); // of the betas as the device has them, in fp32
    return (struct step_in){
        .seed_low = (uint32_t)t->params.seed,
        .seed_high = (uint32_t)(t->params.seed >> 32),
        .step = (uint32_t)t->at.draw,
        .epoch = (uint32_t)mask_epoch,
        .lr = (float)rate,
        .bias_correction1 = (float)(1.0 - pow((float)t->params.adam_beta1, n)),
        .bias_correction2 = (float)(1.0 - pow((float)t->params.adam_beta2, n)),
        .max_grad_norm = (float)t->params.max_grad_norm,
        .update = (uint32_t)(t->at.step + 1),
    };
}

// Submits the next micro-batch, the first of its step or a later one.
static vkb_status micro_submit(vkb_trainer *t, double rate, bool first, train_feed *feed)
{
    vkb_status status = VKB_OK;
    vkb_device *dev = t->model->dev;
    uint64_t ticket;
    if (!t->feeding)
        BASE_TRY(train_feeder_start(t->feeder, t->at.cursor));
    BASE_TRY(train_feeder_next(t->feeder, feed));
    // The first rows of a run are waited for; after them the device should always have work.
    t->stalls += t->feeding && feed->was_late && gpu_done(dev, t->last_ticket);
    t->feeding = true;
    *(struct step_in *)gpu_mapped(train_slot_views(&t->inputs, feed->slot).step) =
        step_values(t, rate, feed->epoch);
    gpu_stream *streams[] = {feed->slot->copy_in, first ? t->first : t->more};
    BASE_TRY(gpu_submit(dev, streams, BASE_COUNT(streams), &ticket));
    train_feeder_submitted(t->feeder, ticket);
    t->last_ticket = ticket;
    t->at.cursor = feed->after;
    t->at.draw++;
cleanup:
    return status;
}

static vkb_status update_submit(vkb_trainer *t, double rate, uint64_t tokens)
{
    train_result *result = &t->results[t->next_result % TRAIN_RESULTS];
    gpu_stream *streams[] = {t->update, result->copy_out};
    result->tokens = tokens;
    result->metrics = (vkb_metrics){
        .step = t->at.step + 1,
        .epoch = (double)t->at.cursor.epoch + (double)t->at.cursor.row / (double)t->at.cursor.rows,
        .learning_rate = rate,
    };
    vkb_status status = gpu_submit(t->model->dev, streams, BASE_COUNT(streams), &result->ticket);
    if (status == VKB_OK) {
        t->last_ticket = result->ticket;
        t->at.step++;
        t->next_result++;
    }
    return status;
}

// ---- The run ----

static void run_end(vkb_trainer *t)
{
    t->ended = true;
    t->at.max_steps = t->last.max_steps = t->at.step;
    t->last.seconds_left = seconds_left(t, t->last.step, t->last.seconds);
    if (t->budget.seconds > 0 && t->at.step == 1 && t->most_steps != 1)
        vkb_log(gpu_context(t->model->dev), VKB_LOG_WARNING,
                "max_seconds %g is time for one step, which took %.3g seconds: give more to train",
                t->budget.seconds, t->last.seconds);
}

vkb_status train_look(vkb_trainer *t)
{
    const bool counted = t->most_steps || t->budget.seconds <= 0;
    budget_verdict verdict = BUDGET_OVER;
    vkb_status status = VKB_OK;
    while (!(counted && t->at.step >= t->most_steps) && status == VKB_OK &&
           (verdict = budget_ask(&t->budget, &t->pace, trainer_now(t), unfinished_steps(t))) ==
               BUDGET_WAIT)
        status = results_take(t, true);
    if (status == VKB_OK && verdict == BUDGET_OVER && !t->ended)
        run_end(t);
    else
        steps_fit(t, trainer_now(t));
    return status;
}

// Of the step that is submitted next.
static double trainer_rate(vkb_trainer *t, double now)
{
    const vkb_train_params *p = &t->params;
    const double step = (double)t->at.step, most = (double)t->most_steps;
    const double warmup_steps = (double)p->warmup_steps;
    train_schedule schedule = {p->schedule, p->learning_rate, p->warmup_ratio};
    double progress = most > 0 ? step / most : 0;
    if (t->budget.seconds <= 0) {
        schedule.warmup = (warmup_steps > 0 ? warmup_steps : ceil(p->warmup_ratio * most)) / most;
        return train_rate(&schedule, progress);
    }
    progress = fmax(progress, budget_progress(&t->budget, &t->pace, now, unfinished_steps(t)));
    if (!p->warmup_steps || p->schedule == VKB_CONSTANT)
        return train_rate(&schedule, progress);
    // Steps that rise against a time that falls: the smaller one never rises again.
    schedule.warmup = 0;
    return fmin(p->learning_rate * fmin(step / warmup_steps, 1), train_rate(&schedule, progress));
}

vkb_status vkb_train_step(vkb_trainer *t, vkb_metrics *metrics, bool *done)
{
    vkb_status status = VKB_OK;
    BASE_TRY(train_look(t)); // the caller may have taken its time
    if (!t->ended) {
        BASE_TRY(results_take(t, unfinished_steps(t) == TRAIN_RESULTS));
        const double now = trainer_now(t);
        budget_begin(&t->budget, now);
        pace_begin(&t->pace, now);

        const double rate = trainer_rate(t, now);
        train_feed feed = {0};
        uint64_t tokens = 0;
        for (uint32_t k = 0; k < t->params.gradient_accumulation_steps && !feed.ends_epoch; k++) {
            BASE_TRY(micro_submit(t, rate, k == 0, &feed));
            BASE_TRY(train_profile_micro(t, k == 0));
            tokens += feed.tokens;
        }
        BASE_TRY(update_submit(t, rate, tokens));
        BASE_TRY(train_profile_step(t));
        BASE_TRY(results_take(t, false));
        BASE_TRY(train_look(t));
    }
    *done = t->ended;
cleanup:
    if (metrics)
        *metrics = t->last;
    return status;
}

vkb_status vkb_trainer_finish(vkb_trainer *t, vkb_metrics *metrics)
{
    vkb_status status = VKB_OK;
    while (status == VKB_OK && t->oldest_result < t->next_result)
        status = results_take(t, true);
    pace_pause(&t->pace);
    if (metrics)
        *metrics = t->last;
    return status;
}
