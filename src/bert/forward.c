// The forward pass: BERT's formulas in their order. Shapes are beside each line; N tokens,
// H hidden_size, I intermediate_size, R predictions, L columns of logits: vocab_size or more.
#include "bert/passes.h"

// y [rows][out] = x [rows][in] W^T + b, W [out][in]
static void linear(gpu_stream *s, const bert_run *run, gpu_view x, gpu_view weight, gpu_view bias,
                   uint32_t rows, uint32_t in, uint32_t out, gpu_view y)
{
    op_matmul(s, .layout = OP_NT, .a = x, .b = weight, .bias = bias, .c = y, .m = rows, .n = out,
              .k = in, .b_panel = run->panel);
}

static void embeddings(gpu_stream *s, const bert_run *run)
{
    const op_embedding embedding = bert_embedding(run);
    op_embedding_fwd(s, &embedding,
                     &(op_embedding_norm){.gain = run->weights->embed_gain,
                                          .bias = run->weights->embed_bias,
                                          .sum = run->acts->embed_sum, // [N][H]
                                          .y = run->acts->embed_out,
                                          .stat = run->acts->embed_stat,
                                          .eps = run->config->layer_norm_eps,
                                          .dropout = bert_hidden_dropout(run, BERT_EMBED_SITE)});
}

// [N][3H] by one product, or [N][H] three times.
static void qkv_forward(gpu_stream *s, const bert_run *run, uint32_t layer, gpu_view x)
{
    const bert_layer_params *w = &run->weights->layers[layer];
    const gpu_view qkv = run->acts->layers[layer].qkv;
    const uint32_t N = run->acts->shape.rows * run->acts->shape.length;
    const uint32_t H = run->config->hidden_size;
    if (w->qkv.buffer) {
        linear(s, run, x, w->qkv, w->qkv_bias, N, H, 3 * H, qkv);
        return;
    }
    linear(s, run, x, w->query, w->query_bias, N, H, H, bert_third(run, layer, qkv, 0));
    linear(s, run, x, w->key, w->key_bias, N, H, H, bert_third(run, layer, qkv, 1));
    linear(s, run, x, w->value, w->value_bias, N, H, H, bert_third(run, layer, qkv, 2));
}

// y = gelu(sum), sum = x W^T + b
//
//   x [rows][in], W [out][in], the others [rows][out]
static void linear_gelu(gpu_stream *s, const bert_run *run, gpu_view x, gpu_view weight,
                        gpu_view bias, uint32_t rows, uint32_t in, uint32_t out, gpu_view sum,
                        gpu_view y)
{
    op_matmul(s, .layout = OP_NT, .a = x, .b = weight, .bias = bias, .c = sum, .m = rows, .n = out,
              .k = in, .b_panel = run->panel,
              .then = {.kind = OP_THEN_GELU, .form = run->config->hidden_act, .gelu = y});
}

// y = LayerNorm(sum), sum = residual + dropout(x W^T + b): the end of both sub-layers.
//
//   x [N][in], W [H][in], the others [N][H]
static void sublayer_end(gpu_stream *s, const bert_run *run, gpu_view x, uint32_t in,
                         gpu_view weight, op_residual_norm norm)
{
    norm.eps = run->config->layer_norm_eps;
    op_matmul(s, .layout = OP_NT, .a = x, .b = weight, .c = norm.sum,
              .m = run->acts->shape.rows * run->acts->shape.length, .n = run->config->hidden_size,
              .k = in, .b_panel = run->panel, .then = {.kind = OP_THEN_NORM, .norm = &norm});
}

void bert_layer_forward(gpu_stream *s, const bert_run *run, uint32_t layer)
{
    const vkb_config *c = run->config;
    const bert_layer_params *w = &run->weights->layers[layer];
    const bert_layer_acts *a = &run->acts->layers[layer];
    const gpu_view x = bert_layer_input(run, layer);
    const uint32_t N = run->acts->shape.rows * run->acts->shape.length;
    const uint32_t H = c->hidden_size, I = c->intermediate_size;
    const op_attention attention = bert_attention(run, layer);

    qkv_forward(s, run, layer, x);
    op_attention_fwd(s, &attention); // context [N][H]
    sublayer_end(s, run, a->context, H, w->dense,
                 (op_residual_norm){.x_bias = w->dense_bias,
                                    .residual = x,
                                    .gain = w->norm1_gain,
                                    .bias = w->norm1_bias,
                                    .sum = a->sum1,
                                    .y = a->norm1,
                                    .stat = a->stat1,
                                    .dropout = bert_hidden_dropout(run, BERT_DENSE_SITE(layer))});

    linear_gelu(s, run, a->norm1, w->up, w->up_bias, N, H, I, a->up, run->acts->gelu); // [N][I]
    sublayer_end(s, run, run->acts->gelu, I, w->down,
                 (op_residual_norm){.x_bias = w->down_bias,
                                    .residual = a->norm1,
                                    .gain = w->norm2_gain,
                                    .bias = w->norm2_bias,
                                    .sum = a->sum2,
                                    .y = a->out,
                                    .stat = a->stat2,
                                    .dropout = bert_hidden_dropout(run, BERT_DOWN_SITE(layer))});
}

