// Where each parameter lies: the walk over params.def, with the model's sizes put in.
//
// Tensors are put one behind the other into slabs, a slab being one buffer no larger than the device
// can bind; a tensor that is larger has one for itself, and operations bind parts of it. Those with
// weight decay and those without never share a slab, nor those of different heads, so that AdamW is one
// run a slab.
#include "bert/bert.h"

#include <stdio.h>
#include <stdlib.h>

static uint64_t size_of(uint32_t rows, uint32_t cols)
{
    return 4ull * (rows ? rows : 1) * cols;
}

// What params.def says of a tensor, and which layer it is in.
static void tensor_set(bert_tensor *t, const char *name, uint32_t layer, uint32_t rows,
                       uint32_t cols, bert_decay decay, bert_init init, bert_part part)
{
    snprintf(t->name, sizeof(t->name), name, layer);
    t->rows = rows;
    t->cols = cols;
    t->decay = decay;
    t->init = init;
    t->part = part;
    t->bytes = size_of(rows, cols);
    t->together = 1;
}

// Fills tensors in the order in which params.def is expanded, but for their room, which is the size that
// they have with V up to it: then only_room. NULL only counts.
static uint32_t tensors_list(const vkb_config *c, uint32_t V, bool only_room, bert_tensor *tensors)
{
    const uint32_t P = c->max_position_embeddings, T = c->type_vocab_size;
    const uint32_t H = c->hidden_size, I = c->intermediate_size;
    uint32_t n = 0;
#define ADD(part, layer, name, rows, cols, decay, init)                                            \
    do {                                                                                           \
        if (tensors && only_room)                                                                  \
            tensors[n].room = size_of(rows, cols);                                                 \
        else if (tensors)                                                                          \
            tensor_set(&tensors[n], name, layer, rows, cols, BERT_##decay, BERT_##init, part);     \
        n++;                                                                                       \
    } while (0);
#define PARAM(field, name, rows, cols, decay, init)                                                \
    ADD(BERT_ENCODER, 0, name, rows, cols, decay, init)
#define HEAD(field, name, rows, cols, decay, init)                                                 \
    ADD(BERT_MLM_HEAD, 0, name, rows, cols, decay, init)
#include "bert/params.def"
    for (uint32_t layer = 0; layer < c->num_hidden_layers; layer++) {
#define LAYER(field, name, rows, cols, decay, init)                                                \
    ADD(BERT_ENCODER, layer, name, rows, cols, decay, init)
#define JOINED(field, name, rows, cols, decay, init)                                               \
    LAYER(field, name, rows, cols, decay, init)                                                    \
    if (tensors)                                                                                   \
        tensors[n - 1].together = 0;
#include "bert/params.def"
    }
    if (c->next_sentence) {
#define PAIR(field, name, rows, cols, decay, init)                                                 \
    ADD(BERT_PAIR_HEAD, 0, name, rows, cols, decay, init)
#include "bert/params.def"
    }
#undef ADD
    return n;
}

// Tensors that params.def joins stay together where a slab may have them and where rows are of whole
// alignments: then they follow each other without padding, and of a row of what a product gives with
// them, each one's columns begin where the device may bind them.
static void joined_settle(bert_layout *layout, uint64_t limit, uint64_t alignment)
{
    for (uint32_t i = 0, count; i < layout->tensor_count; i += count) {
        bert_tensor *t = &layout->tensors[i];
        for (count = 1; i + count < layout->tensor_count && t[count].together == 0;)
            count++;
        const bool joined = count * t->bytes <= limit && 4ull * t->cols % alignment == 0;
        t->together = joined ? count : 1;
        for (uint32_t k = 1; k < count; k++)
            t[k].together = joined ? 0 : 1;
    }
}

static void slabs_assign(bert_layout *layout, uint64_t limit, uint64_t alignment)
{
    for (int group = 0; group < 2 * BERT_PARTS; group++) {
        const bert_decay decay = group % 2 ? BERT_PLAIN : BERT_DECAY;
        const bert_part part = (bert_part)(group / 2);
        bert_slab *slab = NULL;
        for (uint32_t i = 0; i < layout->tensor_count; i++) {
            bert_tensor *t = &layout->tensors[i];
            if (t->decay != decay || t->part != part)
                continue;
            uint64_t padded = (t->room + alignment - 1) / alignment * alignment;
            if (!slab || slab->bytes + t->together * padded > limit) {
                slab = &layout->slabs[layout->slab_count++];
                *slab = (bert_slab){.decay = decay, .part = part, .only = t->name};
            } else {
                slab->only = NULL;
            }
            t->slab = (uint32_t)(slab - layout->slabs);
            t->offset = slab->bytes;
            slab->bytes += padded;
            layout->elements += t->bytes / 4;
        }
    }
}

vkb_status bert_layout_create(vkb_context *ctx, const vkb_config *config, uint64_t slab_limit,
                              uint64_t alignment, bert_layout *out)
{
    bert_layout layout = {.tensor_count = tensors_list(config, 0, false, NULL)};
    layout.tensors = calloc(layout.tensor_count, sizeof(*layout.tensors));
    layout.slabs = calloc(layout.tensor_count, sizeof(*layout.slabs));
    if (!layout.tensors || !layout.slabs) {
        bert_layout_free(&layout);
        return vkb_fail_memory(ctx, layout.tensor_count * sizeof(*layout.tensors), "the layout");
    }
    tensors_list(config, config->vocab_size, false, layout.tensors);
    tensors_list(config, bert_vocab_room(config), true, layout.tensors);
    slab_limit -= slab_limit % alignment;
    joined_settle(&layout, slab_limit, alignment);
    slabs_assign(&layout, slab_limit, alignment);
    if (layout.slab_count > BERT_MAX_SLABS) {
        vkb_status status =
            vkb_fail(ctx, VKB_OUT_OF_MEMORY,
                     "the parameters need %u buffers of at most %llu MiB on this "
                     "device, %u are supported: choose a smaller model",
                     layout.slab_count, (unsigned long long)(slab_limit >> 20), BERT_MAX_SLABS);
        bert_layout_free(&layout);
        return status;
    }
    *out = layout;
    return VKB_OK;
}

void bert_layout_free(bert_layout *layout)
{
    free(layout->tensors);
    free(layout->slabs);
    *layout = (bert_layout){0};
}

gpu_view bert_params_view(const bert_params *params, const bert_tensor *tensor)
{
    return gpu_part(gpu_whole(params->slabs[tensor->slab]), tensor->offset, tensor->bytes);
}

gpu_view bert_params_together(const bert_params *params, const bert_tensor *tensor)
{
    return gpu_part(gpu_whole(params->slabs[tensor->slab]), tensor->offset,
                    tensor->together * tensor->bytes);
}

// The tensor in this copy, or in the weights where the copy has none of its slab.
static gpu_view tensor_view(const bert_params *p, const bert_params *weights, const bert_tensor *t,
                            gpu_type type)
{
    if (!p->slabs[t->slab])
        return tensor_view(weights, NULL, t, GPU_F32);
    const uint64_t size = gpu_type_bytes(type);
    gpu_view slab = gpu_whole(p->slabs[t->slab]);
    return gpu_typed(gpu_part(slab, t->offset / 4 * size, t->room / 4 * size), type);
}

// The same of the tensors that lie side by side from this one on.
static gpu_view together_view(const bert_params *p, const bert_params *weights,
                              const bert_tensor *t, gpu_type type)
{
    gpu_view view = tensor_view(p, weights, t, type);
    view.bytes *= t->together;
    return view;
}

// Which of a layer's tensors is which.
enum {
#define LAYER(field, name, rows, cols, decay, init) OF_LAYER_##field,
#include "bert/params.def"
};

// Points every field of params.def at its tensor, in the order of tensors_list.
static void views_set(bert_params *p, const bert_layout *layout, uint32_t layers,
                      const bert_params *weights, gpu_type type)
{
    const bert_tensor *t = layout->tensors, *end = t + layout->tensor_count;
#define VIEW tensor_view(p, weights, t++, type)
#define PARAM(field, name, rows, cols, decay, init) p->field = VIEW;
#define HEAD(field, name, rows, cols, decay, init) p->field = VIEW;
#include "bert/params.def"
    for (uint32_t layer = 0; layer < layers; layer++) {
        bert_layer_params *of = &p->layers[layer];
        const bert_tensor *first = t;
#define LAYER(field, name, rows, cols, decay, init) of->field = VIEW;
#include "bert/params.def"
        if (first[OF_LAYER_query].together > 1) {
            of->qkv = together_view(p, weights, &first[OF_LAYER_query], type);
            of->qkv_bias = together_view(p, weights, &first[OF_LAYER_query_bias], type);
        }
    }
    if (t == end)
        return;
#define PAIR(field, name, rows, cols, decay, init) p->field = VIEW;
#include "bert/params.def"
#undef VIEW
}

static bool slab_is_halved(const bert_slab *slab)
{
    return slab->decay == BERT_DECAY && slab->part != BERT_PAIR_HEAD;
}

// weights NULL: a copy of everything in fp32, else what bert_halves_create documents.
static vkb_status params_create(vkb_device *dev, const bert_layout *layout, uint32_t layers,
                                const char *what, const bert_params *weights, gpu_type type,
                                bert_params *out)
{
    vkb_status status = VKB_OK;
    bert_params params = {.slab_count = layout->slab_count,
                          .slabs = calloc(layout->slab_count, sizeof(*params.slabs)),
                          .layers = calloc(layers, sizeof(*params.layers))};
    if (!params.slabs || !params.layers)
        BASE_TRY(vkb_fail_memory(gpu_context(dev), layers * sizeof(*params.layers), what));
    for (uint32_t i = 0; i < layout->slab_count; i++) {
        const bert_slab *slab = &layout->slabs[i];
        char name[128];
        if (weights && !slab_is_halved(slab))
            continue;
        if (slab->only)
            snprintf(name, sizeof(name), "%s of %s", what, slab->only);
        else
            snprintf(name, sizeof(name), "%s %u", what, i);
        BASE_TRY(gpu_buffer_create(dev, name, slab->bytes / 4 * gpu_type_bytes(type), GPU_LOCAL,
                                   &params.slabs[i]));
    }
    views_set(&params, layout, layers, weights, type);
    *out = params;
    return VKB_OK;
cleanup:
    bert_params_free(&params);
    return status;
}

vkb_status bert_params_create(vkb_device *dev, const bert_layout *layout, uint32_t layers,
                              const char *what, bert_params *out)
{
    return params_create(dev, layout, layers, what, NULL, GPU_F32, out);
}

vkb_status bert_halves_create(vkb_device *dev, const bert_layout *layout, uint32_t layers,
                              const bert_params *weights, gpu_type type, bert_params *out)
{
    return params_create(dev, layout, layers, "16-bit weights", weights, type, out);
}

// The whole of a slab's copy; empty: it has none.
gpu_view bert_halves_slab(const bert_params *halves, uint32_t slab, gpu_type type)
{
    gpu_buffer *buffer = halves->slabs ? halves->slabs[slab] : NULL;
    return buffer ? gpu_typed(gpu_whole(buffer), type) : (gpu_view){0};
}

uint64_t bert_halves_bytes(const bert_layout *layout)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < layout->slab_count; i++)
        bytes += slab_is_halved(&layout->slabs[i]) ? layout->slabs[i].bytes / 2 : 0;
    return bytes;
}

typedef struct clearing {
    const bert_layout *layout;
    const bert_params *params;
} clearing;

static void record_clear(gpu_stream *s, void *user)
{
    const clearing *c = user;
    for (uint32_t i = 0; i < c->layout->tensor_count; i++) {
        const bert_tensor *t = &c->layout->tensors[i];
        if (t->room > t->bytes)
            gpu_fill(s,
                     gpu_part(gpu_whole(c->params->slabs[t->slab]), t->offset + t->bytes,
                              t->room - t->bytes),
                     0);
    }
}

vkb_status bert_params_clear_rooms(vkb_device *dev, const bert_layout *layout,
                                   const bert_params *params)
{
    return gpu_run_once(dev, "rooms", record_clear, &(clearing){layout, params});
}

void bert_params_free(bert_params *params)
{
    for (uint32_t i = 0; params->slabs && i < params->slab_count; i++)
        gpu_buffer_destroy(&params->slabs[i]);
    free(params->slabs);
    free(params->layers);
    *params = (bert_params){0};
}
