// The reference of every operation: see ref.h.
#include "ref.h"

#include "base/philox.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double PI = 3.14159265358979323846;

static double *doubles(size_t count)
{
    double *memory = calloc(count + 1, sizeof *memory);
    if (!memory)
        abort();
    return memory;
}

// ---- matmul: c[i][j] = alpha * sum over x of a(i, x) b(x, j) (+ bias[j]) (+ c[i][j]) ----

static void matmul_one(const op_matmul_params *p, const double *a, const double *b,
                       const double *bias, double *c)
{
    bool a_by_k = p->layout == OP_TN, b_by_k = p->layout != OP_NT; // stored [k][...]
    size_t lda = p->lda ? p->lda : a_by_k ? p->m : p->k;
    size_t ldb = p->ldb ? p->ldb : b_by_k ? p->n : p->k;
    size_t ldc = p->ldc ? p->ldc : p->n;
    double alpha = p->alpha != 0 ? p->alpha : 1;
    for (size_t i = 0; i < p->m; i++)
        for (size_t j = 0; j < p->n; j++) {
            double sum = 0;
            for (size_t x = 0; x < p->k; x++)
                sum += (a_by_k ? a[x * lda + i] : a[i * lda + x]) *
                       (b_by_k ? b[x * ldb + j] : b[j * ldb + x]);
            sum *= alpha;
            if (bias)
                sum += bias[j];
            c[i * ldc + j] = p->accumulate ? c[i * ldc + j] + sum : sum;
        }
}

void ref_matmul(const op_matmul_params *p, const double *a, const double *b, const double *bias,
                double *c)
{
    uint32_t outer = p->batch.outer ? p->batch.outer : 1;
    uint32_t inner = p->batch.inner ? p->batch.inner : 1;
    for (size_t o = 0; o < outer; o++)
        for (size_t i = 0; i < inner; i++)
            matmul_one(p, a + o * p->batch.a_outer + i * p->batch.a_inner,
                       b + o * p->batch.b_outer + i * p->batch.b_inner, bias,
                       c + o * p->batch.c_outer + i * p->batch.c_inner);
}

// ---- columns: sums[j] = sum over i of x[i][j] ----

void ref_sum_columns(const double *x, uint32_t rows, uint32_t cols, const uint32_t *keys,
                     uint32_t select, bool accumulate, double *sums)
{
    for (size_t j = 0; j < cols; j++) {
        double sum = accumulate ? sums[j] : 0;
        for (size_t i = 0; i < rows; i++)
            if (!keys || keys[i] == select)
                sum += x[i * cols + j];
        sums[j] = sum;
    }
}

// ---- embedding: y[t] = word[ids[t]] + type[types[t]] + position[positions[t]] ----

void ref_embedding_fwd(const uint32_t *ids, const uint32_t *types, const uint32_t *positions,
                       const double *word, const double *type, const double *position,
                       uint32_t tokens, uint32_t hidden, double *y)
{
    for (size_t t = 0; t < tokens; t++)
        for (size_t j = 0; j < hidden; j++)
            y[t * hidden + j] = word[(size_t)ids[t] * hidden + j] +
                                type[(size_t)types[t] * hidden + j] +
                                position[(size_t)positions[t] * hidden + j];
}

// A table's gradient is the sum of dy over the tokens that looked the row up; padding_idx of
// torch.nn.Embedding leaves the lookups of pad_id out.
void ref_embedding_bwd(const uint32_t *ids, const uint32_t *types, const uint32_t *positions,
                       const double *dy, uint32_t tokens, uint32_t hidden, uint32_t pad_id,
                       double *word_grad, double *type_grad, double *position_grad)
{
    for (size_t t = 0; t < tokens; t++)
        for (size_t j = 0; j < hidden; j++) {
            if (ids[t] != pad_id)
                word_grad[(size_t)ids[t] * hidden + j] += dy[t * hidden + j];
            type_grad[(size_t)types[t] * hidden + j] += dy[t * hidden + j];
            position_grad[(size_t)positions[t] * hidden + j] += dy[t * hidden + j];
        }
}

// ---- layernorm: y = z gain + bias, z = (x - mean) rstd. Ba et al., "Layer Normalization" ----