void bert_forward(gpu_stream *s, const bert_run *run)
{
    gpu_label(s, "embeddings");
    embeddings(s, run);
    for (uint32_t layer = 0; layer < run->config->num_hidden_layers; layer++) {
        gpu_label(s, "layer forward");
        bert_layer_forward(s, run, layer);
    }
    gpu_label(s, "");
}

static void mlm_head(gpu_stream *s, const bert_run *run)
{
    const vkb_config *c = run->config;
    const bert_params *w = run->weights;
    const bert_acts *a = run->acts;
    const uint32_t R = a->shape.predictions, H = c->hidden_size, L = bert_logits_ld(run);
    const gpu_view hidden = bert_layer_input(run, c->num_hidden_layers);

    op_index_used(s, a->index, R, a->used);
    op_gather(s, a->index, hidden, R, H, a->picked); // [R][H]
    linear_gelu(s, run, a->picked, w->transform, w->transform_bias, R, H, H, a->transform,
                a->transform_gelu); // [R][H]
    op_layernorm_fwd(s, a->transform_gelu, w->transform_norm_gain, w->transform_norm_bias, R, H,
                     c->layer_norm_eps, a->transform_norm, a->transform_stat);
    op_matmul(s, .layout = OP_NT, .a = a->transform_norm, .b = w->word, .bias = w->output_bias,
              .c = a->logits, .m = R, .n = L, .k = H, .b_panel = run->panel,
              .used = a->used); // [R][L], tied
}

// The next-sentence head: pooled = tanh(pooler(hidden state of [CLS])), two classes.
static void pair_head(gpu_stream *s, const bert_run *run)
{
    const bert_params *w = run->weights;
    const bert_acts *a = run->acts;
    const uint32_t B = a->shape.rows, H = run->config->hidden_size;
    const gpu_view hidden = bert_layer_input(run, run->config->num_hidden_layers);

    // In fp32 whatever the rest is: its rows are few, and of two classes.
    if (hidden.type == GPU_F32) {
        op_gather(s, a->first, hidden, B, H, a->pooler_in); // [B][H]
    } else {
        op_gather(s, a->first, hidden, B, H, a->first_hidden);
        op_cast(s, a->first_hidden, (uint64_t)B * H, a->pooler_in);
    }
    linear(s, run, a->pooler_in, w->pooler, w->pooler_bias, B, H, H, a->pooler_sum); // [B][H]
    op_tanh_fwd(s, a->pooler_sum, B * H, a->pooled);
    linear(s, run, a->pooled, w->relation, w->relation_bias, B, H, 2, a->pair_logits); // [B][2]
}

void bert_head_forward(gpu_stream *s, const bert_run *run)
{
    gpu_label(s, "head forward");
    if (run->objective != VKB_OBJECTIVE_NSP)
        mlm_head(s, run);
    if (run->objective != VKB_OBJECTIVE_MLM)
        pair_head(s, run);
    gpu_label(s, "");
}

void bert_loss(gpu_stream *s, const bert_run *run, bool gradient)
{
    const bert_acts *a = run->acts;
    const uint32_t R = a->shape.predictions, B = a->shape.rows;
    const op_scaling *scaling = gradient ? &run->scaling : NULL;
    gpu_label(s, "loss");
    if (run->objective != VKB_OBJECTIVE_NSP)
        op_cross_entropy(s, a->logits, a->labels, R, run->config->vocab_size, bert_logits_ld(run),
                         scaling, a->row_stats, run->step_out);
    if (run->objective != VKB_OBJECTIVE_MLM)
        op_pair_entropy(s, a->pair_logits, a->next_sentence, B, scaling, a->pair_stats,
                        run->step_out);
    if (gradient && run->objective == VKB_OBJECTIVE_MLM_NSP)
        op_pair_weight(s, a->labels, R, a->next_sentence, B, a->pair_logits);
    gpu_label(s, "");
}
