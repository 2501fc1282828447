#include "train/inputs.h"

#include <stdlib.h>
#include <string.h>

// ---- On the device ----

// One bit an id: its piece begins with "##".
static vkb_status continues_upload(train_inputs *in, const vkb_tokenizer *tok)
{
    const uint32_t words = (in->vocab_size + 31) / 32;
    uint32_t *bits = calloc(words, sizeof(*bits));
    if (!bits)
        return vkb_fail_memory(gpu_context(in->dev), words * sizeof(*bits), "the words' pieces");
    for (uint32_t id = 0; id < in->vocab_size; id++) {
        const char *piece = tok ? vkb_tokenizer_piece(tok, id) : NULL;
        bits[id / 32] |= (uint32_t)(piece && strncmp(piece, "##", 2) == 0) << id % 32;
    }
    vkb_status status = gpu_upload(in->dev, gpu_whole(in->continues), bits);
    free(bits);
    return status;
}

// The place of each row's [CLS], for good.
static vkb_status first_upload(const train_inputs *in)
{
    const bert_shape shape = in->acts->shape;
    uint32_t *first = malloc(shape.rows * sizeof(*first));
    if (!first)
        return vkb_fail_memory(gpu_context(in->dev), shape.rows * sizeof(*first), "a batch");
    for (uint32_t row = 0; row < shape.rows; row++)
        first[row] = row * shape.length;
    vkb_status status = gpu_upload(in->dev, in->acts->first, first);
    free(first);
    return status;
}

vkb_status train_inputs_create(const vkb_model *model, const vkb_tokenizer *tok,
                               const vkb_dataset *data, const bert_acts *acts, train_inputs *out)
{
    vkb_status status = VKB_OK;
    vkb_device *dev = model->dev;
    const uint64_t tokens = (uint64_t)acts->shape.rows * acts->shape.length;
    train_inputs in = {
        .dev = dev,
        .acts = acts,
        // The model's may be padded.
        .vocab_size = tok    ? vkb_tokenizer_size(tok)
                      : data ? dataset_random_vocab(data)
                             : model->config.vocab_size,
    };
    if (data)
        in.special = dataset_special(data);
    const uint64_t words = (in.vocab_size + 31) / 32;
    BASE_TRY(gpu_buffer_create(dev, "step_in", sizeof(struct step_in), GPU_LOCAL, &in.step));
    BASE_TRY(gpu_buffer_create(dev, "raw ids", 4 * tokens, GPU_LOCAL, &in.raw_ids));
    BASE_TRY(gpu_buffer_create(dev, "examples", 4ull * acts->shape.rows, GPU_LOCAL, &in.examples));
    BASE_TRY(gpu_buffer_create(dev, "continues", 4 * words, GPU_LOCAL, &in.continues));
    BASE_TRY(continues_upload(&in, tok));
    BASE_TRY(first_upload(&in));
    *out = in;
    return VKB_OK;
cleanup:
    train_inputs_free(&in);
    return status;
}

void train_inputs_free(train_inputs *in)
{
    gpu_buffer_destroy(&in->step);
    gpu_buffer_destroy(&in->raw_ids);
    gpu_buffer_destroy(&in->examples);
    gpu_buffer_destroy(&in->continues);
}

// ---- Slots ----

// Bytes of each part, in the order of TRAIN_SLOT_PARTS.
static void part_bytes(const train_inputs *in, uint64_t bytes[])
{
    const uint64_t rows = 4ull * in->acts->shape.rows, tokens = rows * in->acts->shape.length;
    const uint64_t list[] = {sizeof(struct step_in), tokens, tokens, tokens, tokens, rows, rows};
    memcpy(bytes, list, sizeof(list));
}

enum {
#define X(part) PART_##part,
    TRAIN_SLOT_PARTS(X)
#undef X
        PART_COUNT
};

static uint64_t aligned(const train_inputs *in, uint64_t bytes)
{
    const uint64_t alignment = gpu_alignment(in->dev);
    return (bytes + alignment - 1) / alignment * alignment;
}

train_slot_parts train_slot_views(const train_inputs *in, const train_slot *slot)
{
    uint64_t bytes[PART_COUNT], at = 0;
    gpu_view parts[PART_COUNT];
    part_bytes(in, bytes);
    for (int i = 0; i < PART_COUNT; i++) {
        parts[i] = gpu_part(gpu_whole(slot->rows), at, bytes[i]);
        at += aligned(in, bytes[i]);
    }
    return (train_slot_parts){
#define X(part) .part = parts[PART_##part],
        TRAIN_SLOT_PARTS(X)
#undef X
    };
}

typedef struct slot_recording {
    const train_inputs *inputs;
    const train_slot *slot;
} slot_recording;

static void record_copy_in(gpu_stream *s, void *user)
{
    const slot_recording *r = user;
    const train_inputs *in = r->inputs;
    const train_slot_parts from = train_slot_views(in, r->slot);
    gpu_copy(s, from.step, gpu_whole(in->step));
    gpu_copy(s, from.ids, gpu_whole(in->raw_ids));
    gpu_copy(s, from.types, in->acts->types);
    gpu_copy(s, from.positions, in->acts->positions);
    gpu_copy(s, from.segments, in->acts->segments);
    gpu_copy(s, from.examples, gpu_whole(in->examples));
    gpu_copy(s, from.next_sentence, in->acts->next_sentence);
}

vkb_status train_slot_create(const train_inputs *in, train_slot *slot)
{
    uint64_t bytes[PART_COUNT], all = 0;
    part_bytes(in, bytes);
    for (int i = 0; i < PART_COUNT; i++)
        all += aligned(in, bytes[i]);
    slot_recording recording = {in, slot};
    vkb_status status = gpu_buffer_create(in->dev, "rows", all, GPU_UPLOAD, &slot->rows);
    if (status == VKB_OK)
        status = gpu_record(in->dev, "copy in", false, record_copy_in, &recording, &slot->copy_in);
    return status;
}

