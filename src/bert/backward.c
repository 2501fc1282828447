// The backward pass: forward.c read upwards. d... is the gradient of the sum of losses with respect
// to what the forward calls ...; w->x has its gradient in g->x.
#include "bert/passes.h"

// y = x W^T + b backward: weight and bias gradients, and dx = dy W when dx is wanted.
//
//   x [rows][in], dy [rows][out], W [out][in]; dx_accumulate adds to what dx holds
static void linear_bwd(gpu_stream *s, gpu_view x, gpu_view weight, gpu_view dy, uint32_t rows,
                       uint32_t in, uint32_t out, bool accumulate, gpu_view weight_grad,
                       gpu_view bias_grad, gpu_view dx, bool dx_accumulate)
{
    op_matmul(s, .layout = OP_TN, .a = dy, .b = x, .c = weight_grad, .m = out, .n = in, .k = rows,
              .accumulate = accumulate);
    op_sum_columns(s, dy, rows, out, accumulate, bias_grad);
    op_matmul(s, .layout = OP_NN, .a = dy, .b = weight, .c = dx, .m = rows, .n = in, .k = out,
              .accumulate = dx_accumulate);
}

// The gradient before a dropout from the one behind it: dy itself when there is none, else `work`.
static gpu_view dropout_bwd(gpu_stream *s, op_dropout dropout, gpu_view dy, uint32_t count,
                            gpu_view work)
{
    if (dropout.p <= 0)
        return dy;
    op_dropout_apply(s, dropout, dy, count, work);
    return work;
}

// From the logits' gradient to acts->dx, the gradient of the last layer's output.
static void head_backward(gpu_stream *s, const bert_run *run)
{
    const vkb_config *c = run->config;
    const bert_params *w = run->weights, *g = run->grads;
    const bert_acts *a = run->acts;
    const uint32_t N = a->shape.rows * a->shape.length, R = a->shape.predictions;
    const uint32_t H = c->hidden_size, V = c->vocab_size;
    const bool acc = run->accumulate;

    linear_bwd(s, a->transform_norm, w->word, a->logits, R, H, V, acc, g->word, g->output_bias,
               a->dhead, false);
    op_layernorm_bwd(s, a->transform_gelu, w->transform_norm_gain, a->transform_stat, a->dhead, R,
                     H, acc, a->dhead, g->transform_norm_gain, g->transform_norm_bias);
    op_gelu_bwd(s, a->transform, a->dhead, R * H, c->hidden_act, a->dhead);
    // transform_norm is not read again: it takes the gradient of picked.
    linear_bwd(s, a->picked, w->transform, a->dhead, R, H, H, acc, g->transform, g->transform_bias,
               a->transform_norm, false);
    op_scatter(s, a->index, a->transform_norm, R, N, H, false, a->dx);
}

// From the pair logits' gradient; adds to acts->dx when the MLM head has written it.
static void pair_backward(gpu_stream *s, const bert_run *run)
{
    const bert_params *w = run->weights, *g = run->grads;
    const bert_acts *a = run->acts;
    const uint32_t B = a->shape.rows, N = B * a->shape.length, H = run->config->hidden_size;
    const bool acc = run->accumulate;

    linear_bwd(s, a->pooled, w->relation, a->pair_logits, B, H, 2, acc, g->relation,
               g->relation_bias, a->dpooled, false);
    op_tanh_bwd(s, a->pooled, a->dpooled, B * H, a->dpooled);
    // pooler_sum is not read again: it takes the gradient of pooler_in.
    linear_bwd(s, a->pooler_in, w->pooler, a->dpooled, B, H, H, acc, g->pooler, g->pooler_bias,
               a->pooler_sum, false);
    op_scatter(s, a->first, a->pooler_sum, B, N, H, run->objective == VKB_OBJECTIVE_MLM_NSP, a->dx);
}

