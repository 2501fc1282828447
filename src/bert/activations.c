// Allocates what a pass works in: the walk over activations.def, and a place for each tensor in few
// buffers, where those that are needed at no same time share bytes.
#include "bert/bert.h"
#include "bert/place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Places start at a cache line, and where any device may bind them. Buffers have so many bytes at most,
// unless a tensor needs more: a heap that is no longer in one piece still has room for them.
enum { ALIGNMENT = 256, BUFFER_BYTES = 1 << 30 };

// ---- Entries ----

enum act_kind { ACT_INPUT, ACT_KEPT, ACT_OUTPUT, ACT_LAYER, ACT_WORK, ACT_BACK };

enum {
#define PHASE(name) PHASE_##name,
#include "bert/activations.def"
    PHASE_COUNT
};
_Static_assert(PHASE_COUNT < 64, "a life has a bit for each phase");
enum { AGAIN = PHASE_ATTEND_AGAIN - PHASE_ATTEND }; // from a layer's phases to the same once more
_Static_assert(PHASE_DOWN_AGAIN - PHASE_DOWN == AGAIN, "the same phases in the same order");

typedef struct act_entry {
    enum act_kind kind;
    const char *name;
    gpu_type type;
    uint64_t count;          // elements
    size_t member;           // of bert_acts, or of bert_layer_acts for what each layer has
    uint64_t forward, whole; // life in a pass without a backward, and with one
} act_entry;

enum {
#define INPUT(field, ...) ENTRY_##field,
#define KEPT(field, ...) ENTRY_##field,
#define OUTPUT(field, ...) ENTRY_LAYER_##field,
#define LAYER(field, ...) ENTRY_LAYER_##field,
#define WORK(field, ...) ENTRY_##field,
#define BACK(field, ...) ENTRY_##field,
#include "bert/activations.def"
    ENTRY_COUNT
};

