// Evaluation: the training's forward pass without dropout, over masks that a seed fixes.
#include "train/trainer.h"

#include <math.h>
#include <stdlib.h>

// The epoch that evaluation masks are drawn for: no training epoch draws the same.
enum { EVALUATION_EPOCH = 0xFFFFFFFF };

typedef struct evaluation {
    vkb_model *model;
    const vkb_dataset *data;
    vkb_special_ids special;
    vkb_eval_params params;
    bert_acts acts;
    gpu_buffer *step, *step_out, *raw_ids, *examples;
    gpu_stream *pass;
    uint32_t *ids, *mask, *rows, *types; // a batch on the host
} evaluation;

static void evaluation_record(gpu_stream *s, void *user)
{
    const evaluation *e = user;
    const bert_run run = {
        .config = &e->model->config,
        .weights = &e->model->weights,
        .acts = &e->acts,
        .step = gpu_whole(e->step),
        .step_out = gpu_whole(e->step_out),
    };
    gpu_fill(s, run.step_out, 0);
    train_draw(s, &e->acts, run.config, e->special, &e->params.mask, run.step, run.step_out,
               gpu_whole(e->raw_ids), gpu_whole(e->examples));
    bert_forward(s, &run);
    bert_head_forward(s, &run);
    bert_loss(s, &run, false);
}

// What every batch has in common: seed, positions, token types.
static vkb_status constants_upload(evaluation *e)
{
    vkb_status status = VKB_OK;
    const uint32_t tokens = e->acts.shape.rows * e->acts.shape.length;
    const struct step_in step = {
        .seed_low = (uint32_t)e->params.seed,
        .seed_high = (uint32_t)(e->params.seed >> 32),
        .epoch = EVALUATION_EPOCH,
    };
    for (uint32_t i = 0; i < tokens; i++) {
        e->ids[i] = i % e->acts.shape.length;
        e->mask[i] = 0;
    }
    BASE_TRY(gpu_upload(e->model->dev, gpu_whole(e->step), &step));
    BASE_TRY(gpu_upload(e->model->dev, e->acts.positions, e->ids));
    BASE_TRY(gpu_upload(e->model->dev, e->acts.types, e->mask));
cleanup:
    return status;
}

static vkb_status evaluation_prepare(evaluation *e)
{
    vkb_status status = VKB_OK;
    vkb_device *dev = e->model->dev;
    const uint32_t rows = e->params.batch_size, length = dataset_row_length(e->data);
    const uint32_t tokens = rows * length;
    const bert_shape shape = {.rows = rows,
                              .length = length,
                              .predictions = op_mask_capacity(tokens, e->params.mask.mlm_probability, false)};
    e->ids = malloc(tokens * sizeof(*e->ids));
    e->mask = malloc(tokens * sizeof(*e->mask));
    e->rows = malloc(rows * sizeof(*e->rows));
    e->types = malloc(2 * length * sizeof(*e->types));
    if (!e->ids || !e->mask || !e->rows || !e->types)
        BASE_TRY(vkb_fail_memory(gpu_context(dev), 4ull * tokens, "a batch"));
    BASE_TRY(bert_acts_create(dev, &e->model->config, shape, &e->acts));
    BASE_TRY(gpu_buffer_create(dev, "step_in", sizeof(struct step_in), GPU_LOCAL, &e->step));
    BASE_TRY(gpu_buffer_create(dev, "step_out", sizeof(struct step_out), GPU_LOCAL, &e->step_out));
    BASE_TRY(gpu_buffer_create(dev, "raw ids", 4ull * tokens, GPU_LOCAL, &e->raw_ids));
    BASE_TRY(gpu_buffer_create(dev, "examples", 4ull * rows, GPU_LOCAL, &e->examples));
    BASE_TRY(constants_upload(e));
    BASE_TRY(gpu_record(dev, "evaluation", false, evaluation_record, e, &e->pass));
cleanup:
    return status;
}

static void evaluation_free(evaluation *e)
{
    gpu_stream_destroy(&e->pass);
    bert_acts_free(&e->acts);
    gpu_buffer_destroy(&e->step);
    gpu_buffer_destroy(&e->step_out);
    gpu_buffer_destroy(&e->raw_ids);
    gpu_buffer_destroy(&e->examples);
    free(e->ids);
    free(e->mask);
    free(e->rows);
    free(e->types);
}

// Runs the rows first .. first + batch_size - 1; those behind the last are padding.
static vkb_status batch_run(evaluation *e, size_t first, struct step_out *out)
{
    vkb_status status = VKB_OK;
    vkb_device *dev = e->model->dev;
    const uint32_t length = e->acts.shape.length;
    uint64_t ticket;
    for (uint32_t r = 0; r < e->acts.shape.rows; r++) {
        dataset_row row = {
            .ids = e->ids + (size_t)r * length,
            .types = e->types,
            .positions = e->types + length,
            .segments = e->mask + (size_t)r * length,
        };
        if (first + r < vkb_dataset_rows(e->data)) {
            BASE_TRY(dataset_read(e->data, first + r, &row));
        } else {
            for (uint32_t i = 0; i < length; i++) {
                row.ids[i] = e->special.pad;
                row.segments[i] = 0;
            }
        }
        e->rows[r] = row.example;
    }
    BASE_TRY(gpu_upload(dev, gpu_whole(e->raw_ids), e->ids));
    BASE_TRY(gpu_upload(dev, e->acts.segments, e->mask));
    BASE_TRY(gpu_upload(dev, gpu_whole(e->examples), e->rows));
    BASE_TRY(gpu_submit(dev, &e->pass, 1, &ticket));
    BASE_TRY(gpu_wait(dev, ticket));
    BASE_TRY(gpu_download(dev, gpu_whole(e->step_out), out));
cleanup:
    return status;
}

vkb_status vkb_evaluate(vkb_model *model, const vkb_tokenizer *tok, vkb_dataset *data,
                        const vkb_eval_params *params, vkb_eval_result *result)
{
    vkb_status status = VKB_OK;
    const double started = train_clock();
    double loss = 0;
    uint64_t count = 0, top1 = 0, top5 = 0;
    evaluation e = {
        .model = model, .data = data, .special = vkb_tokenizer_special(tok), .params = *params};
    if (!e.params.batch_size)
        e.params.batch_size = 8;
    train_mask_complete(&e.params.mask);
    BASE_TRY(train_check_rows(model, tok, data));
    BASE_TRY(gpu_wait_all(model->dev));
    BASE_TRY(evaluation_prepare(&e));
    for (size_t row = 0; row < vkb_dataset_rows(data); row += e.params.batch_size) {
        struct step_out out;
        BASE_TRY(batch_run(&e, row, &out));
        loss += out.loss_sum;
        count += out.predictions;
        top1 += out.top1;
        top5 += out.top5;
    }
    if (!count)
        BASE_TRY(vkb_fail(gpu_context(model->dev), VKB_BAD_FILE,
                          "none of the %llu tokens of the text was masked: give more text, or a "
                          "higher mlm_probability",
                          (unsigned long long)vkb_dataset_tokens(data)));
    const double each = 1.0 / (double)count;
    *result = (vkb_eval_result){
        .loss = loss * each,
        .perplexity = exp(loss * each),
        .top1 = (double)top1 * each,
        .top5 = (double)top5 * each,
        .masked_tokens = count,
        .rows = vkb_dataset_rows(data),
        .seconds = train_clock() - started,
    };
cleanup:
    evaluation_free(&e);
    return status;
}
