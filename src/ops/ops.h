// Every operation of BERT, forward and backward, recorded into a stream.
//
// Tensors are dense and row-major unless a stride is named. Activations and their gradients are
// fp32, or fp16 or bf16 by their views' type, all of an operation alike; everything else is fp32,
// and ids, types, positions, masks, labels and indices are uint32. T tokens = rows * length, H
// hidden_size, V vocab_size, A heads. A view must have at least the bytes its shape needs; an op
// checks that, and what the device's limits allow, before it records, and fails the stream
// (gpu_stream_fail) with a sentence.
//
// Gradients: `accumulate` adds to what the gradient holds, else it is overwritten. Sums run in a
// fixed order: the same inputs give the same bits on the same device.
#ifndef VKB_OPS_H
#define VKB_OPS_H

#include "gpu/gpu.h"
#include "shaders/params.h"

enum { OP_NONE = 0xFFFFFFFF }; // an empty entry of an index or a label

// ---- matmul.c: c = alpha * a b (+ bias) (+ c) ----
//
// a, b and c are of their views' types, sums and bias fp32. Rows and strides of 16-bit ones are
// multiples of four.

typedef enum op_layout {
    OP_NT, // y  = x  W^T   a [m][k], b [n][k]
    OP_NN, // dx = dy W     a [m][k], b [k][n]
    OP_TN, // dW = dy^T x   a [k][m], b [k][n]
} op_layout;

// What follows a product right away: in its kernel where that can, else in kernels of its own, with
// the same bits but for bias_grad's last ones. Of one product with alpha 1, which does not
// accumulate, and whose c is dense; tensors without a shape here are [m][n] and of c's type.
typedef enum op_then_kind {
    OP_THEN_NOTHING,
    OP_THEN_GELU,      // gelu = gelu(c), c = a b (+ bias)
    OP_THEN_GELU_BACK, // c = (a b) * gelu'(before)
    OP_THEN_NORM,      // op_residual_norm_fwd of x = a b, whose sum is c
} op_then_kind;

typedef struct op_then {
    op_then_kind kind;
    vkb_activation form; // of GELU
    gpu_view gelu;       // out; of GELU's backward optional: gelu(before) again
    gpu_view before;     // what GELU was of
    gpu_view bias_grad;  // [n] (+)= the sums of c over the rows: of the bias that `before` holds
    bool accumulate;     // to bias_grad
    const struct op_residual_norm *norm; // its x, sum, rows and cols are not looked at
} op_then;

typedef struct op_matmul_params {
    op_layout layout;
    gpu_view a, b, c;
    gpu_view bias; // [n], optional
    // uint32[1], optional: of a as it is stored, rows from this one on are zeros. A kernel may
    // leave them out; where they are m, rows of c that are then nothing but the bias (and c).
    gpu_view used;
    uint32_t m, n, k;
    uint32_t lda, ldb, ldc; // elements between rows as stored; 0: dense
    uint32_t b_panel; // b is a weight packed in panels of op_panel rows, see there; 0: it is not
    float alpha;      // 0: 1
    bool accumulate;
    op_then then; // the product's bias is not that of its GELU_BACK or NORM: none
    // outer * inner products, each operand's start moved by its strides (elements); 0: one product.
    struct {
        uint32_t outer, inner;
        uint32_t a_outer, a_inner, b_outer, b_inner, c_outer, c_inner;
    } batch;
} op_matmul_params;

// The kernel is chosen from the device's type, subgroups and limits.
void op_matmul_(gpu_stream *s, const op_matmul_params *params);
#define op_matmul(s, ...) op_matmul_((s), &(op_matmul_params){__VA_ARGS__})

// ---- packed.c: weights as software drivers read them fastest ----

// A weight W [n][k] is packed by panels of so many rows, the last one of what is left: each keeps
// its place and its bytes, and becomes [k / 4][rows][4]. 0: the device's products want W as it
// lies. Products with a packed b are y = x W^T (OP_NT) alone, dense, k and lda multiples of 4, not
// batched.
uint32_t op_panel(const vkb_device *dev);
// One panel, rows [rows][cols]; cols is a multiple of 4.
void op_pack(const float *from, uint32_t rows, uint32_t cols, float *to);
void op_unpack(const float *from, uint32_t rows, uint32_t cols, float *to);

