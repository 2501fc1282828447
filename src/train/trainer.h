// The trainer: one recorded step, replayed.
//
//   feeder    a thread: the next rows of the data set into slots of mapped memory
//   micro     device: slot -> masks -> forward -> loss -> backward
//   update    device: norm and clipping -> AdamW -> metrics into mapped memory
//
// Rows and metrics go through rings, so that the host prepares the next rows while the device
// works, and waits only when a ring is full.
#ifndef VKB_TRAIN_TRAINER_H
#define VKB_TRAIN_TRAINER_H

#include "bert/bert.h"
#include "ops/tune.h"
#include "train/budget.h"
#include "train/feeder.h"
#include "train/profile.h"
#include "train/schedule.h"

#include <cjson/cJSON.h>

enum { TRAIN_RESULTS = 3 };

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
    uint64_t step;       // submitted optimiser steps
    uint64_t draw;       // submitted micro-batches: the counter of dropout
    train_cursor cursor; // behind the rows of the last submitted micro-batch
    uint64_t max_steps;  // of the run; with max_seconds an estimate, until it has ended
} train_position;

struct vkb_trainer {
    vkb_model *model;
    vkb_dataset *data;
    vkb_train_params params; // defaults filled in
    train_position at;
    uint64_t most_steps; // by max_steps or the epochs; 0: max_seconds alone ends the run

    bert_params grads, exp_avg, exp_avg_sq;
    bert_params halves;  // of the weights, for products in 16 bits; else empty
    gpu_buffer *scaling; // struct loss_scale, in fp16; else NULL
    bert_acts acts;
    train_inputs inputs;
    gpu_buffer *step_out;
    train_feeder *feeder;
    bool feeding;
    uint64_t last_ticket;              // of the newest submission
    uint64_t stalls;                   // times that it had ended before the next rows were there
    gpu_stream *first, *more, *update; // micro-batches: overwrite, or add to, the gradients
    train_profiler *profiler;          // NULL: the streams above are without timestamps
    train_result results[TRAIN_RESULTS];
    uint64_t next_result, oldest_result;

    vkb_metrics last; // of the newest finished step
    train_pace pace;
    train_budget budget;
    bool ended; // all its steps have been submitted
};

// Parameters with their documented defaults in place of zeros; VKB_BAD_ARGUMENT for what cannot be.
vkb_status train_params_complete(vkb_context *ctx, vkb_train_params *params);
// That the rows suit the model and the objective: ids within its vocabulary, length within its
// positions, pairs and a head for next-sentence prediction.
vkb_status train_check_rows(const vkb_model *model, const vkb_tokenizer *tok,
                            const vkb_dataset *data, vkb_objective objective);
// VKB_BAD_ARGUMENT: more tokens than 32 bits count.
vkb_status train_shape(vkb_context *ctx, const vkb_train_params *params, uint32_t length,
                       bert_shape *shape);

// precision.c: what 16 bits need. Creates halves and scaling, where the precision wants them.
vkb_status train_precision_create(vkb_trainer *trainer);
void train_precision_free(vkb_trainer *trainer);
op_scaling train_scaling(const vkb_trainer *trainer);
// Between a run and its checkpoint; good and skipped are counts, bits those of the scale.
typedef struct train_scale_state {
    uint64_t bits, good, skipped;
} train_scale_state;
vkb_status train_scale_get(const vkb_trainer *trainer, train_scale_state *out);
vkb_status train_scale_set(vkb_trainer *trainer, const train_scale_state *state);

// All that a trainer of such rows has on the device, for its model, data and complete params; tok
// and its data are NULL in a plan (gpu_plan).
vkb_status train_build(vkb_trainer *trainer, const vkb_tokenizer *tok, uint32_t length);
void train_tear_down(vkb_trainer *trainer);

// Finds out whether the run has ended. With max_seconds it may have to wait for steps to say so.
vkb_status train_look(vkb_trainer *trainer);

// fit_time.c: halves *rows, not below least, until a step takes at most `longest` seconds, as
// try_rows says.
typedef vkb_status (*train_try_fn)(void *user, uint32_t rows, double *seconds);
vkb_status train_fit_rows(train_try_fn try_rows, void *user, double longest, uint32_t least,
                          uint32_t *rows, double *seconds);

// record.c: everything that is recorded once.
vkb_status train_record(vkb_trainer *trainer);
void train_record_first(gpu_stream *s, void *trainer); // a micro-batch: the first of a step,
void train_record_more(gpu_stream *s, void *trainer);  // or another one
// The streams of a step (again), with timestamps or without.
vkb_status train_record_step(vkb_trainer *trainer, bool timed);

// tune.c: which variants the step's products have, for a checkpoint; and back from there, with the
// step recorded anew. object NULL: none.
bool train_tuning_save(const vkb_trainer *trainer, cJSON *object); // false: memory
vkb_status train_tuning_resume(vkb_trainer *trainer, const cJSON *object);

#endif
