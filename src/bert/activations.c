// Allocates what a pass works in: the walk over activations.def.
#include "bert/bert.h"

#include <stdlib.h>

enum act_kind { ACT_INPUT, ACT_KEPT, ACT_LAYER, ACT_WORK, ACT_BACK };

typedef struct act_entry {
    enum act_kind kind;
    const char *name;
    uint64_t count; // elements of 4 bytes
    size_t member;  // of bert_acts, or of bert_layer_acts for ACT_LAYER
} act_entry;

enum {
#define INPUT(field, count) ENTRY_##field,
#define KEPT(field, count) ENTRY_##field,
#define LAYER(field, count) ENTRY_LAYER_##field,
#define WORK(field, count) ENTRY_##field,
#define BACK(field, count) ENTRY_##field,
#include "bert/activations.def"
    ENTRY_COUNT
};

static void entries_list(const vkb_device_info *device, const vkb_config *c, bert_shape shape,
                         act_entry entries[ENTRY_COUNT])
{
    const uint64_t B = shape.rows, S = shape.length, N = B * S, R = shape.predictions;
    const uint64_t A = c->num_attention_heads, H = c->hidden_size, I = c->intermediate_size;
    const uint64_t V = c->vocab_size, Q = c->next_sentence ? B : 0;
    const uint64_t F = op_attention_is_fused(device, c->num_attention_heads, c->hidden_size);
    const act_entry list[ENTRY_COUNT] = {
#define INPUT(field, count) {ACT_INPUT, #field, count, offsetof(bert_acts, field)},
#define KEPT(field, count) {ACT_KEPT, #field, count, offsetof(bert_acts, field)},
#define LAYER(field, count) {ACT_LAYER, #field, count, offsetof(bert_layer_acts, field)},
#define WORK(field, count) {ACT_WORK, #field, count, offsetof(bert_acts, field)},
#define BACK(field, count) {ACT_BACK, #field, count, offsetof(bert_acts, field)},
#include "bert/activations.def"
    };
    for (int i = 0; i < ENTRY_COUNT; i++)
        entries[i] = list[i];
}

// How many tensors of this entry a pass has: layers share one in inference.
static uint32_t entry_copies(const act_entry *e, const vkb_config *config, bert_shape shape)
{
    if (e->count == 0)
        return 0;
    if (e->kind == ACT_BACK)
        return shape.training ? 1 : 0;
    return e->kind == ACT_LAYER && shape.training ? config->num_hidden_layers : 1;
}

static gpu_view *entry_view(bert_acts *acts, const act_entry *e, uint32_t layer)
{
    char *base = e->kind == ACT_LAYER ? (char *)&acts->layers[layer] : (char *)acts;
    return (gpu_view *)(base + e->member);
}

static vkb_status entry_create(vkb_device *dev, const vkb_config *config, const act_entry *e,
                               bert_acts *acts)
{
    uint32_t copies = entry_copies(e, config, acts->shape);
    for (uint32_t i = 0; i < copies; i++) {
        gpu_buffer **buffer = &acts->buffers[acts->buffer_count];
        vkb_status status = gpu_buffer_create(dev, e->name, e->count * 4, GPU_LOCAL, buffer);
        if (status != VKB_OK)
            return status;
        acts->buffer_count++;
        *entry_view(acts, e, i) = gpu_whole(*buffer);
    }
    for (uint32_t i = copies; e->kind == ACT_LAYER && i < config->num_hidden_layers; i++)
        *entry_view(acts, e, i) = *entry_view(acts, e, 0);
    return VKB_OK;
}

vkb_status bert_acts_create(vkb_device *dev, const vkb_config *config, bert_shape shape,
                            bert_acts *out)
{
    vkb_status status = VKB_OK;
    act_entry entries[ENTRY_COUNT];
    entries_list(vkb_device_get_info(dev), config, shape, entries);
    uint32_t layers = config->num_hidden_layers;
    size_t most = (size_t)ENTRY_COUNT * (layers + 1);
    bert_acts acts = {.shape = shape,
                      .layers = calloc(layers, sizeof(*acts.layers)),
                      .buffers = calloc(most, sizeof(*acts.buffers))};
    if (!acts.layers || !acts.buffers)
        BASE_TRY(vkb_fail_memory(gpu_context(dev), most * sizeof(*acts.buffers), "activations"));
    for (int i = 0; i < ENTRY_COUNT; i++)
        BASE_TRY(entry_create(dev, config, &entries[i], &acts));
    *out = acts;
    return VKB_OK;
cleanup:
    bert_acts_free(&acts);
    return status;
}

void bert_acts_free(bert_acts *acts)
{
    for (uint32_t i = 0; i < acts->buffer_count; i++)
        gpu_buffer_destroy(&acts->buffers[i]);
    free(acts->buffers);
    free(acts->layers);
    *acts = (bert_acts){0};
}

void bert_acts_plan(const vkb_device_info *device, const vkb_config *config, bert_shape shape,
                    void (*entry)(void *user, const char *name, uint64_t bytes), void *user)
{
    act_entry entries[ENTRY_COUNT];
    entries_list(device, config, shape, entries);
    for (int i = 0; i < ENTRY_COUNT; i++)
        entry(user, entries[i].name,
              4 * entries[i].count * entry_copies(&entries[i], config, shape));
}