// For tests and bench, process-wide: overrides the choice of kernels and workgroups
// (shaders/README.md has the table). A device whose subgroup size varies runs the GPUs' only.
typedef enum op_variant { OP_VARIANT_CHOSEN, OP_VARIANT_GPU, OP_VARIANT_SOFTWARE } op_variant;
void op_force_variant(op_variant variant);
// The same for the family of kernels of products, by name (matmul.h): it goes first wherever it
// admits the product. NULL ends it.
void op_force_matmul(const char *family);
// And for the family of fused kernels of attention: "tile", or "coop" where the device admits it,
// whatever is known of it. NULL ends it.
void op_force_attention(const char *family);

// ---- columns.c: sums[n] (+)= sum over rows of x[rows][cols], bias gradients ----

void op_sum_columns(gpu_stream *s, gpu_view x, uint32_t rows, uint32_t cols, bool accumulate,
                    gpu_view sums);
// Only the rows whose key equals `select`: keys uint32[rows].
void op_sum_columns_where(gpu_stream *s, gpu_view x, uint32_t rows, uint32_t cols, gpu_view keys,
                          uint32_t select, bool accumulate, gpu_view sums);

// ---- dropout.c: inverted scaling; Philox counter (element / 4, site, step), key seed of step_in ----

typedef struct op_dropout {
    gpu_view step; // struct step_in
    uint32_t site; // unique in a step: the backward regenerates the forward's draws by it
    float p;       // 0: none, step is not read
} op_dropout;

void op_dropout_apply(gpu_stream *s, op_dropout d, gpu_view x, uint32_t count, gpu_view y);
void op_add(gpu_stream *s, gpu_view x, uint32_t count, gpu_view y); // y += x

// ---- cast.c ----

// y = x in another type: one of them is fp32, the other fp16 or bf16, rounded to the nearest.
// count: of fours.
void op_cast(gpu_stream *s, gpu_view x, uint64_t count, gpu_view y);

// ---- layernorm.c: y = (x - mean) * rstd * gain + bias over the last axis, biased variance ----

// stat [rows][2]: mean, rstd = 1 / sqrt(variance + eps)
void op_layernorm_fwd(gpu_stream *s, gpu_view x, gpu_view gain, gpu_view bias, uint32_t rows,
                      uint32_t cols, float eps, gpu_view y, gpu_view stat);

// The end of a sub-layer in one pass: sum = residual + dropout(x + x_bias), y its LayerNorm.
typedef struct op_residual_norm {
    gpu_view x, x_bias, residual; // x_bias [cols], optional
    gpu_view gain, bias;
    gpu_view sum, y, stat; // sum may be x or residual
    uint32_t rows, cols;
    float eps;
    op_dropout dropout;
} op_residual_norm;
void op_residual_norm_fwd(gpu_stream *s, const op_residual_norm *n);

// LayerNorm's backward, and what reads the same tensors in the same pass.
typedef struct op_layernorm_grad {
    gpu_view x, gain, stat, dy; // x: what was normalised
    gpu_view dx;                // may be dy
    gpu_view gain_grad, bias_grad;
    uint32_t rows, cols;
    bool accumulate;
    op_dropout above;     // stood behind the LayerNorm: dy is the gradient behind it
    op_dropout below;     // stood before the addition that made x:
    gpu_view dropped;     // dropout(dx), only with below.p > 0
    gpu_view x_bias_grad; // optional: sums over the rows of dropped, or of dx without a dropout
} op_layernorm_grad;
void op_layernorm_bwd(gpu_stream *s, const op_layernorm_grad *g);

// ---- embedding.c ----

typedef struct op_embedding {
    gpu_view ids, types, positions;               // uint32[tokens]
    gpu_view word, type, position;                // fp32 [V][H], [types][H], [max positions][H]
    gpu_view word_grad, type_grad, position_grad; // backward only
    uint32_t tokens, hidden, type_count;
    uint32_t word_panel; // forward: word is packed, see op_panel; 0: it is not
    uint32_t pad_id;     // its lookup gradient is left out (padding_idx)
} op_embedding;

