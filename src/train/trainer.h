// The trainer: one recorded step, replayed.
//
//   feed      host: the next rows of the data set into a slot of mapped memory
//   micro     device: slot -> masks -> forward -> loss -> backward
//   update    device: norm and clipping -> AdamW -> metrics into mapped memory
//
// Rows and metrics go through rings, so that the host prepares the next rows while the device works,
// and waits only when a ring is full.
#ifndef VKB_TRAIN_TRAINER_H
#define VKB_TRAIN_TRAINER_H

#include "bert/bert.h"
#include "text/dataset.h"
#include "train/pace.h"
#include "train/schedule.h"

enum { TRAIN_SLOTS = 3 };

// Rows on their way to the device.
typedef struct train_slot {
    gpu_buffer *rows; // mapped: struct step_in, ids, segments, examples
    gpu_stream *copy_in;
    uint64_t ticket; // the submission that reads it
} train_slot;

// A step's results on their way back.
typedef struct train_result {
    gpu_buffer *out; // mapped: struct step_out
    gpu_stream *copy_out;
    uint64_t ticket;     // 0: free
    uint64_t tokens;     // fed into the step, without padding
    vkb_metrics metrics; // what the host knows of the step
} train_result;

// Where the run is; what a resumed run needs besides the parameters and the moments.
typedef struct train_position {
    uint64_t step; // submitted optimiser steps
    uint64_t draw; // submitted micro-batches: the counter of dropout
    uint64_t epoch;
    uint64_t row; // rows used of this epoch
    uint64_t max_steps;
    double seconds; // spent before a resume
} train_position;

struct vkb_trainer {
    vkb_model *model;
    vkb_dataset *data;
    vkb_train_params params; // defaults filled in
    vkb_special_ids special;
    train_position at;
    uint64_t rows; // of this epoch
    uint32_t *types, *positions; // of a row
    uint64_t steps_per_epoch;

    bert_params grads, exp_avg, exp_avg_sq;
    bert_acts acts;
    gpu_buffer *step, *step_out, *raw_ids, *examples;
    gpu_stream *first, *more, *update; // micro-batches: overwrite, or add to, the gradients
    train_slot slots[TRAIN_SLOTS];
    train_result results[TRAIN_SLOTS];
    uint64_t next_slot, next_result, oldest_result;

    vkb_metrics last; // of the newest finished step
    train_pace pace;
    double started; // clock at the first step; 0 before it
};

// Parameters with their documented defaults in place of zeros; VKB_BAD_ARGUMENT for what cannot be.
vkb_status train_params_complete(vkb_context *ctx, vkb_train_params *params);
void train_mask_complete(vkb_mask_params *masks);
// That the rows suit the model: ids within its vocabulary, length within its positions.
vkb_status train_check_rows(const vkb_model *model, const vkb_tokenizer *tok,
                            const vkb_dataset *data);
bert_shape train_shape(const vkb_train_params *params, uint32_t length);

// record.c: everything that is recorded once.
vkb_status train_record(vkb_trainer *trainer);
// Where the parts of a slot lie, in bytes.
typedef struct train_slot_parts {
    gpu_view step, ids, segments, examples;
} train_slot_parts;
train_slot_parts train_slot_views(const vkb_trainer *trainer, const train_slot *slot);

// feed.c. Prepares the rows of the current epoch.
vkb_status train_epoch_begin(vkb_trainer *trainer);
// Submits the next micro-batch of the epoch, the first of its step or a later one; adds its real
// tokens to *tokens. Waits only for a slot that is still being read.
vkb_status train_feed(vkb_trainer *trainer, double rate, bool first, uint64_t *tokens);

// What mask_draw is told, for training and evaluation alike; masks has no zeros left to default.
void train_draw(gpu_stream *s, const bert_acts *acts, const vkb_config *config,
                vkb_special_ids special, const vkb_mask_params *masks, gpu_view step, gpu_view step_out,
                gpu_view raw_ids, gpu_view examples);

#endif
