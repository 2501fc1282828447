// The plain reference of every operation, in double: loops that read like the formula, no care for
// speed. tests/ops/test_ref.c proves the backwards by finite differences, tests/ops/test_*.c hold
// the device's operations (src/ops/ops.h, same names, same shapes) to them.
//
// Masks, ids and labels are uint32 as on the device; arguments are in the order of ops.h.
#ifndef VKB_TESTS_REF_H
#define VKB_TESTS_REF_H

#include "ops/ops.h"

// Shape, strides, layout, alpha, accumulate and batch of p; its views are not looked at. bias may
// be NULL.
void ref_matmul(const op_matmul_params *p, const double *a, const double *b, const double *bias,
                double *c);

// keys may be NULL: all rows.
void ref_sum_columns(const double *x, uint32_t rows, uint32_t cols, const uint32_t *keys,
                     uint32_t select, bool accumulate, double *sums);

void ref_embedding_fwd(const uint32_t *ids, const uint32_t *types, const uint32_t *positions,
                       const double *word, const double *type, const double *position,
                       uint32_t tokens, uint32_t hidden, double *y);
void ref_embedding_bwd(const uint32_t *ids, const uint32_t *types, const uint32_t *positions,
                       const double *dy, uint32_t tokens, uint32_t hidden, uint32_t pad_id,
                       double *word_grad, double *type_grad, double *position_grad);

void ref_layernorm_fwd(const double *x, const double *gain, const double *bias, uint32_t rows,
                       uint32_t cols, double eps, double *y, double *stat);
// dx may be dy.
void ref_layernorm_bwd(const double *x, const double *gain, const double *stat, const double *dy,
                       uint32_t rows, uint32_t cols, bool accumulate, double *dx, double *gain_grad,
                       double *bias_grad);

void ref_gelu_fwd(const double *x, size_t count, vkb_activation form, double *y);
void ref_tanh_fwd(const double *x, size_t count, double *y);
void ref_tanh_bwd(const double *y, const double *dy, size_t count, double *dx);
void ref_gelu_bwd(const double *x, const double *dy, size_t count, vkb_activation form, double *dx);

typedef struct ref_dropout {
    struct step_in step;
    uint32_t site;
    float p; // 0: none
} ref_dropout;

// What element i is multiplied by: 0, or 1 / (1 - p).
double ref_dropout_scale(const ref_dropout *d, size_t i);
void ref_dropout_apply(const ref_dropout *d, const double *x, size_t count, double *y);

typedef struct ref_attention {
    const double *q, *k, *v;  // [rows * length][hidden], rows ld apart
    const uint32_t *segments; // [rows * length]
    uint32_t rows, length, heads, hidden;
    uint32_t ld; // elements between rows of q, k, v and their gradients; 0: hidden
    ref_dropout dropout;
} ref_attention;

// probs [rows][heads][length][length], before dropout; may be NULL
void ref_attention_fwd(const ref_attention *a, double *probs, double *context);
// What lies between rows of dq, dk, dv is left alone.
void ref_attention_bwd(const ref_attention *a, const double *dcontext, double *dq, double *dk,
                       double *dv);

void ref_gather(const uint32_t *index, const double *x, uint32_t count, uint32_t cols, double *y);
void ref_scatter(const uint32_t *index, const double *dy, uint32_t count, uint32_t rows,
                 uint32_t cols, bool accumulate, double *dx);

typedef struct ref_loss {
    double sum;
    uint32_t top1, top5;
} ref_loss;

// row_stats as op_cross_entropy's; those of rows that do not count are zeros. dlogits may be NULL,
// and may be logits.
ref_loss ref_cross_entropy(const double *logits, const uint32_t *labels, uint32_t count,
                           uint32_t vocab_size, double *row_stats, double *dlogits);

// Of gradients of a sum of losses: the norm of the mean's, and what AdamW multiplies them with.
void ref_grad_norm(const double *const *grads, const size_t *counts, size_t grad_count,
                   uint32_t predictions, double max_grad_norm, double *norm, double *scale);

typedef struct ref_adamw {
    double lr, beta1, beta2, eps, weight_decay, grad_scale;
    double bias_correction1, bias_correction2; // 1 - beta^t
} ref_adamw;
void ref_adamw_step(const ref_adamw *a, const double *grads, size_t count, double *weights,
                    double *m, double *v);

#endif
