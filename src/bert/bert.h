// BERT with its two heads: parameters and activations as tables, forward and backward as lists of
// operations (Devlin et al. 2018; the formulas as transformers' BertForMaskedLM and, with pooler
// and NSP head, BertForPreTraining have them).
//
//   layout        where each tensor of params.def lies: in slabs that fit the device's limits
//   bert_params   views of one copy of them: weights, gradients and moments are laid out alike
//   bert_acts     views of everything else a pass touches, from activations.def; tensors that are never
//                 needed at the same time share bytes
//   vkb_model     configuration, layout and weights
#ifndef VKB_BERT_H
#define VKB_BERT_H

#include "base/philox.h"
#include "hf/tensor.h"
#include "ops/ops.h"

// ---- Parameters ----

typedef enum bert_decay { BERT_DECAY, BERT_PLAIN } bert_decay;
typedef enum bert_init {
    BERT_NORMAL,
    BERT_ZERO,
    BERT_ONE,
    BERT_WORD,
    BERT_POSITION,
    BERT_QUERY,
    BERT_KEY,
} bert_init;

// Which objective trains a tensor.
typedef enum bert_part {
    BERT_ENCODER, // every one
    BERT_MLM_HEAD,
    BERT_PAIR_HEAD,
    BERT_PARTS,
} bert_part;

typedef struct bert_tensor {
    char name[80];       // canonical, as in a checkpoint
    uint32_t rows, cols; // rows 0: a vector
    bert_decay decay;
    bert_init init;
    bert_part part;
    uint32_t slab;
    uint64_t offset, bytes; // in its slab
    uint64_t room;          // bytes that are kept for it; what is behind its own is 0 always
    // Tensors from this one on that lie side by side, so that a product may take them as one: 1, or
    // 3 of a query; 0: it belongs to one before.
    uint32_t together;
} bert_tensor;

enum { BERT_MAX_SLABS = 64 };

// Tensors of the vocabulary have room for a whole number of so many rows, so that products over it
// are of whole tiles, and rows of logits of any type.
enum { BERT_VOCAB_STEP = 64 };
static inline uint32_t bert_vocab_room(const vkb_config *config)
{
    return (config->vocab_size + BERT_VOCAB_STEP - 1) / BERT_VOCAB_STEP * BERT_VOCAB_STEP;
}

typedef struct bert_slab {
    uint64_t bytes;
    bert_decay decay; // of all its tensors, and so is the part
    bert_part part;
    const char *only; // the name of its tensor, when that has it for itself; NULL: it has several
} bert_slab;

typedef struct bert_layout {
    bert_tensor *tensors; // in the order of params.def
    uint32_t tensor_count;
    bert_slab *slabs;
    uint32_t slab_count;
    uint64_t elements; // without padding
} bert_layout;

// No slab is larger than slab_limit bytes, but for one tensor alone that is.
vkb_status bert_layout_create(vkb_context *ctx, const vkb_config *config, uint64_t slab_limit,
                              uint64_t alignment, bert_layout *out);
void bert_layout_free(bert_layout *layout);

typedef struct bert_layer_params {
#define LAYER(field, name, rows, cols, decay, init) gpu_view field;
#include "bert/params.def"
    // query, key and value as one [3H][H], and [3H]; empty where the device cannot bind columns of
    // what a product with them gives, [N][3H], or three such weights at once.
    gpu_view qkv, qkv_bias;
} bert_layer_params;

// One copy of all parameters on the device: weights, gradients, or a moment. Views are of a
// tensor's room.
typedef struct bert_params {
    gpu_buffer **slabs; // [layout->slab_count]
    uint32_t slab_count;
    bert_layer_params *layers; // [num_hidden_layers]
#define PARAM(field, name, rows, cols, decay, init) gpu_view field;
#define HEAD(field, name, rows, cols, decay, init) gpu_view field;
#define PAIR(field, name, rows, cols, decay, init) gpu_view field; // empty without next_sentence
#include "bert/params.def"
} bert_params;

vkb_status bert_params_create(vkb_device *dev, const bert_layout *layout, uint32_t layers,
                              const char *what, bert_params *out);
void bert_params_free(bert_params *params);
// What products read of the weights where a pass is in 16 bits: a copy of every slab of matrices;
// the other fields, and those of the pair head, whose few rows are computed in fp32, are the
// weights' own. Whoever made it casts the weights into it once (bert_halves_slab); bert_update
// keeps it then.
vkb_status bert_halves_create(vkb_device *dev, const bert_layout *layout, uint32_t layers,
                              const bert_params *weights, gpu_type type, bert_params *out);
gpu_view bert_halves_slab(const bert_params *halves, uint32_t slab, gpu_type type);
uint64_t bert_halves_bytes(const bert_layout *layout);
// A tensor without what its room is longer.
gpu_view bert_params_view(const bert_params *params, const bert_tensor *tensor);
// Fills what rooms are longer than their tensors with zeros.
vkb_status bert_params_clear_rooms(vkb_device *dev, const bert_layout *layout,
                                   const bert_params *params);