// The LayerNorm of sum[t] = word[ids[t]] + type[types[t]] + position[positions[t]], and its
// dropout.
typedef struct op_embedding_norm {
    gpu_view gain, bias;
    gpu_view sum, y, stat; // as op_residual_norm's; y behind the dropout
    float eps;
    op_dropout dropout;
} op_embedding_norm;
void op_embedding_fwd(gpu_stream *s, const op_embedding *e, const op_embedding_norm *n);
// Adds the lookup gradients of dy [T][H] to the three tables. Tokens are sorted by their keys and
// equal ones added in the order of the tokens: no float atomics.
void op_embedding_bwd(gpu_stream *s, const op_embedding *e, gpu_view dy);

// ---- sort.c ----

// sorted [count][2] = each of keys [count] and its place there, by key, equal ones in their order.
// Keys are below bound, which says how many passes there are.
void op_sort_keys(gpu_stream *s, gpu_view keys, uint32_t count, uint32_t bound, gpu_view sorted);

// ---- gelu.c: erf form, or tanh form 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) ----

void op_gelu_fwd(gpu_stream *s, gpu_view x, uint32_t count, vkb_activation form, gpu_view y);
// x [rows][cols]; dx may be dy. bias_grad (+)= the sums of dx over the rows: of the bias that x
// holds.
void op_gelu_bwd(gpu_stream *s, gpu_view x, gpu_view dy, uint32_t rows, uint32_t cols,
                 vkb_activation form, bool accumulate, gpu_view dx, gpu_view bias_grad);

// ---- tanh.c ----

void op_tanh_fwd(gpu_stream *s, gpu_view x, uint32_t count, gpu_view y);
// dx may be dy.
void op_tanh_bwd(gpu_stream *s, gpu_view y, gpu_view dy, uint32_t count, gpu_view dx);

// ---- attention.c: softmax(q k^T / sqrt(d) + mask) v, heads in contiguous columns ----

typedef struct op_attention {
    gpu_view q, k, v; // [rows * length][H], rows ld apart; 16-bit heads are of fours
    // uint32[rows * length]: which of a row's texts a token belongs to, 1, 2, ...; 0: padding. A
    // query sees the keys of its own text; one of the padding, whose result nobody reads, sees
    // every key but the padding. An attention_mask of 0 and 1 is the case of one text.
    gpu_view segments;
    // Kept for the backward, one of the two, as op_attention_is_fused says; the other is empty.
    gpu_view stats;                // fused: [rows][A][length][2], fp32
    gpu_view probs;                // plain: [rows][A][length][length], fp32
    gpu_view context;              // [rows * length][H]; the fused backward reads it
    gpu_view dcontext, dq, dk, dv; // backward only; dq, dk, dv as q, k, v
    uint32_t rows, length, heads, hidden;
    uint32_t ld;        // elements between rows of q, k, v, dq, dk, dv; 0: hidden
    op_dropout dropout; // on the probabilities
} op_attention;

// Which way attention goes: fused kernels, without anything of [length][length] in memory, or
// products with a softmax between them. Tensors are laid out by it, so it asks for no stream.
bool op_attention_is_fused(const vkb_device_info *device, uint32_t heads, uint32_t hidden);
// A row whose keys are all masked gets zero probabilities.
void op_attention_fwd(gpu_stream *s, const op_attention *a);
void op_attention_bwd(gpu_stream *s, const op_attention *a);

// ---- masking.c: draws BERT's masks on the device ----

typedef struct op_mask {
    gpu_view step;     // struct step_in
    gpu_view ids;      // uint32[rows * length]
    gpu_view segments; // uint32[rows * length]: 0 (padding) is never selected
    gpu_view
        continues;     // bits uint32[(vocab_size + 31) / 32]: the id goes on a word ("##..."); only
                       // read with whole_word
    gpu_view examples; // uint32[rows]: identity of each row in the data set
    gpu_view masked_ids; // out: uint32[rows * length]
    gpu_view
        index; // out: uint32[capacity], token of each prediction in order, OP_NONE behind the last
    gpu_view labels;   // out: uint32[capacity], OP_NONE behind the last
    gpu_view step_out; // predictions and overflow are added to
    uint32_t rows, length, capacity, vocab_size;
    vkb_special_ids special;                     // [CLS], [SEP], [PAD] are never selected
    float probability, mask_share, random_share; // 0.15, 0.8, 0.1
    bool
        whole_word; // a word is selected by the draw of its first piece in the row; what happens to a
                    // selected piece is drawn for each
    bool
        label_all; // every real token but no padding is listed with its id as label (capacity: all)
} op_mask;