void ref_layernorm_fwd(const double *x, const double *gain, const double *bias, uint32_t rows,
                       uint32_t cols, double eps, double *y, double *stat)
{
    for (size_t i = 0; i < rows; i++, x += cols, y += cols) {
        double mean = 0, variance = 0;
        for (size_t j = 0; j < cols; j++)
            mean += x[j] / cols;
        for (size_t j = 0; j < cols; j++)
            variance += (x[j] - mean) * (x[j] - mean) / cols;
        double rstd = 1 / sqrt(variance + eps);
        for (size_t j = 0; j < cols; j++)
            y[j] = (x[j] - mean) * rstd * gain[j] + bias[j];
        stat[2 * i] = mean;
        stat[2 * i + 1] = rstd;
    }
}

// dx = rstd (dz - mean(dz) - z mean(dz z)), dz = dy gain; dgain = sum dy z; dbias = sum dy
void ref_layernorm_bwd(const double *x, const double *gain, const double *stat, const double *dy,
                       uint32_t rows, uint32_t cols, bool accumulate, double *dx, double *gain_grad,
                       double *bias_grad)
{
    for (size_t j = 0; j < cols && !accumulate; j++)
        gain_grad[j] = bias_grad[j] = 0;
    for (size_t i = 0; i < rows; i++, x += cols, dy += cols, dx += cols) {
        double mean = stat[2 * i], rstd = stat[2 * i + 1], dz_mean = 0, dzz_mean = 0;
        for (size_t j = 0; j < cols; j++) {
            double z = (x[j] - mean) * rstd;
            dz_mean += dy[j] * gain[j] / cols;
            dzz_mean += dy[j] * gain[j] * z / cols;
            gain_grad[j] += dy[j] * z;
            bias_grad[j] += dy[j];
        }
        for (size_t j = 0; j < cols; j++)
            dx[j] = rstd * (dy[j] * gain[j] - dz_mean - (x[j] - mean) * rstd * dzz_mean);
    }
}

// ---- gelu: x Phi(x), and its tanh form. Hendrycks and Gimpel, "Gaussian Error Linear Units" ----

void ref_gelu_fwd(const double *x, size_t count, vkb_activation form, double *y)
{
    for (size_t i = 0; i < count; i++)
        y[i] = form == VKB_GELU
                   ? 0.5 * x[i] * erfc(-x[i] / sqrt(2))
                   : 0.5 * x[i] * (1 + tanh(sqrt(2 / PI) * (x[i] + 0.044715 * pow(x[i], 3))));
}

void ref_tanh_fwd(const double *x, size_t count, double *y)
{
    for (size_t i = 0; i < count; i++)
        y[i] = tanh(x[i]);
}

void ref_tanh_bwd(const double *y, const double *dy, size_t count, double *dx)
{
    for (size_t i = 0; i < count; i++)
        dx[i] = dy[i] * (1 - y[i] * y[i]);
}

// Phi(x) + x phi(x); with t the tanh of u(x): (1 + t) / 2 + x (1 - t^2) u'(x) / 2
void ref_gelu_bwd(const double *x, const double *dy, size_t count, vkb_activation form, double *dx)
{
    for (size_t i = 0; i < count; i++) {
        double slope;
        if (form == VKB_GELU) {
            slope = 0.5 * erfc(-x[i] / sqrt(2)) + x[i] * exp(-0.5 * x[i] * x[i]) / sqrt(2 * PI);
        } else {
            double t = tanh(sqrt(2 / PI) * (x[i] + 0.044715 * pow(x[i], 3)));
            double inner = sqrt(2 / PI) * (1 + 3 * 0.044715 * x[i] * x[i]);
            slope = 0.5 * (1 + t) + 0.5 * x[i] * (1 - t * t) * inner;
        }
        dx[i] = dy[i] * slope;
    }
}

// ---- dropout: kept with probability 1 - p, then divided by it. Srivastava et al. 2014 ----

double ref_dropout_scale(const ref_dropout *d, size_t i)
{
    if (d->p == 0)
        return 1;
    float keep = 1 - d->p; // in fp32, as the kernel's push constant
    uint64_t seed = (uint64_t)d->step.seed_high << 32 | d->step.seed_low;
    philox4 draw =
        philox(seed, (philox4){{(uint32_t)(i / 4), d->site, d->step.step, PHILOX_DROPOUT}});
    return philox_uniform(draw.v[i % 4]) < keep ? 1 / (double)keep : 0;
}