// acts->dx: gradient of the layer's output on entry, of its input on return.
static void layer_backward(gpu_stream *s, const bert_run *run, uint32_t layer)
{
    const vkb_config *c = run->config;
    const bert_layer_params *w = &run->weights->layers[layer], *g = &run->grads->layers[layer];
    const bert_layer_acts *a = &run->acts->layers[layer];
    const gpu_view x = bert_layer_input(run, layer), work = run->acts->linear;
    const gpu_view dx = run->acts->dx, dsum = run->acts->dsum, dup = run->acts->dup;
    const gpu_view dq = run->acts->dq, dk = run->acts->dk, dv = run->acts->dv;
    const gpu_view dcontext = run->acts->dcontext;
    const uint32_t N = run->acts->shape.rows * run->acts->shape.length;
    const uint32_t H = c->hidden_size, I = c->intermediate_size;
    const bool acc = run->accumulate;
    const op_attention attention = bert_attention(run, layer);
    const op_dropout dense = bert_hidden_dropout(run, BERT_DENSE_SITE(layer));
    const op_dropout down = bert_hidden_dropout(run, BERT_DOWN_SITE(layer));

    // out = LayerNorm(norm1 + dropout(down(gelu(up(norm1)))))
    op_layernorm_bwd(s, a->sum2, w->norm2_gain, a->stat2, dx, N, H, acc, dsum, g->norm2_gain,
                     g->norm2_bias);
    const gpu_view ddown = dropout_bwd(s, down, dsum, N * H, work);
    linear_bwd(s, a->gelu, w->down, ddown, N, I, H, acc, g->down, g->down_bias, dup, false);
    op_gelu_bwd(s, a->up, dup, N * I, c->hidden_act, dup);
    linear_bwd(s, a->norm1, w->up, dup, N, H, I, acc, g->up, g->up_bias, dsum, true);

    // norm1 = LayerNorm(x + dropout(dense(context)))
    op_layernorm_bwd(s, a->sum1, w->norm1_gain, a->stat1, dsum, N, H, acc, dx, g->norm1_gain,
                     g->norm1_bias);
    const gpu_view ddense = dropout_bwd(s, dense, dx, N * H, work);
    linear_bwd(s, a->context, w->dense, ddense, N, H, H, acc, g->dense, g->dense_bias, dcontext,
               false);
    op_attention_bwd(s, &attention);
    linear_bwd(s, x, w->query, dq, N, H, H, acc, g->query, g->query_bias, dx, true);
    linear_bwd(s, x, w->key, dk, N, H, H, acc, g->key, g->key_bias, dx, true);
    linear_bwd(s, x, w->value, dv, N, H, H, acc, g->value, g->value_bias, dx, true);
}

static void embeddings_backward(gpu_stream *s, const bert_run *run)
{
    const bert_params *w = run->weights, *g = run->grads;
    const bert_acts *a = run->acts;
    const uint32_t N = a->shape.rows * a->shape.length, H = run->config->hidden_size;
    const op_embedding embedding = bert_embedding(run);

    const op_dropout dropout = bert_hidden_dropout(run, BERT_EMBED_SITE);
    const gpu_view dnorm = dropout_bwd(s, dropout, a->dx, N * H, a->linear);
    op_layernorm_bwd(s, a->embed_sum, w->embed_gain, a->embed_stat, dnorm, N, H, run->accumulate,
                     a->dsum, g->embed_gain, g->embed_bias);
    // The MLM head has written g->word already; the other two tables only get what is added here.
    if (!run->accumulate) {
        if (run->objective == VKB_OBJECTIVE_NSP)
            gpu_fill(s, g->word, 0);
        gpu_fill(s, g->position, 0);
        gpu_fill(s, g->type, 0);
    }
    op_embedding_bwd(s, &embedding, a->dsum);
}

void bert_backward(gpu_stream *s, const bert_run *run)
{
    gpu_label(s, "head backward");
    if (run->objective != VKB_OBJECTIVE_NSP)
        head_backward(s, run);
    if (run->objective != VKB_OBJECTIVE_MLM)
        pair_backward(s, run);
    for (uint32_t layer = run->config->num_hidden_layers; layer-- > 0;) {
        if (run->acts->shape.recompute) {
            gpu_label(s, "layer forward, again");
            bert_layer_forward(s, run, layer);
        }
        gpu_label(s, "layer backward");
        layer_backward(s, run, layer);
    }
    gpu_label(s, "embeddings backward");
    embeddings_backward(s, run);
    gpu_label(s, "");
}
