// Push constants and shared structs of the kernels: one text for C and GLSL.
//
// Every member is a 32-bit scalar, so that both languages lay a struct out alike. Shapes are in
// elements. A strided matrix of a batch starts at element
//     first + (batch / inner) * outer_stride + (batch % inner) * inner_stride.
#ifndef VKB_SHADERS_PARAMS_H
#define VKB_SHADERS_PARAMS_H

#ifndef VKB_GLSL
#include <stdint.h>
typedef uint32_t vkb_uint;
#define uint vkb_uint
#endif
#include "params_matmul.h"
#include "params_step.h"

// ---- The step's own memory: what changes from step to step; and step_in, of params_step.h ----

// Written by the device; sums run over the micro-batches of a step.
struct step_out {
    uint predictions;        // masked tokens that the loss counts
    uint overflow;           // drawn beyond capacity and left unmasked
    uint top1, top5;         // predictions whose label is the best, among the five best
    uint pairs, pairs_right; // rows of next-sentence prediction, those classified right
    float loss_sum;          // nats
    float pair_loss_sum;     // nats
    float grad_norm;         // of the mean loss, before clipping
    float
        grad_scale; // what AdamW multiplies the summed gradients with: clip / predictions (or pairs)
    float bias_correction1, bias_correction2; // step_in's, of the updates that were not skipped
    float loss_scale;                         // of this step's gradients
    uint skipped; // updates so far whose gradients were not finite
    uint skip;    // 1: so are this step's, nothing is updated
};

// Dynamic loss scaling, from step to step (Micikevicius et al. 2018, "Mixed Precision Training"; the
// rule is torch.amp.GradScaler's). The gradient that the backward pass starts from, of the sum of
// losses, is multiplied with scale * unit; unit, which the kernels are given, is about 1 / predictions,
// so that scale means what it means there, of the mean loss.
struct loss_scale {
    float scale;
    uint good; // steps since it last changed
    uint skipped;
};

// ---- Kernels ----

// to[col][row] = from[row][col], batched; to is dense: [batch][cols][rows].
struct transpose_params {
    uint rows, cols, ld;
    uint inner, outer_stride, inner_stride;
};

// c[rows][ldc] = alpha * sum of parts (+ bias) (+ c).
struct matmul_sum_params {
    uint rows, cols, ldc, parts;
    float alpha;
    uint accumulate, has_bias;
};

// to[row][col] = from[row][col], batched; multiples of four.
struct convert_params {
    uint rows, cols, inner;
    uint from_ld, from_outer, from_inner;
    uint to_ld, to_outer, to_inner;
};

struct layernorm_params {
    uint rows, cols;
    float eps;
};

// sum = residual + dropout(x + bias), and its LayerNorm
struct residual_norm_params {
    uint rows, cols;
    float eps;
    uint site;
    float keep; // 1 - p
};

#define LAYERNORM_BWD_ROWS 64 // of a chunk at most: what shared memory holds of them

struct layernorm_bwd_params {
    uint rows, cols;
    uint rows_per_chunk, chunks;
    uint site_above, site_below; // of the dropout behind the LayerNorm, of the one before it
    float keep_above, keep_below;
};

struct columns_params {
    uint rows, cols;
    uint rows_per_chunk, chunks;
    uint select;   // only rows whose key equals this ...
    uint use_keys; // ... when not 0
};

#define COLUMN_FOURS 8 // fours of columns side by side, where invocations share the chunks

struct columns_finish_params {
    uint cols, chunks;
    uint count; // of sums
    uint accumulate;
};

struct gelu_params {
    uint count;
};

struct dropout_params {
    uint count;
    uint site;  // which dropout of the model, unique in a step
    float keep; // 1 - p
};

struct softmax_params {
    uint rows, cols;    // rows of all heads; cols: keys
    uint rows_per_mask; // rows of one sequence: heads * cols queries
    uint site;
    float keep; // 1: no dropout
};

struct attention_params {
    uint rows, row_length, heads, hidden; // a head has hidden / heads columns
    uint ld;                              // elements between rows of q, k, v and their gradients
    uint site;
    float keep;  // 1: no dropout
    float scale; // of the scores: 1 / sqrt(head size)
};

struct embedding_params {
    uint tokens, cols;
    uint first, count; // the words of this part of the table
    uint panel;        // of a packed table, else not read
    float eps;
    uint site;  // of the dropout behind the LayerNorm
    float keep; // 1 - p
};

// A pass of the sort by digits.
struct sort_params {
    uint count;
    uint with_places; // keys have their places beside them; else their place is where they are
    uint shift, bits; // of the digit
    uint block;       // keys that are counted and moved together
};

struct scatter_params {
    uint tokens, cols;
    uint skip, use_skip; // a key whose rows are left out (padding_idx)
    uint first, count;   // the keys of this part of the table
    uint chunk;          // sorted tokens that are summed together
};

struct rows_params {
    uint rows, cols; // rows: capacity of the index
};

struct mask_params {
    uint tokens, row_length; // tokens = rows * row_length
    uint capacity;           // predictions at most
    uint vocab_size, mask_id;
    uint special0, special1, special2; // never selected: [CLS] [SEP] [PAD]
    float probability;
    float mask_share, random_share; // 0.8 and 0.1; the rest stays
    uint whole_word;                // a piece that continues a word shares its draw
    uint label_all;                 // every real token is a prediction, not only the selected
};

struct cross_entropy_params {
    uint capacity, cols, ld;
    uint gradient; // 1: logits become softmax - onehot
    uint of_pairs; // which sums of step_out are added to
    float unit;    // of loss_scale; 0: the gradient is not scaled
};

struct pair_params {
    uint predictions, rows; // at most
};

struct sum_params {
    uint count;    // elements
    uint chunk;    // elements a workgroup sums
    uint first;    // where its partial sums start
    uint of_pairs; // the mean is over step_out.pairs, not predictions
    float unit;    // of loss_scale; 0: gradients are not scaled
};

struct adamw_params {
    uint count;
    float beta1, beta2, eps, weight_decay;
};

#ifndef VKB_GLSL
#undef uint
#endif
#endif