// The tensors that lie side by side from this one on.
gpu_view bert_params_together(const bert_params *params, const bert_tensor *tensor);

// ---- Model ----

// A tensor that nothing computes with, and that is saved again: of a pooler without its
// next-sentence head, or a head without its pooler.
typedef struct bert_kept {
    char name[80]; // canonical
    uint32_t rank;
    uint64_t shape[HF_MAX_RANK], count;
    float *values; // [count]
} bert_kept;

struct vkb_model {
    vkb_device *dev;
    vkb_config config;
    struct cJSON *config_file; // config.json as it was read; NULL: there was none
    bert_layout layout;
    bert_params weights;
    bert_kept *kept;
    size_t kept_count;
    struct bert_pass *passes; // recorded inference passes, see inference.c
    uint32_t panel;           // of the weights, packed; 0: they are as a checkpoint has them
    uint32_t borrowers;       // who counts on the latter
};

// A model with its memory, weights not set.
vkb_status bert_model_allocate(vkb_device *dev, const vkb_config *config, vkb_model **out);

// out[i] ~ N(0, deviation), of the draws from a counter on: element / 4 is added to its first two
// words.
void bert_normal(uint64_t seed, philox4 counter, double deviation, uint64_t count, float *out);
// Sets parameter `index` of the layout, drawn as vkb_model_create documents: by seed and index
// alone.
vkb_status bert_init_tensor(vkb_model *model, const vkb_init_params *params, uint32_t index);
// Sets the elements of a tensor of the vocabulary that lie behind those of `from`, as transformers'
// resize_token_embeddings does.
vkb_status bert_grow_tensor(vkb_model *model, const bert_tensor *t, const hf_tensor *from,
                            uint64_t seed);

// ---- Activations ----

typedef struct bert_shape {
    uint32_t rows, length;   // a micro-batch
    uint32_t predictions;    // at most
    bool training;           // keep what the backward needs
    bool recompute;          // of each layer its output alone; the backward computes the rest again
    bool apart;              // for tests: no two tensors share bytes
    vkb_precision precision; // of activations; types in activations.def
} bert_shape;

// Elements of a row of logits: the vocabulary's room, but where they are read back as they are.
static inline uint32_t bert_logits_columns(const vkb_config *config, bert_shape shape)
{
    return shape.training ? bert_vocab_room(config) : config->vocab_size;
}

static inline gpu_type bert_gpu_type(vkb_precision precision)
{
    return precision == VKB_FP16 ? GPU_F16 : precision == VKB_BF16 ? GPU_BF16 : GPU_F32;
}

typedef struct bert_layer_acts {
#define OUTPUT(field, ...) gpu_view field;
#define LAYER(field, ...) gpu_view field;
#include "bert/activations.def"
} bert_layer_acts;

typedef struct bert_acts {
    bert_shape shape;
    bert_layer_acts *layers; // [num_hidden_layers]
    gpu_buffer **buffers;
    uint32_t buffer_count;
#define INPUT(field, ...) gpu_view field;
#define KEPT(field, ...) gpu_view field;
#define WORK(field, ...) gpu_view field;
#define BACK(field, ...) gpu_view field;
#include "bert/activations.def"
} bert_acts;

vkb_status bert_acts_create(vkb_device *dev, const vkb_config *config, bert_shape shape,
                            bert_acts *out);
void bert_acts_free(bert_acts *acts);

// Bytes by name, and in how many of them something named before lies too: without those, the sum is
// what is allocated.
typedef void (*bert_plan_fn)(void *user, const char *name, uint64_t bytes, uint64_t shared);
// Calls entry once for the activations of each name on such a device (max_allocation 0: any).
// false: the host has no memory for it.
bool bert_acts_plan(const vkb_device_info *device, const vkb_config *config, bert_shape shape,
                    bert_plan_fn entry, void *user);

// ---- Passes ----

typedef struct bert_run {
    const vkb_config *config;
    const bert_params *weights; // of products and vectors: bert_halves, or the masters
    // fp32: what embeddings are looked up in, and updates change; NULL: the weights
    const bert_params *masters;
    uint32_t panel;           // of packed weights (op_panel), forward only; 0: as they lie
    const bert_params *grads; // backward only
    const bert_acts *acts;
    gpu_view step, step_out; // struct step_in, struct step_out
    vkb_objective objective; // which heads there are loss and gradients of
    op_scaling scaling;      // of the gradients
    bool dropout;            // of the config's probabilities
    bool accumulate;         // backward: add to the gradients
} bert_run;

