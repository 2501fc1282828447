// A model of a folder on a device, with batches of given ids and labels: what the golden tests run
// forward, backward and through AdamW.
#ifndef VKB_TESTS_BERT_MODEL_TRIAL_H
#define VKB_TESTS_BERT_MODEL_TRIAL_H

#include "bert/bert.h"

typedef struct model_batch {
    uint32_t rows, length;
    const int32_t *ids, *types, *attention_mask; // [rows * length]
    const int32_t *labels;                       // [rows * length]; -100: not counted
    const int32_t *next_sentence;                // [rows], the same, or NULL
    vkb_objective objective;
    float dropout;         // everywhere; 0: none
    bool recompute, apart; // see bert_shape
} model_batch;

typedef struct model_trial {
    vkb_device *dev;
    vkb_model *model;
    bert_params grads, exp_avg, exp_avg_sq;
    bert_acts acts;
    gpu_buffer *step, *step_out;
    bert_run run;
    bert_adamw adamw;
    uint32_t labelled; // of all batches so far
    gpu_stream *forward, *backward, *more, *update;
} model_trial;

// Every token is a prediction, so that all logits are there. With training, gradients and moments
// too; else only the forward pass and the loss.
vkb_status model_trial_open(vkb_device *dev, const char *folder, const model_batch *batch,
                            bool training, model_trial *out);
void model_trial_close(model_trial *trial);

// Logits [rows * length][V] (may be NULL) and the losses, of a trial without training.
vkb_status model_trial_forward(model_trial *trial, float *logits, struct step_out *out);
// Forward, loss with gradient, backward.
vkb_status model_trial_backward(model_trial *trial, struct step_out *out);
// The same of another batch of the same shape, its gradients and losses added.
vkb_status model_trial_more(model_trial *trial, const model_batch *batch, struct step_out *out);
// Step n (from 1) of AdamW, after model_trial_backward.
vkb_status model_trial_update(model_trial *trial, uint32_t n, float lr, struct step_out *out);

// Runs tests with the kernels that the device gets and, where those are a software driver's, with those
// that GPUs get.
void model_trial_variants(vkb_device *dev, void (*tests)(void));

#endif
