// Inference on texts: passes recorded once for a shape, and used again.
//
// Lengths are rounded up to a bucket, so that a few recorded passes serve all texts; the padding is
// masked out of the attention and changes no answer. Texts that share a pass have the same bucket, and
// no operation looks from one row of a batch at another: an answer is the same to the bit, alone or
// among others.
//
// A pass is one submission: its inputs come in through one mapped buffer, its logits go out through
// another unless the host sees them where they are.
#include "bert/bert.h"

#include <stdlib.h>
#include <string.h>

enum { LENGTH_BUCKET = 8, PREDICTIONS_BUCKET = 8, PASSES_KEPT = 8, TOKENS_KEPT = 512 };

// Inputs in the order of the mapped buffer.
enum { IN_IDS, IN_TYPES, IN_POSITIONS, IN_SEGMENTS, IN_INDEX, IN_COUNT };

typedef struct bert_pass {
    struct bert_pass *next; // the most recently used first
    uint32_t panel;         // of the weights that it reads
    bert_acts acts;
    gpu_buffer *in, *out;
    gpu_view parts[IN_COUNT]; // of `in`
    gpu_stream *stream;
} bert_pass;

static void pass_free(bert_pass *pass)
{
    gpu_stream_destroy(&pass->stream);
    gpu_buffer_destroy(&pass->in);
    gpu_buffer_destroy(&pass->out);
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

// ---- Recording ----

typedef struct recording {
    const vkb_model *model;
    bert_pass *pass;
} recording;

static void inputs_list(const bert_acts *acts, gpu_view views[IN_COUNT])
{
    views[IN_IDS] = acts->ids;
    views[IN_TYPES] = acts->types;
    views[IN_POSITIONS] = acts->positions;
    views[IN_SEGMENTS] = acts->segments;
    views[IN_INDEX] = acts->index;
}

static void pass_record(gpu_stream *s, void *user)
{
    const recording *r = user;
    const bert_pass *pass = r->pass;
    const bert_run run = {.config = &r->model->config,
                          .weights = &r->model->weights,
                          .panel = pass->panel,
                          .acts = &pass->acts};
    gpu_view views[IN_COUNT];
    inputs_list(&pass->acts, views);
    for (int i = 0; i < IN_COUNT; i++)
        gpu_copy(s, pass->parts[i], views[i]);
    bert_forward(s, &run);
    bert_head_forward(s, &run);
    if (pass->out)
        gpu_copy(s, pass->acts.logits, gpu_whole(pass->out));
}

static vkb_status pass_create(vkb_model *model, bert_shape shape, bert_pass **out)
{
    vkb_status status = VKB_OK;
    vkb_device *dev = model->dev;
    gpu_view views[IN_COUNT];
    uint64_t bytes = 0;
    bert_pass *pass = calloc(1, sizeof(*pass));
    if (!pass)
        return vkb_fail_memory(gpu_context(dev), sizeof(*pass), "an inference pass");
    pass->panel = model->panel;
    BASE_TRY(bert_acts_create(dev, &model->config, shape, &pass->acts));
    inputs_list(&pass->acts, views);
    for (int i = 0; i < IN_COUNT; i++)
        bytes += views[i].bytes;
    BASE_TRY(gpu_buffer_create(dev, "texts", bytes, GPU_UPLOAD, &pass->in));
    if (!gpu_is_direct(pass->acts.logits))
        BASE_TRY(
            gpu_buffer_create(dev, "answers", pass->acts.logits.bytes, GPU_READBACK, &pass->out));
    bytes = 0;
    for (int i = 0; i < IN_COUNT; bytes += views[i++].bytes)
        pass->parts[i] = gpu_part(gpu_whole(pass->in), bytes, views[i].bytes);
    recording r = {model, pass};
    BASE_TRY(gpu_record(dev, "inference", false, pass_record, &r, &pass->stream));
    *out = pass;
    return VKB_OK;
cleanup:
    pass_free(pass);
    return status;
}

// ---- Finding one ----

static uint32_t round_up(uint32_t count, uint32_t step)
{
    return (count + step - 1) / step * step;
}

uint32_t bert_length_bucket(const vkb_model *model, uint32_t length)
{
    const uint32_t most = model->config.max_position_embeddings;
    const uint32_t rounded = round_up(length, LENGTH_BUCKET);
    return rounded < most ? rounded : most;
}

static bool pass_serves(const bert_pass *pass, uint32_t panel, bert_shape shape)
{
    const bert_shape *has = &pass->acts.shape;
    return pass->panel == panel && has->rows == shape.rows && has->length == shape.length &&
           has->predictions == shape.predictions;
}

// Frees the passes behind the first few: those not used for the longest time.
static void passes_limit(vkb_model *model, uint32_t count, uint32_t tokens)
{
    for (bert_pass **at = &model->passes; *at;) {
        bert_pass *pass = *at;
        tokens += pass->acts.shape.rows * pass->acts.shape.length;
        if (++count > PASSES_KEPT || tokens > TOKENS_KEPT || pass->panel != model->panel) {
            *at = pass->next;
            pass_free(pass);
        } else {
            at = &pass->next;
        }
    }
}

// The pass of this shape, moved to the front.
static vkb_status pass_find(vkb_model *model, bert_shape shape, bert_pass **out)
{
    for (bert_pass **at = &model->passes; *at; at = &(*at)->next) {
        bert_pass *pass = *at;
        if (!pass_serves(pass, model->panel, shape))
            continue;
        *at = pass->next;
        pass->next = model->passes;
        *out = model->passes = pass;
        return VKB_OK;
    }
    passes_limit(model, 1, shape.rows * shape.length);
    vkb_status status = pass_create(model, shape, out);
    if (status != VKB_OK)
        return status;
    (*out)->next = model->passes;
    model->passes = *out;
    return VKB_OK;
}

// ---- Running one ----

static void inputs_write(const vkb_model *model, const bert_pass *pass, const bert_text *texts)
{
    const bert_shape *shape = &pass->acts.shape;
    const uint32_t length = shape->length;
    uint32_t *in[IN_COUNT], predictions = 0;
    for (int i = 0; i < IN_COUNT; i++)
        in[i] = gpu_mapped(pass->parts[i]);
    for (uint32_t row = 0; row < shape->rows; row++) {
        const bert_text *text = &texts[row];
        for (uint32_t i = 0; i < length; i++) {
            const uint32_t at = row * length + i;
            const bool real = i < text->length;
            in[IN_IDS][at] = real ? text->ids[i] : model->config.pad_token_id;
            in[IN_TYPES][at] = 0;
            in[IN_POSITIONS][at] = i;
            in[IN_SEGMENTS][at] = real;
        }
        for (uint32_t i = 0; i < text->predictions; i++)
            in[IN_INDEX][predictions++] = row * length + text->index[i];
    }
    while (predictions < shape->predictions)
        in[IN_INDEX][predictions++] = OP_NONE;
}

vkb_status bert_infer(vkb_model *model, const bert_text *texts, uint32_t count, float *logits)
{
    vkb_status status = VKB_OK;
    bert_pass *pass = NULL;
    uint64_t ticket;
    uint32_t predictions = 0;
    for (uint32_t i = 0; i < count; i++)
        predictions += texts[i].predictions;
    const bert_shape shape = {.rows = count,
                              .length = bert_length_bucket(model, texts[0].length),
                              .predictions = round_up(predictions, PREDICTIONS_BUCKET)};
    gpu_lock(model->dev);
    BASE_TRY(bert_weights_pack(model));
    BASE_TRY(pass_find(model, shape, &pass));
    inputs_write(model, pass, texts);
    BASE_TRY(gpu_submit(model->dev, &pass->stream, 1, &ticket));
    BASE_TRY(gpu_wait(model->dev, ticket));
    const uint64_t bytes = 4ull * predictions * model->config.vocab_size;
    if (pass->out)
        memcpy(logits, gpu_mapped(gpu_whole(pass->out)), bytes);
    else
        BASE_TRY(gpu_download(model->dev, gpu_part(pass->acts.logits, 0, bytes), logits));
cleanup:
    gpu_unlock(model->dev);
    return status;
}
