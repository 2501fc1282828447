// The backward pass: forward.c read upwards. d... is the gradient of the sum of losses with respect
// to what the forward calls ...; w->x has its gradient in g->x.
#include "bert/passes.h"

// y = x W^T backward: the weight's gradient, and dx = dy W.
//
//   x [rows][in], dy [rows][out], W [out][in]; dx_accumulate adds to what dx holds
static void product_bwd(gpu_stream *s, gpu_view x, gpu_view weight, gpu_view dy, uint32_t rows,
                        uint32_t in, uint32_t out, bool accumulate, gpu_view weight_grad,
                        gpu_view dx, bool dx_accumulate)
{
    op_matmul(s, .layout = OP_TN, .a = dy, .b = x, .c = weight_grad, .m = out, .n = in, .k = rows,
              .accumulate = accumulate);
    op_matmul(s, .layout = OP_NN, .a = dy, .b = weight, .c = dx, .m = rows, .n = in, .k = out,
              .accumulate = dx_accumulate);
}

// y = x W^T + b backward, where no pass that writes dy sums it up for the bias.
static void linear_bwd(gpu_stream *s, gpu_view x, gpu_view weight, gpu_view dy, uint32_t rows,
                       uint32_t in, uint32_t out, bool accumulate, gpu_view weight_grad,
                       gpu_view bias_grad, gpu_view dx, bool dx_accumulate)
{
    op_sum_columns(s, dy, rows, out, accumulate, bias_grad);
    product_bwd(s, x, weight, dy, rows, in, out, accumulate, weight_grad, dx, dx_accumulate);
}

// y = LayerNorm(residual + dropout(x W^T + b)) backward, but for its product: from dy, norm.dy, to the
// sum's gradient, norm.dx, which is the residual's too. Returns the product's.
static gpu_view sublayer_end_bwd(gpu_stream *s, const bert_run *run, uint32_t site,
                                 op_layernorm_grad norm)
{
    norm.rows = run->acts->shape.rows * run->acts->shape.length;
    norm.cols = run->config->hidden_size;
    norm.accumulate = run->accumulate;
    norm.below = bert_hidden_dropout(run, site);
    norm.dropped = run->acts->dropped;
    op_layernorm_bwd(s, &norm);
    return norm.below.p > 0 ? norm.dropped : norm.dx;
}

// From the logits' gradient to acts->dx, the gradient of the last layer's output.
static void head_backward(gpu_stream *s, const bert_run *run)
{
    const vkb_config *c = run->config;
    const bert_params *w = run->weights, *g = run->grads;
    const bert_acts *a = run->acts;
    const uint32_t N = a->shape.rows * a->shape.length, R = a->shape.predictions;
    const uint32_t H = c->hidden_size, L = bert_logits_ld(run);
    const bool acc = run->accumulate;

    op_sum_columns(s, a->logits, R, L, acc, g->output_bias);
    op_matmul(s, .layout = OP_TN, .a = a->logits, .b = a->transform_norm, .c = g->word, .m = L,
              .n = H, .k = R, .accumulate = acc, .used = a->used);
    op_matmul(s, .layout = OP_NN, .a = a->logits, .b = w->word, .c = a->dhead, .m = R, .n = H,
              .k = L, .used = a->used);
    op_layernorm_bwd(s, &(op_layernorm_grad){.x = a->transform_gelu,
                                             .gain = w->transform_norm_gain,
                                             .stat = a->transform_stat,
                                             .dy = a->dhead,
                                             .dx = a->dhead,
                                             .gain_grad = g->transform_norm_gain,
                                             .bias_grad = g->transform_norm_bias,
                                             .rows = R,
                                             .cols = H,
                                             .accumulate = acc});
    op_gelu_bwd(s, a->transform, a->dhead, R, H, c->hidden_act, acc, a->dhead, g->transform_bias);
    // transform_norm is not read again: it takes the gradient of picked.
    product_bwd(s, a->picked, w->transform, a->dhead, R, H, H, acc, g->transform, a->transform_norm,
                false);
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
    gpu_view dhidden = a->pooler_sum;
    if (a->dx.type != GPU_F32) {
        dhidden = a->first_hidden;
        op_cast(s, a->pooler_sum, (uint64_t)B * H, dhidden);
    }
    op_scatter(s, a->first, dhidden, B, N, H, run->objective == VKB_OBJECTIVE_MLM_NSP, a->dx);
}

