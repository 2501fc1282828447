// fill-mask: text -> tokens -> logits at each [MASK] -> softmax over the vocabulary -> the best, or
// the targets. The rules are those of transformers' FillMaskPipeline.
#include "bert/bert.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_TOP_K = 5 };

void vkb_fill_result_free(vkb_fill_result *r)
{
    vkb_tokens_free(&r->tokens);
    free(r->mask_positions);
    free(r->fills);
    *r = (vkb_fill_result){0};
}

// The text's tokens, cut to what the model takes when that is allowed.
static vkb_status text_encode(const vkb_model *model, const vkb_tokenizer *tok, const char *text,
                              bool truncate, vkb_tokens *tokens)
{
    const uint32_t most = model->config.max_position_embeddings;
    vkb_status status = vkb_encode(tok, text, strlen(text), NULL, 0, NULL, tokens);
    if (status != VKB_OK || tokens->count <= most)
        return status;
    if (!truncate)
        return vkb_fail(gpu_context(model->dev), VKB_BAD_ARGUMENT,
                        "the text has %zu tokens, but the model takes %u at most: shorten it, or "
                        "ask for truncation",
                        tokens->count, most);
    tokens->at[most - 1] = tokens->at[tokens->count - 1]; // [SEP]
    tokens->count = most;
    return VKB_OK;
}

static vkb_status masks_find(const vkb_model *model, const vkb_tokenizer *tok, vkb_fill_result *r)
{
    const uint32_t mask = vkb_tokenizer_special(tok).mask;
    r->mask_count = 0;
    free(r->mask_positions);
    r->mask_positions = malloc(r->tokens.count * sizeof(*r->mask_positions));
    if (!r->mask_positions)
        return vkb_fail_memory(gpu_context(model->dev), r->tokens.count, "mask positions");
    for (size_t i = 0; i < r->tokens.count; i++) {
        if (r->tokens.at[i].id >= model->config.vocab_size)
            return vkb_fail(gpu_context(model->dev), VKB_BAD_FILE,
                            "the tokenizer gives id %u, but the model's vocab_size is %u: use the "
                            "tokenizer that belongs to the model",
                            r->tokens.at[i].id, model->config.vocab_size);
        if (r->tokens.at[i].id == mask)
            r->mask_positions[r->mask_count++] = (uint32_t)i;
    }
    if (!r->mask_count)
        return vkb_fail(gpu_context(model->dev), VKB_BAD_ARGUMENT,
                        "no mask token (%s) found in the text", vkb_tokenizer_piece(tok, mask));
    return VKB_OK;
}

// Softmax of logits [V] in double.
static void softmax(const float *logits, uint32_t vocab_size, double *scores)
{
    double largest = -INFINITY, sum = 0;
    for (uint32_t i = 0; i < vocab_size; i++)
        largest = logits[i] > largest ? logits[i] : largest;
    for (uint32_t i = 0; i < vocab_size; i++)
        sum += scores[i] = exp(logits[i] - largest);
    for (uint32_t i = 0; i < vocab_size; i++)
        scores[i] /= sum;
}

// Keeps best[0 .. count-1] sorted, the highest score first and among equals the lowest id.
static void best_insert(vkb_fill *best, size_t *count, size_t most, vkb_fill candidate)
{
    if (*count == most && candidate.score <= best[most - 1].score)
        return;
    size_t at = *count < most ? (*count)++ : most - 1;
    for (; at > 0 && best[at - 1].score < candidate.score; at--)
        best[at] = best[at - 1];
    best[at] = candidate;
}

// Of targets, or of the first `tokens` ids.
static void fills_choose(const vkb_fill_params *params, const double *scores, uint32_t tokens,
                         size_t top_k, vkb_fill *fills)
{
    const size_t candidates = params->targets ? params->target_count : tokens;
    size_t count = 0;
    for (size_t i = 0; i < candidates; i++) {
        uint32_t id = params->targets ? params->targets[i] : (uint32_t)i;
        best_insert(fills, &count, top_k, (vkb_fill){scores[id], id});
    }
}

static vkb_status targets_check(const vkb_model *model, const vkb_fill_params *params)
{
    for (size_t i = 0; params->targets && i < params->target_count; i++)
        if (params->targets[i] >= model->config.vocab_size)
            return vkb_fail(gpu_context(model->dev), VKB_BAD_ARGUMENT,
                            "target id %u is beyond the vocabulary of %u", params->targets[i],
                            model->config.vocab_size);
    return VKB_OK;
}

// Logits of every mask, [mask_count][vocab_size]; freed with free().
static vkb_status masks_infer(vkb_model *model, const vkb_fill_result *r, float **logits)
{
    vkb_status status = VKB_OK;
    const size_t bytes = r->mask_count * model->config.vocab_size * sizeof(**logits);
    uint32_t *ids = malloc(r->tokens.count * sizeof(*ids));
    *logits = malloc(bytes);
    if (!ids || !*logits)
        BASE_TRY(vkb_fail_memory(gpu_context(model->dev), bytes, "logits"));
    for (size_t i = 0; i < r->tokens.count; i++)
        ids[i] = r->tokens.at[i].id;
    BASE_TRY(bert_infer(model, ids, NULL, (uint32_t)r->tokens.count, r->mask_positions,
                        (uint32_t)r->mask_count, *logits));
cleanup:
    free(ids);
    return status;
}

vkb_status vkb_fill_mask(vkb_model *model, const vkb_tokenizer *tok, const char *text,
                         const vkb_fill_params *params, vkb_fill_result *r)
{
    vkb_status status = VKB_OK;
    const uint32_t V = model->config.vocab_size;
    float *logits = NULL;
    double *scores = NULL;
    BASE_TRY(text_encode(model, tok, text, params->truncate, &r->tokens));
    BASE_TRY(masks_find(model, tok, r));
    BASE_TRY(targets_check(model, params));
    // A vocabulary may be padded beyond its tokens: what has no text fills no mask.
    const uint32_t tokens = vkb_tokenizer_size(tok) < V ? vkb_tokenizer_size(tok) : V;
    const size_t candidates = params->targets ? params->target_count : tokens;
    r->top_k = params->top_k ? params->top_k : DEFAULT_TOP_K;
    r->top_k = r->top_k < candidates ? r->top_k : candidates;

    free(r->fills);
    r->fills = malloc(r->mask_count * r->top_k * sizeof(*r->fills));
    scores = malloc(V * sizeof(*scores));
    if (!r->fills || !scores)
        BASE_TRY(vkb_fail_memory(gpu_context(model->dev), V * sizeof(*scores), "scores"));
    BASE_TRY(masks_infer(model, r, &logits));
    for (size_t i = 0; i < r->mask_count; i++) {
        softmax(logits + i * V, V, scores);
        fills_choose(params, scores, tokens, r->top_k, r->fills + i * r->top_k);
    }
cleanup:
    free(logits);
    free(scores);
    return status;
}
