// Initial weights: transformers' BertPreTrainedModel._init_weights, drawn by Philox so that a seed
// gives the same model everywhere. Normal values by Box and Muller (1958).
#include "bert/bert.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void bert_normal(uint64_t seed, philox4 counter, double deviation, uint64_t count, float *out)
{
    for (uint64_t i = 0; i < count; i += 4) {
        uint64_t block = i / 4;
        philox4 at_block = counter;
        at_block.v[0] += (uint32_t)block;
        at_block.v[1] += (uint32_t)(block >> 32);
        philox4 r = philox(seed, at_block);
        for (int pair = 0; pair < 2; pair++) {
            double u = 1.0 - philox_uniform(r.v[2 * pair]); // in (0, 1]
            double angle = 6.283185307179586 * philox_uniform(r.v[2 * pair + 1]);
            double radius = deviation * sqrt(-2.0 * log(u));
            uint64_t at = i + 2 * (uint64_t)pair;
            if (at < count)
                out[at] = (float)(radius * cos(angle));
            if (at + 1 < count)
                out[at + 1] = (float)(radius * sin(angle));
        }
    }
}

// What lets attention find its neighbours at once (docs/small-models.md has the figures): positions
// that differ within a row, not only across thousands of tokens, and outweigh words.
#define NEAR_BASE 100.0
#define NEAR_POSITIONS 2.0 // of initializer_range
#define NEAR_QUERIES 1.5

// Vaswani et al. 2017, section 3.5, where base is 10000, scaled to a standard deviation.
static void sinusoids_fill(float *out, uint32_t positions, uint32_t hidden, double base,
                           double deviation)
{
    for (uint32_t p = 0; p < positions; p++)
        for (uint32_t i = 0; i < hidden; i++) {
            double angle = p / pow(base, (double)(i - i % 2) / hidden);
            out[(size_t)p * hidden + i] =
                (float)(deviation * sqrt(2.0) * (i % 2 ? cos(angle) : sin(angle)));
        }
}

// What tensor `index` starts as.
static void tensor_fill(const vkb_model *model, const vkb_init_params *params, uint32_t index,
                        float *out)
{
    const bert_tensor *t = &model->layout.tensors[index];
    const vkb_config *c = &model->config;
    const uint64_t count = t->bytes / 4;
    uint32_t stream_id = index;
    double deviation = c->initializer_range;
    switch (t->init) {
    case BERT_ZERO:
    case BERT_ONE:
        for (uint64_t i = 0; i < count; i++)
            out[i] = t->init == BERT_ONE;
        return;
    case BERT_POSITION:
        if (params->position == VKB_POSITION_NORMAL)
            break;
        if (params->position == VKB_POSITION_NEAR)
            sinusoids_fill(out, t->rows, t->cols, NEAR_BASE, NEAR_POSITIONS * deviation);
        else
            sinusoids_fill(out, t->rows, t->cols, 10000, deviation);
        return;
    case BERT_QUERY:
    case BERT_KEY:
        if (params->key == VKB_KEY_NEAR)
            deviation *= NEAR_QUERIES;
        if (params->key != VKB_KEY_NORMAL && t->init == BERT_KEY)
            stream_id = index - 1; // the query stands before the key in params.def
        break;
    case BERT_NORMAL:
    case BERT_WORD:
        break;
    }
    bert_normal(params->seed, (philox4){{0, 0, stream_id, PHILOX_INIT}}, deviation, count, out);
    if (t->init == BERT_WORD && c->pad_token_id < t->rows)
        memset(out + (size_t)c->pad_token_id * t->cols, 0, t->cols * sizeof(float));
}

vkb_status bert_init_tensor(vkb_model *model, const vkb_init_params *params, uint32_t index)
{
    const bert_tensor *t = &model->layout.tensors[index];
    float *values = malloc(t->bytes);
    if (!values)
        return vkb_fail_memory(gpu_context(model->dev), t->bytes, t->name);
    tensor_fill(model, params, index, values);
    vkb_status status = gpu_upload(model->dev, bert_params_view(&model->weights, t), values);
    free(values);
    return status;
}