static void entries_list(const vkb_device_info *device, const vkb_config *c, bert_shape shape,
                         act_entry entries[ENTRY_COUNT])
{
    const uint64_t B = shape.rows, S = shape.length, N = B * S, R = shape.predictions;
    const uint64_t A = c->num_attention_heads, H = c->hidden_size, I = c->intermediate_size;
    const uint64_t L = bert_logits_columns(c, shape), Q = c->next_sentence ? B : 0;
    const uint64_t C =
        (N * H + 127) / 128 * 128; // 256 bytes of 16-bit elements: as much as any asks for
    const uint64_t F = op_attention_is_fused(device, c->num_attention_heads, c->hidden_size);
    const uint64_t W = shape.precision != VKB_FP32;
    const gpu_type F32 = GPU_F32, ACT = bert_gpu_type(shape.precision);
#define SPAN(first, last) ((2ull << PHASE_##last) - (1ull << PHASE_##first))
#define AT(phase) SPAN(phase, phase)
#define ONE(kind, of, field, type, count, forward, whole)                                          \
    {kind, #field, type, count, offsetof(of, field), forward, whole},
    const act_entry list[ENTRY_COUNT] = {
#define INPUT(field, count) ONE(ACT_INPUT, bert_acts, field, F32, count, UINT64_MAX, UINT64_MAX)
#define KEPT(field, type, count, first, last, back)                                                \
    ONE(ACT_KEPT, bert_acts, field, type, count, SPAN(first, last), SPAN(first, back))
#define OUTPUT(field, type, count, first, last, back)                                              \
    ONE(ACT_OUTPUT, bert_layer_acts, field, type, count, SPAN(first, last), SPAN(first, back))
#define LAYER(field, type, count, first, last, back)                                               \
    ONE(ACT_LAYER, bert_layer_acts, field, type, count, SPAN(first, last), SPAN(first, back))
#define WORK(field, type, count, when) ONE(ACT_WORK, bert_acts, field, type, count, when, when)
#define BACK(field, type, count, first, last)                                                      \
    ONE(ACT_BACK, bert_acts, field, type, shape.training ? (count) : 0, 0, SPAN(first, last))
#include "bert/activations.def"
    };
#undef SPAN
#undef AT
#undef ONE
    memcpy(entries, list, sizeof(list));
}

static uint64_t entry_bytes(const act_entry *e)
{
    return gpu_type_bytes(e->type) * e->count;
}

static bool is_of_layers(const act_entry *e)
{
    return e->kind == ACT_LAYER || e->kind == ACT_OUTPUT;
}

// How many tensors of this entry a pass has.
static uint32_t entry_copies(const act_entry *e, const vkb_config *config, bert_shape shape)
{
    if (e->count == 0)
        return 0;
    const bool each = e->kind == ACT_OUTPUT || (e->kind == ACT_LAYER && !shape.recompute);
    return each && shape.training ? config->num_hidden_layers : 1;
}

// When one of an entry's tensors is needed. Phases stand once for all layers, so that what one layer keeps
// is needed in all phases of the others; the backward begins with the last layer.
static uint64_t entry_life(const act_entry *e, const vkb_config *config, bert_shape shape,
                           uint32_t layer)
{
    const uint64_t from_layers = -(1ull << PHASE_ATTEND);
    const uint64_t to_layers = (2ull << PHASE_ATTEND_BACK) - 1;
    const uint64_t first = e->forward & -e->forward;
    if (shape.apart)
        return UINT64_MAX;
    if (!shape.training)
        return e->forward;
    if (e->kind != ACT_LAYER)
        return e->whole;
    if (shape.recompute)
        return e->forward | (e->whole & -(first << AGAIN));
    return layer + 1 < config->num_hidden_layers ? from_layers & to_layers : e->whole;
}

// ---- Places ----

typedef struct acts_layout {
    act_entry entries[ENTRY_COUNT];
    bert_place *places; // of all copies of the first entry, then of the second, ...
    size_t place_count;
    uint64_t *sizes; // bytes of each buffer
    uint32_t buffer_count;
} acts_layout;

static void layout_free(acts_layout *layout)
{
    free(layout->places);
    free(layout->sizes);
    *layout = (acts_layout){0};
}

// device: limits; max_allocation 0 is none.
static bool layout_create(const vkb_device_info *device, const vkb_config *config, bert_shape shape,
                          acts_layout *out)
{
    acts_layout layout = {0};
    size_t most = (size_t)ENTRY_COUNT * (config->num_hidden_layers + 1);
    uint64_t limit = BUFFER_BYTES;
    if (device->max_allocation && device->max_allocation < limit)
        limit = device->max_allocation;
    entries_list(device, config, shape, layout.entries);
    layout.places = calloc(most, sizeof(*layout.places));
    layout.sizes = calloc(most, sizeof(*layout.sizes));
    if (!layout.places || !layout.sizes)
        goto failed;
    for (int i = 0; i < ENTRY_COUNT; i++) {
        const act_entry *e = &layout.entries[i];
        for (uint32_t k = 0; k < entry_copies(e, config, shape); k++)
            layout.places[layout.place_count++] =
                (bert_place){.bytes = entry_bytes(e), .life = entry_life(e, config, shape, k)};
    }
    if (!bert_place_all(layout.places, layout.place_count, limit, ALIGNMENT, layout.sizes,
                        &layout.buffer_count))
        goto failed;
    *out = layout;
    return true;
failed:
    layout_free(&layout);
    return false;
}

// ---- Tensors ----

static gpu_view *entry_view(bert_acts *acts, const act_entry *e, uint32_t layer)
{
    char *base = is_of_layers(e) ? (char *)&acts->layers[layer] : (char *)acts;
    return (gpu_view *)(base + e->member);
}

static void views_set(bert_acts *acts, const acts_layout *layout, const vkb_config *config)
{
    const bert_place *place = layout->places;
    for (int i = 0; i < ENTRY_COUNT; i++) {
        const act_entry *e = &layout->entries[i];
        const uint32_t copies = entry_copies(e, config, acts->shape);
        for (uint32_t k = 0; k < copies; k++, place++)
            *entry_view(acts, e, k) = gpu_typed(
                gpu_part(gpu_whole(acts->buffers[place->buffer]), place->offset, place->bytes),
                e->type);
        for (uint32_t k = copies; is_of_layers(e) && k < config->num_hidden_layers; k++)
            *entry_view(acts, e, k) = *entry_view(acts, e, 0);
    }
}

// With the name of the tensor that a buffer has for itself.
static void buffer_name(const acts_layout *layout, const vkb_config *config, bert_shape shape,
                        uint32_t buffer, char *text, size_t room)
{
    const bert_place *place = layout->places;
    const char *name = NULL;
    snprintf(text, room, "activations");
    for (int i = 0; i < ENTRY_COUNT; i++)
        for (uint32_t k = 0; k < entry_copies(&layout->entries[i], config, shape); k++, place++) {
            if (place->buffer == buffer && name)
                return;
            if (place->buffer == buffer)
                name = layout->entries[i].name;
        }
    snprintf(text, room, "activation %s", name);
}

vkb_status bert_acts_create(vkb_device *dev, const vkb_config *config, bert_shape shape,
                            bert_acts *out)
{
    vkb_status status = VKB_OK;
    uint32_t layers = config->num_hidden_layers;
    acts_layout layout = {0};
    bert_acts acts = {.shape = shape, .layers = calloc(layers, sizeof(*acts.layers))};
    if (!acts.layers || !layout_create(vkb_device_get_info(dev), config, shape, &layout))
        BASE_TRY(vkb_fail_memory(gpu_context(dev), layers * sizeof(*acts.layers), "activations"));
    acts.buffers = calloc(layout.buffer_count, sizeof(*acts.buffers));
    if (!acts.buffers)
        BASE_TRY(vkb_fail_memory(gpu_context(dev), layout.buffer_count * sizeof(*acts.buffers),
                                 "activations"));
    for (uint32_t i = 0; i < layout.buffer_count; i++) {
        char name[64];
        buffer_name(&layout, config, shape, i, name, sizeof(name));
        BASE_TRY(gpu_buffer_create(dev, name, layout.sizes[i], GPU_LOCAL, &acts.buffers[i]));
        acts.buffer_count++;
    }
    views_set(&acts, &layout, config);
    *out = acts;
cleanup:
    layout_free(&layout);
    if (status != VKB_OK)
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

// ---- Plan ----

// Bytes of the buffers in which something lies: ranges that do not touch.
typedef struct covered {
    bert_place *at; // life is not used
    size_t count;
} covered;

// Adds a place; returns how many of its bytes were covered before.
static uint64_t cover(covered *c, const bert_place *place)
{
    const uint64_t begin = place->offset, end = begin + place->bytes;
    uint64_t shared = 0, lowest = begin, highest = end;
    size_t kept = 0;
    for (size_t i = 0; i < c->count; i++) {
        const bert_place range = c->at[i];
        const uint64_t behind = range.offset + range.bytes;
        if (range.buffer != place->buffer || behind < begin || range.offset > end) {
            c->at[kept++] = range;
            continue;
        }
        shared += (behind < end ? behind : end) - (range.offset > begin ? range.offset : begin);
        lowest = range.offset < lowest ? range.offset : lowest;
        highest = behind > highest ? behind : highest;
    }
    c->at[kept] = (bert_place){highest - lowest, 0, place->buffer, lowest};
    c->count = kept + 1;
    return shared;
}

bool bert_acts_plan(const vkb_device_info *device, const vkb_config *config, bert_shape shape,
                    bert_plan_fn entry, void *user)
{
    acts_layout layout;
    if (!layout_create(device, config, shape, &layout))
        return false;
    covered c = {calloc(layout.place_count + 1, sizeof(*c.at)), 0};
    const bert_place *place = layout.places;
    uint64_t between = 0;
    for (uint32_t i = 0; i < layout.buffer_count; i++)
        between += layout.sizes[i];
    for (int i = 0; c.at && i < ENTRY_COUNT; i++) {
        const act_entry *e = &layout.entries[i];
        const uint32_t copies = entry_copies(e, config, shape);
        uint64_t shared = 0;
        for (uint32_t k = 0; k < copies; k++)
            shared += cover(&c, place++);
        if (copies)
            entry(user, e->name, entry_bytes(e) * copies, shared);
        between -= entry_bytes(e) * copies - shared;
    }
    if (c.at && between)
        entry(user, "(between them)", between, 0);
    const bool ok = c.at;
    free(c.at);
    layout_free(&layout);
    return ok;
}