// acts->ids, types, positions, segments -> hidden states of the last layer.
void bert_forward(gpu_stream *s, const bert_run *run);
// acts->index -> logits of the predictions; acts->first -> pair_logits of the rows.
void bert_head_forward(gpu_stream *s, const bert_run *run);
// acts->labels, next_sentence -> losses into step_out; with gradient, logits become their own
// gradient.
//
// Gradients are of the sum of the MLM losses, which AdamW divides by all predictions of the step.
// For both objectives together the gradient of the NSP losses enters with the weight (predictions
// of this micro-batch / its pairs): of one micro-batch that gives mean MLM loss + mean NSP loss, of
// several
//
//     sum over micro-batches of predictions / all predictions * (mean MLM loss + mean NSP loss)
//
// so that one without predictions adds nothing, and one without pairs its MLM loss alone. NSP
// alone: the sum, divided by all pairs. step_out has the plain sums of both losses.
void bert_loss(gpu_stream *s, const bert_run *run, bool gradient);
// From the logits' gradient to the gradient of every parameter that the objective trains.
void bert_backward(gpu_stream *s, const bert_run *run);

typedef struct bert_adamw {
    float beta1, beta2, eps, weight_decay; // decay of the tensors that have it
} bert_adamw;

// Norm, clipping and AdamW over the parameters that the objective trains, from run->grads and
// struct step_in; the others are neither changed nor decayed.
void bert_update(gpu_stream *s, const bert_run *run, const bert_layout *layout,
                 const bert_params *exp_avg, const bert_params *exp_avg_sq,
                 const bert_adamw *adamw);

// ---- Checkpoints ----

// A copy of all parameters in a safetensors file: tensor names are the canonical ones and a suffix.
typedef struct bert_saved {
    const bert_params *params;
    const char *suffix; // "" weights, ".exp_avg" and ".exp_avg_sq" AdamW's moments
} bert_saved;

// Copies in F32.
vkb_status bert_params_save(const vkb_model *model, const char *path, const bert_saved *saved,
                            uint32_t saved_count);
// The weights and what is kept.
vkb_status bert_model_save(const vkb_model *model, const char *path, hf_dtype dtype);
vkb_status bert_params_load(const vkb_model *model, const char *path, const bert_saved *saved,
                            uint32_t saved_count);

// The weights of a model folder, whatever names its tensors have. Of the optional parts tensors may
// be absent: they start at random, as vkb_model_create would draw them. The log names those, and
// what the folder has that the model has not.
vkb_status bert_folder_load(vkb_model *model, const vkb_folder *folder,
                            const bool optional[BERT_PARTS], uint64_t seed);
hf_dtype bert_dtype(vkb_precision precision);
// Warns of the values of a rounded tensor that became infinite, if there are any.
void bert_log_overflow(vkb_context *ctx, const char *path, const hf_tensor *tensor,
                       uint64_t overflowed);

// Of the folder, what model->kept is for.
vkb_status bert_kept_load(vkb_model *model, const vkb_folder *folder);
void bert_kept_free(vkb_model *model);
// Whether it has anything of an MLM head besides the tied decoder.
bool bert_folder_has_mlm_head(const vkb_folder *folder);

// vkb_folder_compare against another layout than the config's.
vkb_status bert_folder_compare(vkb_context *ctx, const vkb_folder *folder,
                               const bert_layout *layout, vkb_tensor_fault **list, size_t *count);
// Moves those that are none, as their tensors may be absent, to the end of the list; returns how
// many.
size_t bert_split_absent(const bert_layout *layout, const bool optional[BERT_PARTS],
                         vkb_tensor_fault *list, size_t count);
// VKB_BAD_FILE when a tensor of the list is missing or mismatched; the log has those that the
// sentence has no room for. expected: tensors of the model.
vkb_status bert_fail_faults(vkb_context *ctx, const vkb_folder *folder,
                            const vkb_tensor_fault *list, size_t count, uint32_t expected);
void bert_log_unexpected(vkb_context *ctx, const vkb_folder *folder, const vkb_tensor_fault *list,
                         size_t count);
// The missing ones, as tensors that start at random.
void bert_log_random(vkb_context *ctx, const vkb_folder *folder, const vkb_tensor_fault *list,
                     size_t count);

// ---- Inference ----

typedef struct bert_text {
    const uint32_t *ids;
    uint32_t length;
    const uint32_t *index; // tokens that are predicted
    uint32_t predictions;
} bert_text;

// Texts whose lengths have the same bucket may share a pass.
uint32_t bert_length_bucket(const vkb_model *model, uint32_t length);
// Logits [predictions of all texts][vocab_size] of `count` texts of one bucket, in one submission.
// Waits. The first call of a shape records a pass, which later calls use again. Locks the device.
vkb_status bert_infer(vkb_model *model, const bert_text *texts, uint32_t count, float *logits);
void bert_passes_free(vkb_model *model);

// ---- packed.c: the order of the weights ----

// Packs them for inference where the device wants that and nobody has borrowed them. The device is
// locked by the caller.
vkb_status bert_weights_pack(vkb_model *model);
// Weights are as a checkpoint has them from here until bert_weights_return, which is due after a
// failure too.
vkb_status bert_weights_borrow(vkb_model *model);
void bert_weights_return(vkb_model *model);

#endif