void train_slot_free(train_slot *slot)
{
    gpu_stream_destroy(&slot->copy_in);
    gpu_buffer_destroy(&slot->rows);
}

vkb_status train_slot_fill(const train_inputs *in, const train_slot *slot, const train_rows *rows,
                           uint32_t *used, uint64_t *tokens)
{
    const train_slot_parts parts = train_slot_views(in, slot);
    const uint32_t length = in->acts->shape.length;
    uint32_t *examples = gpu_mapped(parts.examples);
    uint32_t *next_sentence = gpu_mapped(parts.next_sentence);
    *used = 0;
    *tokens = 0;
    for (uint32_t r = 0; r < in->acts->shape.rows; r++) {
        const size_t at = (size_t)r * length;
        dataset_row row = {
            .ids = (uint32_t *)gpu_mapped(parts.ids) + at,
            .types = (uint32_t *)gpu_mapped(parts.types) + at,
            .positions = (uint32_t *)gpu_mapped(parts.positions) + at,
            .segments = (uint32_t *)gpu_mapped(parts.segments) + at,
        };
        const uint64_t place = rows->first + r;
        const bool real = place < rows->rows;
        if (real) {
            const uint64_t from = rows->shuffled
                                      ? dataset_shuffled(rows->rows, rows->seed, rows->epoch, place)
                                      : place;
            vkb_status status = dataset_read(rows->data, from, &row);
            if (status != VKB_OK)
                return status;
        } else {
            dataset_pad(&row, in->special.pad, length);
        }
        examples[r] = row.example;
        next_sentence[r] = real ? row.is_random : OP_NONE;
        *used += real;
        *tokens += row.used;
    }
    return VKB_OK;
}

// ---- Masks ----

void train_mask_complete(vkb_mask_params *m)
{
    m->mlm_probability = m->mlm_probability != 0 ? m->mlm_probability : 0.15;
    m->static_copies = m->static_copies ? m->static_copies : 1;
    if (m->masking == VKB_MASK_TUTORIAL) {
        m->mask_replace_prob = 1;
        m->random_replace_prob = 0;
        return;
    }
    m->mask_replace_prob = m->mask_replace_prob != 0 ? m->mask_replace_prob : 0.8;
    m->random_replace_prob = m->random_replace_prob != 0 ? m->random_replace_prob : 0.1;
    m->mask_replace_prob = m->mask_replace_prob < 0 ? 0 : m->mask_replace_prob;
    m->random_replace_prob = m->random_replace_prob < 0 ? 0 : m->random_replace_prob;
}

vkb_status train_mask_check(vkb_context *ctx, const vkb_mask_params *m)
{
    if (m->masking < VKB_MASK_MLM || m->masking > VKB_MASK_TUTORIAL)
        return vkb_fail(ctx, VKB_BAD_ARGUMENT, "there is no masking %d", (int)m->masking);
    if (!(m->mlm_probability >= 1e-6 && m->mlm_probability <= 1))
        return vkb_fail(ctx, VKB_BAD_ARGUMENT, "mlm_probability is %g, expected 1e-06 to 1",
                        m->mlm_probability);
    // 1e-6: shares such as 0.8 + 0.2 may round up
    if (!(m->mask_replace_prob + m->random_replace_prob <= 1 + 1e-6))
        return vkb_fail(
            ctx, VKB_BAD_ARGUMENT,
            "mask_replace_prob and random_replace_prob are %g and %g, expected at most 1 "
            "together",
            m->mask_replace_prob, m->random_replace_prob);
    return VKB_OK;
}

uint64_t train_mask_epoch(const vkb_mask_params *m, uint64_t epoch)
{
    const bool is_static = m->masking == VKB_MASK_STATIC || m->masking == VKB_MASK_TUTORIAL;
    return is_static ? epoch % m->static_copies : epoch;
}

uint32_t train_capacity(const vkb_mask_params *m, vkb_objective objective, uint32_t tokens)
{
    if (objective == VKB_OBJECTIVE_NSP)
        return 1; // of nothing
    if (m->masking == VKB_MASK_TUTORIAL)
        return tokens;
    return op_mask_capacity(tokens, m->mlm_probability, m->masking == VKB_MASK_WHOLE_WORD);
}

void train_draw(gpu_stream *s, const train_inputs *in, const vkb_mask_params *masks,
                vkb_objective objective, gpu_view step_out)
{
    const bert_acts *acts = in->acts;
    const bool masked = objective != VKB_OBJECTIVE_NSP;
    const op_mask mask = {
        .step = gpu_whole(in->step),
        .ids = gpu_whole(in->raw_ids),
        .segments = acts->segments,
        .continues = gpu_whole(in->continues), // read for whole words only
        .examples = gpu_whole(in->examples),
        .masked_ids = acts->ids,
        .index = acts->index,
        .labels = acts->labels,
        .step_out = step_out,
        .rows = acts->shape.rows,
        .length = acts->shape.length,
        .capacity = acts->shape.predictions,
        .vocab_size = in->vocab_size,
        .special = in->special,
        .probability = masked ? (float)masks->mlm_probability : 0,
        .mask_share = (float)masks->mask_replace_prob,
        .random_share = (float)masks->random_replace_prob,
        .whole_word = masks->masking == VKB_MASK_WHOLE_WORD,
        .label_all = masked && masks->masking == VKB_MASK_TUTORIAL,
    };
    gpu_label(s, "masking");
    op_mask_draw(s, &mask);
    gpu_label(s, "");
}