void ref_dropout_apply(const ref_dropout *d, const double *x, size_t count, double *y)
{
    for (size_t i = 0; i < count; i++)
        y[i] = ref_dropout_scale(d, i) * x[i];
}

// ---- attention: softmax(q k^T / sqrt(d)) v. Vaswani et al., "Attention Is All You Need" ----

// Where a head of a token begins in q, k, v and their gradients.
static size_t attention_at(const ref_attention *a, size_t row, size_t token, size_t head)
{
    return (row * a->length + token) * (a->ld ? a->ld : a->hidden) + head * (a->hidden / a->heads);
}

// The probabilities of one query of one head over the keys of its row; zeros when all are masked.
static void attention_probs(const ref_attention *a, size_t row, size_t head, size_t query,
                            double *probs)
{
    size_t d = a->hidden / a->heads, length = a->length;
    const double *q = a->q + attention_at(a, row, query, head);
    double best = -INFINITY, sum = 0;
    for (size_t key = 0; key < length; key++) {
        const double *k = a->k + attention_at(a, row, key, head);
        double score = 0;
        for (size_t x = 0; x < d; x++)
            score += q[x] * k[x];
        uint32_t own = a->segments[row * length + query], other = a->segments[row * length + key];
        bool seen = own ? other == own : other != 0;
        probs[key] = seen ? score / sqrt((double)d) : -INFINITY;
        best = fmax(best, probs[key]);
    }
    for (size_t key = 0; key < length; key++) {
        probs[key] = isinf(probs[key]) ? 0 : exp(probs[key] - best);
        sum += probs[key];
    }
    for (size_t key = 0; key < length; key++)
        probs[key] = sum > 0 ? probs[key] / sum : 0;
}

void ref_attention_fwd(const ref_attention *a, double *probs, double *context)
{
    size_t d = a->hidden / a->heads, length = a->length;
    double *p = doubles(length);
    for (size_t row = 0; row < a->rows; row++)
        for (size_t head = 0; head < a->heads; head++)
            for (size_t query = 0; query < length; query++) {
                size_t first = ((row * a->heads + head) * length + query) * length;
                double *out = context + (row * length + query) * a->hidden + head * d;
                attention_probs(a, row, head, query, p);
                if (probs)
                    memcpy(probs + first, p, length * sizeof *p);
                memset(out, 0, d * sizeof *out);
                for (size_t key = 0; key < length; key++) {
                    const double *v = a->v + attention_at(a, row, key, head);
                    double kept = p[key] * ref_dropout_scale(&a->dropout, first + key);
                    for (size_t x = 0; x < d; x++)
                        out[x] += kept * v[x];
                }
            }
    free(p);
}

// With s the dropout's scale: dp = s (dcontext . v), dscore = p (dp - sum p dp) / sqrt(d),
// dq = dscore k, dk = dscore q, dv = s p dcontext.
static void attention_bwd_query(const ref_attention *a, size_t row, size_t head, size_t query,
                                const double *dcontext, double *p, double *dp, double *dq,
                                double *dk, double *dv)
{
    size_t d = a->hidden / a->heads, length = a->length;
    size_t first = ((row * a->heads + head) * length + query) * length;
    size_t at = attention_at(a, row, query, head);
    dcontext += (row * length + query) * a->hidden + head * d;
    double sum = 0;
    attention_probs(a, row, head, query, p);
    for (size_t key = 0; key < length; key++) {
        size_t key_at = attention_at(a, row, key, head);
        double scale = ref_dropout_scale(&a->dropout, first + key);
        dp[key] = 0;
        for (size_t x = 0; x < d; x++) {
            dp[key] += scale * dcontext[x] * a->v[key_at + x];
            dv[key_at + x] += scale * p[key] * dcontext[x];
        }
        sum += p[key] * dp[key];
    }
    for (size_t key = 0; key < length; key++) {
        size_t key_at = attention_at(a, row, key, head);
        double dscore = p[key] * (dp[key] - sum) / sqrt((double)d);
        for (size_t x = 0; x < d; x++) {
            dq[at + x] += dscore * a->k[key_at + x];
            dk[key_at + x] += dscore * a->q[at + x];
        }
    }
}

