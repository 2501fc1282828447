// A micro-batch's way to the device: rows of a data set -> a slot of mapped memory -> what the
// first kernels read. Training has several slots, filled ahead by the feeder; evaluation has one.
#ifndef VKB_TRAIN_INPUTS_H
#define VKB_TRAIN_INPUTS_H

#include "bert/bert.h"
#include "text/dataset.h"

// On the device, beside the acts' own inputs.
typedef struct train_inputs {
    vkb_device *dev;
    const bert_acts *acts;
    gpu_buffer *step;      // struct step_in
    gpu_buffer *raw_ids;   // before the masks are drawn
    gpu_buffer *examples;  // uint32[rows]
    gpu_buffer *continues; // bits by id: the piece goes on a word
    vkb_special_ids special;
    uint32_t vocab_size;
} train_inputs;

// tok: NULL for random rows; data too: in a plan.
vkb_status train_inputs_create(const vkb_model *model, const vkb_tokenizer *tok,
                               const vkb_dataset *data, const bert_acts *acts, train_inputs *out);
void train_inputs_free(train_inputs *inputs);

typedef struct train_slot {
    gpu_buffer *rows; // mapped: the parts below, one behind the other
    gpu_stream *copy_in;
} train_slot;

// Where the parts of a slot lie.
#define TRAIN_SLOT_PARTS(X)                                                                        \
    X(step) X(ids) X(types) X(positions) X(segments) X(examples) X(next_sentence)
typedef struct train_slot_parts {
#define X(part) gpu_view part;
    TRAIN_SLOT_PARTS(X)
#undef X
} train_slot_parts;

vkb_status train_slot_create(const train_inputs *inputs, train_slot *slot);
void train_slot_free(train_slot *slot);
train_slot_parts train_slot_views(const train_inputs *inputs, const train_slot *slot);

// Which rows a slot gets: places first, first + 1, ... of an epoch's `rows`, shuffled by seed and
// epoch or as they stand. Behind the last the slot is padding, which nothing is drawn in or counted
// of.
typedef struct train_rows {
    vkb_dataset *data;
    uint64_t rows, first;
    bool shuffled;
    uint64_t seed, epoch;
} train_rows;

// Fills all parts but the step. *used: rows that are real; *tokens: theirs, without padding.
vkb_status train_slot_fill(const train_inputs *inputs, const train_slot *slot,
                           const train_rows *rows, uint32_t *used, uint64_t *tokens);

// ---- Masks ----

// Zeros become the defaults; negative shares 0.
void train_mask_complete(vkb_mask_params *masks);
vkb_status train_mask_check(vkb_context *ctx, const vkb_mask_params *masks);
// Which epoch's masks an epoch gets, and which epoch's pairs: static ones repeat.
uint64_t train_mask_epoch(const vkb_mask_params *masks, uint64_t epoch);
// Predictions that a micro-batch of that many tokens has room for.
uint32_t train_capacity(const vkb_mask_params *masks, vkb_objective objective, uint32_t tokens);
// Draws a micro-batch's masks; masks are complete. For next-sentence prediction alone nothing is
// masked.
void train_draw(gpu_stream *s, const train_inputs *inputs, const vkb_mask_params *masks,
                vkb_objective objective, gpu_view step_out);

#endif
