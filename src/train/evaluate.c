// Evaluation: the training's forward pass without dropout, over masks that a seed fixes.
#include "train/evaluate.h"

#include "base/clock.h"

#include <math.h>
#include <stdlib.h>

// The epoch that evaluation masks are drawn for: no training epoch draws the same.
enum { EVALUATION_EPOCH = 0xFFFFFFFF };

typedef struct evaluation {
    vkb_model *model;
    vkb_dataset *data;
    vkb_eval_params params; // defaults filled in
    bert_acts acts;
    train_inputs inputs;
    train_slot slot;
    gpu_buffer *step_out;
    gpu_stream *pass;
    // sums over all rows
    double loss, pair_loss;
    uint64_t count, overflow, top1, top5, pairs, pairs_right;
    // what came back of a batch, for on_row
    uint32_t *ids;   // [rows][length], masks included
    uint32_t *index; // [predictions]
    int32_t *labels; // [rows][length], then [predictions]
    float *stats;    // [predictions][4]
} evaluation;

static void evaluation_record(gpu_stream *s, void *user)
{
    const evaluation *e = user;
    const bert_run run = {
        .config = &e->model->config,
        .weights = &e->model->weights,
        .acts = &e->acts,
        .step = gpu_whole(e->inputs.step),
        .step_out = gpu_whole(e->step_out),
        .objective = e->params.objective,
    };
    gpu_fill(s, run.step_out, 0);
    train_draw(s, &e->inputs, &e->params.mask, e->params.objective, run.step_out);
    bert_forward(s, &run);
    bert_head_forward(s, &run);
    bert_loss(s, &run, false);
}

static vkb_status rows_allocate(evaluation *e)
{
    const bert_shape shape = e->acts.shape;
    const uint64_t tokens = (uint64_t)shape.rows * shape.length, words = tokens + shape.predictions;
    e->ids = malloc(tokens * sizeof(*e->ids));
    e->index = malloc(shape.predictions * sizeof(*e->index));
    e->labels = malloc(words * sizeof(*e->labels));
    e->stats = malloc(4ull * shape.predictions * sizeof(*e->stats));
    if (e->ids && e->index && e->labels && e->stats)
        return VKB_OK;
    return vkb_fail_memory(gpu_context(e->model->dev), 4 * words, "a batch's masks");
}

static vkb_status evaluation_prepare(evaluation *e, const vkb_tokenizer *tok)
{
    vkb_status status = VKB_OK;
    vkb_device *dev = e->model->dev;
    const vkb_train_params like = {.batch_size = e->params.batch_size,
                                   .mask = e->params.mask,
                                   .objective = e->params.objective};
    bert_shape shape;
    BASE_TRY(train_mask_check(gpu_context(dev), &e->params.mask));
    BASE_TRY(train_check_rows(e->model, tok, e->data, e->params.objective));
    BASE_TRY(train_shape(gpu_context(dev), &like, dataset_row_length(e->data), &shape));
    shape.training = false;
    BASE_TRY(bert_acts_create(dev, &e->model->config, shape, &e->acts));
    BASE_TRY(gpu_buffer_create(dev, "step_out", sizeof(struct step_out), GPU_LOCAL, &e->step_out));
    BASE_TRY(train_inputs_create(e->model, tok, e->data, &e->acts, &e->inputs));
    BASE_TRY(train_slot_create(&e->inputs, &e->slot));
    *(struct step_in *)gpu_mapped(train_slot_views(&e->inputs, &e->slot).step) = (struct step_in){
        .seed_low = (uint32_t)e->params.seed,
        .seed_high = (uint32_t)(e->params.seed >> 32),
        .epoch = EVALUATION_EPOCH,
    };
    BASE_TRY(gpu_record(dev, "evaluation", false, evaluation_record, e, &e->pass));
    if (e->params.on_row)
        BASE_TRY(rows_allocate(e));
cleanup:
    return status;
}

static void evaluation_free(evaluation *e)
{
    gpu_stream_destroy(&e->pass);
    train_slot_free(&e->slot);
    train_inputs_free(&e->inputs);
    bert_acts_free(&e->acts);
    gpu_buffer_destroy(&e->step_out);
    free(e->ids);
    free(e->index);
    free(e->labels);
    free(e->stats);
}