void ref_attention_bwd(const ref_attention *a, const double *dcontext, double *dq, double *dk,
                       double *dv)
{
    double *p = doubles(a->length), *dp = doubles(a->length), *all[] = {dq, dk, dv};
    for (size_t i = 0; i < 3; i++)
        for (size_t token = 0; token < (size_t)a->rows * a->length; token++)
            memset(all[i] + attention_at(a, 0, token, 0), 0, a->hidden * sizeof(double));
    for (size_t row = 0; row < a->rows; row++)
        for (size_t head = 0; head < a->heads; head++)
            for (size_t query = 0; query < a->length; query++)
                attention_bwd_query(a, row, head, query, dcontext, p, dp, dq, dk, dv);
    free(p);
    free(dp);
}

// ---- gather and scatter of rows ----

void ref_gather(const uint32_t *index, const double *x, uint32_t count, uint32_t cols, double *y)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < cols; j++)
            y[i * cols + j] = index[i] == OP_NONE ? 0 : x[(size_t)index[i] * cols + j];
}

void ref_scatter(const uint32_t *index, const double *dy, uint32_t count, uint32_t rows,
                 uint32_t cols, bool accumulate, double *dx)
{
    if (!accumulate)
        memset(dx, 0, (size_t)rows * cols * sizeof *dx);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < cols && index[i] != OP_NONE; j++)
            dx[(size_t)index[i] * cols + j] += dy[i * cols + j];
}

// ---- cross entropy: log(sum exp(logits)) - logits[label]; gradient softmax - onehot ----

ref_loss ref_cross_entropy(const double *logits, const uint32_t *labels, uint32_t count,
                           uint32_t vocab_size, double *row_stats, double *dlogits)
{
    ref_loss loss = {0};
    for (size_t i = 0; i < count; i++) {
        const double *x = logits + i * vocab_size;
        double best = x[0], sum = 0, *stat = row_stats + 4 * i;
        bool counts = labels[i] != OP_NONE;
        uint32_t rank = 0; // how many are better than the label, or as good with a lower id
        for (size_t j = 1; j < vocab_size; j++)
            best = fmax(best, x[j]);
        for (size_t j = 0; j < vocab_size; j++) {
            sum += exp(x[j] - best);
            rank += counts && (x[j] > x[labels[i]] || (x[j] == x[labels[i]] && j < labels[i]));
        }
        memset(stat, 0, 4 * sizeof *stat);
        if (counts) {
            stat[0] = log(sum) + best - x[labels[i]];
            stat[1] = rank;
            stat[2] = log(sum);
            stat[3] = best;
            loss.sum += stat[0];
            loss.top1 += rank < 1;
            loss.top5 += rank < 5;
        }
        for (size_t j = 0; j < vocab_size && dlogits; j++)
            dlogits[i * vocab_size + j] =
                counts ? exp(x[j] - best) / sum - (j == labels[i] ? 1 : 0) : 0;
    }
    return loss;
}

// ---- the optimiser ----

// torch.nn.utils.clip_grad_norm_, of gradients / predictions
void ref_grad_norm(const double *const *grads, const size_t *counts, size_t grad_count,
                   uint32_t predictions, double max_grad_norm, double *norm, double *scale)
{
    double squares = 0;
    for (size_t g = 0; g < grad_count; g++)
        for (size_t i = 0; i < counts[g]; i++)
            squares += grads[g][i] * grads[g][i];
    *norm = *scale = 0;
    if (predictions == 0)
        return;
    *norm = sqrt(squares) / predictions;
    *scale = (max_grad_norm > 0 ? fmin(1, max_grad_norm / (*norm + 1e-6)) : 1) / predictions;
}

// torch.optim.AdamW; Loshchilov and Hutter, "Decoupled Weight Decay Regularization"
void ref_adamw_step(const ref_adamw *a, const double *grads, size_t count, double *weights,
                    double *m, double *v)
{
    for (size_t i = 0; i < count; i++) {
        double g = grads[i] * a->grad_scale;
        m[i] = a->beta1 * m[i] + (1 - a->beta1) * g;
        v[i] = a->beta2 * v[i] + (1 - a->beta2) * g * g;
        weights[i] *= 1 - a->lr * a->weight_decay;
        weights[i] -= a->lr * (m[i] / a->bias_correction1) /
                      (sqrt(v[i]) / sqrt(a->bias_correction2) + a->eps);
    }
}
