// What the forward and the backward pass agree on: which tensors an operation reads, and which site
// a dropout has.
#ifndef VKB_BERT_PASSES_H
#define VKB_BERT_PASSES_H

#include "bert/bert.h"

// Dropout sites: unique in a step, the same in forward and backward.
enum { BERT_EMBED_SITE = 0 };
#define BERT_PROBS_SITE(layer) (1 + 3 * (layer))
#define BERT_DENSE_SITE(layer) (2 + 3 * (layer))
#define BERT_DOWN_SITE(layer) (3 + 3 * (layer))

// One layer, from bert_layer_input to its output. The same bits, however often it is run in a step.
void bert_layer_forward(gpu_stream *s, const bert_run *run, uint32_t layer);

static inline op_dropout bert_hidden_dropout(const bert_run *run, uint32_t site)
{
    return (op_dropout){run->step, site, run->dropout ? run->config->hidden_dropout_prob : 0};
}

// Of layer 0 the embeddings, else the output of the layer before; of num_hidden_layers the last's.
static inline gpu_view bert_layer_input(const bert_run *run, uint32_t layer)
{
    return layer ? run->acts->layers[layer - 1].out : run->acts->embed_out;
}

static inline uint32_t bert_logits_ld(const bert_run *run)
{
    return bert_logits_columns(run->config, run->acts->shape);
}

static inline op_embedding bert_embedding(const bert_run *run)
{
    const bert_acts *a = run->acts;
    const bert_params *w = run->masters ? run->masters : run->weights, *g = run->grads;
    return (op_embedding){
        .ids = a->ids,
        .types = a->types,
        .positions = a->positions,
        // Packed by panels of its own rows, the last one of what is left.
        .word = gpu_part(w->word, 0, 4ull * run->config->vocab_size * run->config->hidden_size),
        .type = w->type,
        .position = w->position,
        .word_grad = g ? g->word : (gpu_view){0},
        .type_grad = g ? g->type : (gpu_view){0},
        .position_grad = g ? g->position : (gpu_view){0},
        .tokens = a->shape.rows * a->shape.length,
        .hidden = run->config->hidden_size,
        .type_count = run->config->type_vocab_size,
        .pad_id = run->config->pad_token_id,
        .word_panel = run->panel,
    };
}

// Queries, keys or values (i 0, 1, 2) of a layer, of its qkv or dqkv: columns of [N][3H] where its
// three weights lie together and a product computes all, else [N][H] one behind the other.
static inline gpu_view bert_third(const bert_run *run, uint32_t layer, gpu_view qkv, uint32_t i)
{
    const bert_shape *shape = &run->acts->shape;
    const uint64_t size = gpu_type_bytes(qkv.type), H = run->config->hidden_size;
    const uint64_t N = (uint64_t)shape->rows * shape->length;
    if (run->weights->layers[layer].qkv.buffer)
        return gpu_part(qkv, i * H * size, (3 * N - 2) * H * size);
    return gpu_part(qkv, i * (qkv.bytes / 3), N * H * size);
}

static inline op_attention bert_attention(const bert_run *run, uint32_t layer)
{
    const bert_layer_acts *a = &run->acts->layers[layer];
    const bert_acts *all = run->acts;
    float p = run->dropout ? run->config->attention_probs_dropout_prob : 0;
    const bool training = all->shape.training;
    const gpu_view none = {0};
    return (op_attention){
        .q = bert_third(run, layer, a->qkv, 0),
        .k = bert_third(run, layer, a->qkv, 1),
        .v = bert_third(run, layer, a->qkv, 2),
        .ld = run->weights->layers[layer].qkv.buffer ? 3 * run->config->hidden_size : 0,
        .segments = all->segments,
        .stats = a->stats,
        .probs = a->probs,
        .context = a->context,
        .dcontext = all->dcontext,
        .dq = training ? bert_third(run, layer, all->dqkv, 0) : none,
        .dk = training ? bert_third(run, layer, all->dqkv, 1) : none,
        .dv = training ? bert_third(run, layer, all->dqkv, 2) : none,
        .rows = all->shape.rows,
        .length = all->shape.length,
        .heads = run->config->num_attention_heads,
        .hidden = run->config->hidden_size,
        .dropout = {run->step, BERT_PROBS_SITE(layer), p},
    };
}

#endif