// Philox of (seed; position, example, epoch): masks depend on nothing else. Drawn tokens beyond
// capacity stay as they are and are counted. Word 0 selects, word 1 chooses what happens to the
// token, word 2 the random id.
void op_mask_draw(gpu_stream *s, const op_mask *m);
// mean + 6 sigma of the selected tokens of a batch, rounded up to a multiple of 8, at most
// `tokens`.
uint32_t op_mask_capacity(uint32_t tokens, double probability, bool whole_word);

// ---- gather.c ----

// used [1] = 1 more than the place of the last entry of index [count] that is not OP_NONE.
void op_index_used(gpu_stream *s, gpu_view index, uint32_t count, gpu_view used);
// y[i] = x[index[i]], zeros for OP_NONE. x [any][cols], y [count][cols].
void op_gather(gpu_stream *s, gpu_view index, gpu_view x, uint32_t count, uint32_t cols,
               gpu_view y);
// dx [rows][cols] = 0 unless accumulate, then dx[index[i]] += dy[i]. Indices are unique.
void op_scatter(gpu_stream *s, gpu_view index, gpu_view dy, uint32_t count, uint32_t rows,
                uint32_t cols, bool accumulate, gpu_view dx);

// ---- cross_entropy.c ----

// How gradients are scaled so that small ones are not lost in fp16 (struct loss_scale).
typedef struct op_scaling {
    gpu_view state; // struct loss_scale
    float unit;     // a power of two, so that nothing is rounded; 0: they are not scaled, no state
} op_scaling;

// logits [count][ld], of which V columns count (ld 0: V), labels uint32[count], OP_NONE: the row
// does not count. With gradient, logits become softmax - onehot, scaled (of the sum of losses; rows
// and columns that do not count become zeros); NULL: they stay. Adds loss_sum, top1 and top5 to
// step_out. row_stats [count][4]: loss, rank of the label, log of the sum, maximum.
void op_cross_entropy(gpu_stream *s, gpu_view logits, gpu_view labels, uint32_t count,
                      uint32_t vocab_size, uint32_t ld, const op_scaling *gradient,
                      gpu_view row_stats, gpu_view step_out);
// The same for next-sentence prediction, of two classes: adds to pairs, pairs_right, pair_loss_sum.
void op_pair_entropy(gpu_stream *s, gpu_view logits, gpu_view labels, uint32_t count,
                     const op_scaling *gradient, gpu_view row_stats, gpu_view step_out);
// logits [rows][2] *= predictions / pairs: how many of labels [count], of next_sentence [rows], are
// not OP_NONE. 0 pairs: zeros.
void op_pair_weight(gpu_stream *s, gpu_view labels, uint32_t count, gpu_view next_sentence,
                    uint32_t rows, gpu_view logits);

// ---- optimiser: grad_norm.c, adamw.c ----

// grads: slabs of gradients of the SUM of losses. Writes step_out.grad_norm, of the mean loss, and
// step_out.grad_scale = min(1, max / (norm + 1e-6)) / count (torch's clip_grad_norm_), the count
// being step_out.predictions or, of_pairs, step_out.pairs; both 0 when it is 0. With scaling also,
// for AdamW, whether the step is skipped, and the next step's scale.
void op_grad_norm(gpu_stream *s, const gpu_view *grads, uint32_t grad_count, bool of_pairs,
                  const op_scaling *scaling, gpu_view step, gpu_view step_out);

typedef struct op_adamw {
    gpu_view step, step_out;
    gpu_view weights, grads, m, v; // the same count of elements each
    gpu_view copy;                 // of the new weights, in 16 bits; empty: none
    uint64_t count;
    float beta1, beta2, eps, weight_decay;
} op_adamw;

// torch.optim.AdamW: p *= 1 - lr * decay; p -= lr * (m / c1) / (sqrt(v) / sqrt(c2) + eps), with
// g = grads * step_out.grad_scale and c1, c2 of step_out; nothing when step_out.skip.
void op_adamw_step(gpu_stream *s, const op_adamw *a);

#endif
