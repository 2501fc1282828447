// Self-attention: context = dropout(softmax(q k^T / sqrt(d) + mask)) v for each head of each row. Head
// h is columns h*d .. h*d + d-1 of [tokens][H], so its matrices are [length][d], H apart; those of q, k, v
// and their gradients ld apart. Two ways:
//
//   fused  for GPUs: scores live in a workgroup; kept are two numbers a query (attention_fused.c)
//   plain  products with a softmax between them; kept are the probabilities before dropout
//          (attention_plain.c)
//
// What dropout drops is drawn again in the backward, the same by both. Activations may be of 16 bits: scores,
// probabilities, sums, and what is kept are fp32 all the same.
#include "ops/attention.h"
#include "ops/tune.h"

#include <math.h>

uint64_t attention_probs(const op_attention *a)
{
    return (uint64_t)a->rows * a->heads * a->length * a->length;
}

float attention_scale(const op_attention *a)
{
    return 1 / sqrtf((float)a->hidden / (float)a->heads);
}

uint32_t attention_stride(const op_attention *a)
{
    return a->ld ? a->ld : a->hidden;
}

static bool is_fused(const op_attention *a)
{
    return a->stats.buffer != NULL;
}

// Heads of 16 bits, and rows, are of fours: that is how they are read.
static bool has_fours(gpu_stream *s, const char *op, const op_attention *a)
{
    const uint32_t head_size = a->hidden / a->heads;
    return op_must(s, a->q.type == GPU_F32 || (head_size % 4 == 0 && attention_stride(a) % 4 == 0),
                   op, "heads of 16 bits, or ld, are no multiples of 4");
}

static bool has_all(gpu_stream *s, const char *op, const op_attention *a, bool backward)
{
    const bool fused = is_fused(a);
    uint64_t tokens = (uint64_t)a->rows * a->length, count = tokens * a->hidden;
    // The last row of columns of a wider tensor ends before the next one would begin.
    uint64_t strided = tokens ? (tokens - 1) * attention_stride(a) + a->hidden : 0;
    const struct {
        const char *name;
        gpu_view view;
        uint64_t elements;
        bool needed, activation; // of q's type
    } views[] = {
        {"q", a->q, strided, true, true},
        {"k", a->k, strided, true, true},
        {"v", a->v, strided, true, true},
        {"segments", a->segments, tokens, fused || !backward, false},
        {"probs", a->probs, attention_probs(a), !fused, false},
        {"stats", a->stats, 2 * tokens * a->heads, fused, false},
        {"context", a->context, count, fused || !backward, true},
        {"dcontext", a->dcontext, count, backward, true},
        {"dq", a->dq, strided, backward, true},
        {"dk", a->dk, strided, backward, true},
        {"dv", a->dv, strided, backward, true},
        {"dropout.step", a->dropout.step, sizeof(struct step_in) / 4, a->dropout.p > 0, false},
    };
    if (!op_must(s, a->heads > 0 && a->hidden % a->heads == 0, op,
                 "hidden is not a multiple of heads") ||
        !op_must(s, attention_stride(a) >= a->hidden, op,
                 "rows overlap, ld is smaller than hidden") ||
        !op_must(s, !fused || a->hidden / a->heads <= ATTENTION_WIDEST, op,
                 "stats were given, but heads are wider than 128") ||
        !op_must(s, a->dropout.p >= 0 && a->dropout.p < 1, op, "dropout is not in [0, 1)") ||
        !op_must(s, attention_probs(a) <= UINT32_MAX, op,
                 "there are more than 2^32 probabilities") ||
        !has_fours(s, op, a))
        return false;
    for (size_t i = 0; i < BASE_COUNT(views); i++) {
        const gpu_view view = views[i].view;
        if (views[i].needed &&
            !(views[i].activation ? op_has_act(s, op, views[i].name, view, 1, views[i].elements) &&
                                        op_same_type(s, op, a->q, view)
                                  : op_has(s, op, views[i].name, view, views[i].elements)))
            return false;
    }
    return true;
}

bool op_attention_is_fused(const vkb_device_info *device, uint32_t heads, uint32_t hidden)
{
    return !op_info_is_software(device) && hidden / heads <= ATTENTION_WIDEST;
}

void op_attention_fwd(gpu_stream *s, const op_attention *a)
{
    if (!has_all(s, "op_attention_fwd", a, false))
        return;
    if (is_fused(a) && gpu_listener(s))
        op_products_attention(gpu_listener(s), a);
    if (is_fused(a))
        attention_fused_fwd(s, a, NULL);
    else
        attention_plain_fwd(s, a);
}

void op_attention_bwd(gpu_stream *s, const op_attention *a)
{
    if (!has_all(s, "op_attention_bwd", a, true))
        return;
    if (is_fused(a))
        attention_fused_bwd(s, a, NULL);
    else
        attention_plain_bwd(s, a);
}