// Adds what comes through queries, keys and values to dx, the gradient of x.
static void qkv_backward(gpu_stream *s, const bert_run *run, uint32_t layer, gpu_view x,
                         gpu_view dx)
{
    const bert_layer_params *w = &run->weights->layers[layer], *g = &run->grads->layers[layer];
    const gpu_view d = run->acts->dqkv;
    const uint32_t N = run->acts->shape.rows * run->acts->shape.length;
    const uint32_t H = run->config->hidden_size;
    const bool acc = run->accumulate;
    if (w->qkv.buffer) {
        linear_bwd(s, x, w->qkv, d, N, H, 3 * H, acc, g->qkv, g->qkv_bias, dx, true);
        return;
    }
    linear_bwd(s, x, w->query, bert_third(run, layer, d, 0), N, H, H, acc, g->query, g->query_bias,
               dx, true);
    linear_bwd(s, x, w->key, bert_third(run, layer, d, 1), N, H, H, acc, g->key, g->key_bias, dx,
               true);
    linear_bwd(s, x, w->value, bert_third(run, layer, d, 2), N, H, H, acc, g->value, g->value_bias,
               dx, true);
}

// acts->dx: gradient of the layer's output on entry, of its input on return.
static void layer_backward(gpu_stream *s, const bert_run *run, uint32_t layer)
{
    const vkb_config *c = run->config;
    const bert_layer_params *w = &run->weights->layers[layer], *g = &run->grads->layers[layer];
    const bert_layer_acts *a = &run->acts->layers[layer];
    const gpu_view x = bert_layer_input(run, layer);
    const gpu_view dx = run->acts->dx, dsum = run->acts->dsum, dup = run->acts->dup;
    const gpu_view dcontext = run->acts->dcontext;
    const uint32_t N = run->acts->shape.rows * run->acts->shape.length;
    const uint32_t H = c->hidden_size, I = c->intermediate_size;
    const bool acc = run->accumulate;
    const op_attention attention = bert_attention(run, layer);

    // out = LayerNorm(norm1 + dropout(down(gelu(up(norm1)))))
    const gpu_view ddown = sublayer_end_bwd(s, run, BERT_DOWN_SITE(layer),
                                            (op_layernorm_grad){.x = a->sum2,
                                                                .gain = w->norm2_gain,
                                                                .stat = a->stat2,
                                                                .dy = dx,
                                                                .dx = dsum,
                                                                .gain_grad = g->norm2_gain,
                                                                .bias_grad = g->norm2_bias,
                                                                .x_bias_grad = g->down_bias});
    // What reads `up` makes gelu again, for the weight's gradient, unless the layer's forward just did.
    op_matmul(s, .layout = OP_NN, .a = ddown, .b = w->down, .c = dup, .m = N, .n = I, .k = H,
              .then = {.kind = OP_THEN_GELU_BACK,
                       .form = c->hidden_act,
                       .gelu = run->acts->shape.recompute ? (gpu_view){0} : run->acts->gelu,
                       .before = a->up,
                       .bias_grad = g->up_bias,
                       .accumulate = acc});
    op_matmul(s, .layout = OP_TN, .a = ddown, .b = run->acts->gelu, .c = g->down, .m = H, .n = I,
              .k = N, .accumulate = acc);
    product_bwd(s, a->norm1, w->up, dup, N, H, I, acc, g->up, dsum, true);

    // norm1 = LayerNorm(x + dropout(dense(context)))
    const gpu_view ddense = sublayer_end_bwd(s, run, BERT_DENSE_SITE(layer),
                                             (op_layernorm_grad){.x = a->sum1,
                                                                 .gain = w->norm1_gain,
                                                                 .stat = a->stat1,
                                                                 .dy = dsum,
                                                                 .dx = dx,
                                                                 .gain_grad = g->norm1_gain,
                                                                 .bias_grad = g->norm1_bias,
                                                                 .x_bias_grad = g->dense_bias});
    product_bwd(s, a->context, w->dense, ddense, N, H, H, acc, g->dense, dcontext, false);
    op_attention_bwd(s, &attention);
    qkv_backward(s, run, layer, x, dx);
}

static void embeddings_backward(gpu_stream *s, const bert_run *run)
{
    const bert_params *w = run->weights, *g = run->grads;
    const bert_acts *a = run->acts;
    const uint32_t N = a->shape.rows * a->shape.length, H = run->config->hidden_size;
    const op_embedding embedding = bert_embedding(run);

    op_layernorm_bwd(s, &(op_layernorm_grad){.x = a->embed_sum,
                                             .gain = w->embed_gain,
                                             .stat = a->embed_stat,
                                             .dy = a->dx,
                                             .dx = a->dsum,
                                             .gain_grad = g->embed_gain,
                                             .bias_grad = g->embed_bias,
                                             .rows = N,
                                             .cols = H,
                                             .accumulate = run->accumulate,
                                             .above = bert_hidden_dropout(run, BERT_EMBED_SITE)});
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
