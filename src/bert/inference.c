// Inference on one text at a time: passes recorded once for a length, and used again.
//
// Lengths are rounded up to a bucket, so that a few recorded passes serve all texts; the padding is
// masked out of the attention and changes no answer.
#include "bert/bert.h"

#include <stdlib.h>

enum { LENGTH_BUCKET = 16, PREDICTIONS_BUCKET = 8, PASSES_KEPT = 8 };

typedef struct bert_pass {
    struct bert_pass *next; // the most recently used first
    bert_acts acts;
    gpu_stream *stream;
} bert_pass;

static void pass_free(bert_pass *pass)
{
    gpu_stream_destroy(&pass->stream);
    bert_acts_free(&pass->acts);
    free(pass);
}

void bert_passes_free(vkb_model *model)
{
    while (model->passes) {
        bert_pass *pass = model->passes;
        model->passes = pass->next;
        pass_free(pass);
    }
}

static void pass_record(gpu_stream *s, void *user)
{
    const bert_run *run = user;
    bert_forward(s, run);
    bert_head_forward(s, run);
}

static vkb_status pass_create(vkb_model *model, bert_shape shape, bert_pass **out)
{
    vkb_status status = VKB_OK;
    bert_pass *pass = calloc(1, sizeof(*pass));
    if (!pass)
        return vkb_fail_memory(gpu_context(model->dev), sizeof(*pass), "an inference pass");
    BASE_TRY(bert_acts_create(model->dev, &model->config, shape, &pass->acts));
    bert_run run = {.config = &model->config, .weights = &model->weights, .acts = &pass->acts};
    BASE_TRY(gpu_record(model->dev, "inference", false, pass_record, &run, &pass->stream));
    *out = pass;
    return VKB_OK;
cleanup:
    pass_free(pass);
    return status;
}

static uint32_t bucket(uint32_t count, uint32_t step, uint32_t most)
{
    uint32_t rounded = (count + step - 1) / step * step;
    return rounded < most ? rounded : most;
}

// The pass for a text of this size, moved to the front; the oldest goes when there are too many.
static vkb_status pass_find(vkb_model *model, uint32_t length, uint32_t predictions,
                            bert_pass **out)
{
    const uint32_t most = model->config.max_position_embeddings;
    const bert_shape shape = {.rows = 1,
                              .length = bucket(length, LENGTH_BUCKET, most),
                              .predictions = bucket(predictions, PREDICTIONS_BUCKET, most)};
    uint32_t count = 0;
    for (bert_pass **at = &model->passes; *at; at = &(*at)->next) {
        bert_pass *pass = *at;
        if (pass->acts.shape.length == shape.length &&
            pass->acts.shape.predictions == shape.predictions) {
            *at = pass->next;
            pass->next = model->passes;
            *out = model->passes = pass;
            return VKB_OK;
        }
        if (++count == PASSES_KEPT) {
            *at = NULL;
            pass_free(pass);
            break;
        }
    }
    vkb_status status = pass_create(model, shape, out);
    if (status != VKB_OK)
        return status;
    (*out)->next = model->passes;
    model->passes = *out;
    return VKB_OK;
}

// Uploads words[count] and `rest` behind them.
static vkb_status upload_padded(vkb_device *dev, gpu_view to, const uint32_t *words, uint32_t count,
                                uint32_t rest)
{
    uint32_t total = (uint32_t)(to.bytes / 4);
    uint32_t *padded = malloc(to.bytes);
    if (!padded)
        return vkb_fail_memory(gpu_context(dev), to.bytes, "a text");
    for (uint32_t i = 0; i < total; i++)
        padded[i] = i < count ? (words ? words[i] : 0) : rest;
    vkb_status status = gpu_upload(dev, to, padded);
    free(padded);
    return status;
}

vkb_status bert_infer(vkb_model *model, const uint32_t *ids, const uint32_t *types, uint32_t length,
                      const uint32_t *index, uint32_t predictions, float *logits)
{
    vkb_status status = VKB_OK;
    vkb_device *dev = model->dev;
    bert_pass *pass = NULL;
    uint32_t *ones = NULL, *positions = NULL;
    uint64_t ticket;
    BASE_TRY(pass_find(model, length, predictions, &pass));

    const uint32_t padded = pass->acts.shape.length;
    ones = malloc(padded * sizeof(*ones));
    positions = malloc(padded * sizeof(*positions));
    if (!ones || !positions)
        BASE_TRY(vkb_fail_memory(gpu_context(dev), padded * sizeof(*ones), "a text"));
    for (uint32_t i = 0; i < padded; i++) {
        ones[i] = 1;
        positions[i] = i;
    }
    BASE_TRY(upload_padded(dev, pass->acts.ids, ids, length, model->config.pad_token_id));
    BASE_TRY(upload_padded(dev, pass->acts.types, types, length, 0));
    BASE_TRY(upload_padded(dev, pass->acts.positions, positions, padded, 0));
    BASE_TRY(upload_padded(dev, pass->acts.segments, ones, length, 0));
    BASE_TRY(upload_padded(dev, pass->acts.index, index, predictions, OP_NONE));
    BASE_TRY(gpu_submit(dev, &pass->stream, 1, &ticket));
    BASE_TRY(gpu_wait(dev, ticket));
    const uint64_t bytes = 4ull * predictions * model->config.vocab_size;
    BASE_TRY(gpu_download(dev, gpu_part(pass->acts.logits, 0, bytes), logits));
cleanup:
    free(ones);
    free(positions);
    return status;
}