// Hands the batch's rows to on_row, as the device had them.
static vkb_status rows_tell(evaluation *e, uint64_t first, uint32_t used)
{
    vkb_status status = VKB_OK;
    vkb_device *dev = e->model->dev;
    const bert_shape shape = e->acts.shape;
    const train_slot_parts parts = train_slot_views(&e->inputs, &e->slot);
    int32_t *true_ids = e->labels + (size_t)shape.rows * shape.length;
    const bool masked = e->params.objective != VKB_OBJECTIVE_NSP;
    BASE_TRY(gpu_download(dev, e->acts.ids, e->ids));
    BASE_TRY(gpu_download(dev, e->acts.index, e->index));
    BASE_TRY(gpu_download(dev, e->acts.labels, true_ids));
    if (masked)
        BASE_TRY(gpu_download(dev, e->acts.row_stats, e->stats));
    for (uint32_t r = 0, at = 0; r < used; r++) {
        const size_t begin = (size_t)r * shape.length, behind = begin + shape.length;
        const uint32_t *segments = (const uint32_t *)gpu_mapped(parts.segments) + begin;
        const uint32_t next_sentence = ((const uint32_t *)gpu_mapped(parts.next_sentence))[r];
        vkb_eval_row row = {
            .row = first + r,
            .ids = e->ids + begin,
            .labels = e->labels + begin,
            .types = (const uint32_t *)gpu_mapped(parts.types) + begin,
            .positions = (const uint32_t *)gpu_mapped(parts.positions) + begin,
            .segments = segments,
            .next_sentence =
                dataset_has_pairs(e->data) ? (int32_t)next_sentence : EVALUATE_NOT_PREDICTED,
        };
        while (row.tokens < shape.length && segments[row.tokens])
            row.tokens++;
        for (size_t t = begin; t < behind; t++)
            e->labels[t] = EVALUATE_NOT_PREDICTED;
        for (; masked && at < shape.predictions && e->index[at] < behind; at++) {
            e->labels[e->index[at]] = true_ids[at];
            row.log_likelihood -= e->stats[4 * (size_t)at];
        }
        BASE_TRY(e->params.on_row(e->params.user, &row));
    }
cleanup:
    return status;
}

// Runs the batch that starts at a row; rows behind the last are padding.
static vkb_status batch_run(evaluation *e, uint64_t first, uint64_t rows)
{
    vkb_status status = VKB_OK;
    vkb_device *dev = e->model->dev;
    const train_rows which = {.data = e->data, .rows = rows, .first = first};
    struct step_out out;
    uint32_t used;
    uint64_t tokens, ticket;
    BASE_TRY(train_slot_fill(&e->inputs, &e->slot, &which, &used, &tokens));
    gpu_stream *streams[] = {e->slot.copy_in, e->pass};
    BASE_TRY(gpu_submit(dev, streams, BASE_COUNT(streams), &ticket));
    BASE_TRY(gpu_wait(dev, ticket));
    BASE_TRY(gpu_download(dev, gpu_whole(e->step_out), &out));
    e->loss += out.loss_sum;
    e->count += out.predictions;
    e->overflow += out.overflow;
    e->top1 += out.top1;
    e->top5 += out.top5;
    e->pair_loss += out.pair_loss_sum;
    e->pairs += out.pairs;
    e->pairs_right += out.pairs_right;
    if (e->params.on_row)
        BASE_TRY(rows_tell(e, first, used));
    if (e->params.progress)
        e->params.progress(e->params.user, "evaluating", first + used, rows);
cleanup:
    return status;
}

vkb_status evaluate_check_loss(const vkb_model *model, double loss)
{
    if (isfinite(loss))
        return VKB_OK;
    return vkb_fail(gpu_context(model->dev), VKB_FAILED,
                    "the loss is not a number: the model's weights hold values that are none, or "
                    "too large ones");
}

static double mean(double sum, uint64_t count)
{
    return count ? sum / (double)count : 0;
}

vkb_status vkb_evaluate(vkb_model *model, const vkb_tokenizer *tok, vkb_dataset *data,
                        const vkb_eval_params *params, vkb_eval_result *result)
{
    vkb_status status = VKB_OK;
    const double started = clock_seconds(gpu_context(model->dev));
    uint64_t rows;
    evaluation e = {.model = model, .data = data, .params = *params};
    if (!e.params.batch_size)
        e.params.batch_size = EVALUATE_BATCH_SIZE;
    train_mask_complete(&e.params.mask);
    BASE_TRY(bert_weights_borrow(model));
    BASE_TRY(gpu_wait_all(model->dev));
    BASE_TRY(evaluation_prepare(&e, tok));
    BASE_TRY(dataset_begin_epoch(data, 0, &rows));
    for (uint64_t row = 0; row < rows; row += e.params.batch_size)
        BASE_TRY(batch_run(&e, row, rows));
    if (!e.count && e.params.objective != VKB_OBJECTIVE_NSP)
        BASE_TRY(vkb_fail(gpu_context(model->dev), VKB_BAD_FILE,
                          "none of the %llu tokens of the text was masked: give more text, or a "
                          "higher mlm_probability",
                          (unsigned long long)vkb_dataset_tokens(data)));
    BASE_TRY(evaluate_check_loss(model, e.loss + e.pair_loss));
    if (e.overflow)
        vkb_log(gpu_context(model->dev), VKB_LOG_WARNING,
                "%llu tokens that were drawn found no room in their pass and stayed unmasked: "
                "give a larger batch_size",
                (unsigned long long)e.overflow);
    *result = (vkb_eval_result){
        .loss = mean(e.loss, e.count),
        .perplexity = exp(mean(e.loss, e.count)),
        .top1 = mean((double)e.top1, e.count),
        .top5 = mean((double)e.top5, e.count),
        .masked_tokens = e.count,
        .rows = rows,
        .next_sentence_loss = mean(e.pair_loss, e.pairs),
        .next_sentence_accuracy = mean((double)e.pairs_right, e.pairs),
        .seconds = clock_seconds(gpu_context(model->dev)) - started,
    };
cleanup:
    evaluation_free(&e);
    bert_weights_return(model);
    return status;
}
