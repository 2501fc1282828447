// fill-mask: text -> tokens -> logits at each [MASK] -> softmax over the vocabulary -> the best, or
// the targets. The rules are those of transformers' FillMaskPipeline.
#include "bert/bert.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_TOP_K = 5, MAX_GROUP_ROWS = 32, MAX_GROUP_TOKENS = 128, MAX_GROUP_MASKS = 16 };

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

// ---- Scores ----

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

// The highest score first and among equals the lowest id.
static int by_score(const void *a_, const void *b_)
{
    const vkb_fill *a = a_, *b = b_;
    if (a->score != b->score)
        return a->score < b->score ? 1 : -1;
    return (a->token > b->token) - (a->token < b->token);
}

// Moves the `most` best of all[count] to its start, in order. For a few of them one look at each of the
// others is all it takes.
static void best_first(vkb_fill *all, size_t count, size_t most)
{
    const size_t few = 64;
    qsort(all, most < few ? most : count, sizeof(*all), by_score);
    for (size_t i = most; most < few && most > 0 && i < count; i++) {
        const vkb_fill candidate = all[i];
        if (by_score(&candidate, &all[most - 1]) >= 0)
            continue;
        size_t at = most - 1;
        for (; at > 0 && by_score(&candidate, &all[at - 1]) < 0; at--)
            all[at] = all[at - 1];
        all[at] = candidate;
    }
}

// ---- A call ----

// What a call works in, beside its results.
typedef struct fill_work {
    vkb_model *model;
    const vkb_fill_params *params;
    size_t candidates; // a mask
    float *logits;     // [masks of a group][V]
    size_t logits_count;
    double *scores;  // [V]
    vkb_fill *fills; // [candidates]
    uint32_t *ids;   // of a group's texts
    size_t ids_count;
    size_t *order; // of the texts: those of a bucket stand together
} fill_work;

static void work_free(fill_work *w)
{
    free(w->logits);
    free(w->scores);
    free(w->fills);
    free(w->ids);
    free(w->order);
}

static vkb_status work_create(fill_work *w, const vkb_tokenizer *tok, size_t texts)
{
    const uint32_t V = w->model->config.vocab_size;
    const vkb_fill_params *p = w->params;
    for (size_t i = 0; p->targets && i < p->target_count; i++)
        if (p->targets[i] >= V)
            return vkb_fail(gpu_context(w->model->dev), VKB_BAD_ARGUMENT,
                            "target id %u is beyond the vocabulary of %u", p->targets[i], V);
    // A vocabulary may be padded beyond its tokens: what has no text fills no mask.
    const uint32_t tokens = vkb_tokenizer_size(tok) < V ? vkb_tokenizer_size(tok) : V;
    w->candidates = p->targets ? p->target_count : tokens;
    w->scores = malloc(V * sizeof(*w->scores));
    w->fills = malloc((w->candidates + 1) * sizeof(*w->fills));
    w->order = malloc((texts + 1) * sizeof(*w->order));
    if (!w->scores || !w->fills || !w->order)
        return vkb_fail_memory(gpu_context(w->model->dev), V * sizeof(*w->scores), "scores");
    return VKB_OK;
}

static vkb_status result_reserve(const fill_work *w, vkb_fill_result *r)
{
    const size_t wanted = w->params->top_k ? w->params->top_k : DEFAULT_TOP_K;
    r->top_k = wanted < w->candidates ? wanted : w->candidates;
    free(r->fills);
    r->fills = malloc((r->mask_count * r->top_k + 1) * sizeof(*r->fills));
    if (!r->fills)
        return vkb_fail_memory(gpu_context(w->model->dev), r->top_k * sizeof(*r->fills), "fills");
    return VKB_OK;
}

// The candidates of one text's masks, from their logits.
static void result_fill(const fill_work *w, const float *logits, vkb_fill_result *r)
{
    const uint32_t V = w->model->config.vocab_size;
    for (size_t mask = 0; mask < r->mask_count; mask++) {
        softmax(logits + mask * V, V, w->scores);
        for (size_t i = 0; i < w->candidates; i++) {
            const uint32_t id = w->params->targets ? w->params->targets[i] : (uint32_t)i;
            w->fills[i] = (vkb_fill){w->scores[id], id};
        }
        best_first(w->fills, w->candidates, r->top_k);
        if (r->top_k)
            memcpy(r->fills + mask * r->top_k, w->fills, r->top_k * sizeof(*r->fills));
    }
}

// ---- Texts of a bucket together ----

static uint32_t bucket_of(const fill_work *w, const vkb_fill_result *r)
{
    return bert_length_bucket(w->model, (uint32_t)r->tokens.count);
}

// Stable, so that the groups do not depend on the sort.
static void texts_order(fill_work *w, const vkb_fill_result *results, size_t count)
{
    size_t used = 0;
    const uint32_t most = w->model->config.max_position_embeddings;
    for (uint32_t length = 1; length <= most; length = bert_length_bucket(w->model, length) + 1)
        for (size_t i = 0; i < count; i++)
            if (bucket_of(w, &results[i]) == bert_length_bucket(w->model, length))
                w->order[used++] = i;
}

// How many of the texts from order[0] on share the next submission: a power of two, so that few passes
// serve all, of one bucket.
static uint32_t group_count(const fill_work *w, const vkb_fill_result *results, const size_t *order,
                            size_t left)
{
    const uint32_t length = bucket_of(w, &results[order[0]]);
    size_t masks = 0, count = 0;
    while (count < left && count < MAX_GROUP_ROWS && (count + 1) * length <= MAX_GROUP_TOKENS &&
           bucket_of(w, &results[order[count]]) == length &&
           masks + results[order[count]].mask_count <= MAX_GROUP_MASKS)
        masks += results[order[count++]].mask_count;
    uint32_t rows = 1;
    while (2 * rows <= count)
        rows *= 2;
    return rows;
}

static vkb_status room_for(fill_work *w, size_t ids, size_t logits)
{
    if (w->ids_count < ids) {
        free(w->ids);
        w->ids = malloc(ids * sizeof(*w->ids));
        w->ids_count = w->ids ? ids : 0;
    }
    if (w->logits_count < logits) {
        free(w->logits);
        w->logits = malloc(logits * sizeof(*w->logits));
        w->logits_count = w->logits ? logits : 0;
    }
    if (w->ids && w->logits)
        return VKB_OK;
    return vkb_fail_memory(gpu_context(w->model->dev), logits * sizeof(*w->logits), "logits");
}

static vkb_status group_run(fill_work *w, vkb_fill_result *results, const size_t *order,
                            uint32_t count)
{
    const uint32_t V = w->model->config.vocab_size;
    bert_text texts[MAX_GROUP_ROWS];
    size_t tokens = 0, masks = 0;
    for (uint32_t i = 0; i < count; i++) {
        tokens += results[order[i]].tokens.count;
        masks += results[order[i]].mask_count;
    }
    vkb_status status = room_for(w, tokens, masks * V);
    if (status != VKB_OK)
        return status;
    uint32_t *ids = w->ids;
    for (uint32_t i = 0; i < count; i++) {
        const vkb_fill_result *r = &results[order[i]];
        texts[i] =
            (bert_text){ids, (uint32_t)r->tokens.count, r->mask_positions, (uint32_t)r->mask_count};
        for (size_t t = 0; t < r->tokens.count; t++)
            *ids++ = r->tokens.at[t].id;
    }
    status = bert_infer(w->model, texts, count, w->logits);
    const float *logits = w->logits;
    for (uint32_t i = 0; i < count && status == VKB_OK; i++) {
        result_fill(w, logits, &results[order[i]]);
        logits += results[order[i]].mask_count * V;
    }
    return status;
}

vkb_status vkb_fill_mask_batch(vkb_model *model, const vkb_tokenizer *tok, const char *const *texts,
                               size_t count, const vkb_fill_params *params,
                               vkb_fill_result *results, size_t *failed)
{
    vkb_status status = VKB_OK;
    fill_work w = {.model = model, .params = params};
    size_t at = count; // whose fault a failure is
    BASE_TRY(work_create(&w, tok, count));
    for (at = 0; at < count; at++) {
        BASE_TRY(text_encode(model, tok, texts[at], params->truncate, &results[at].tokens));
        BASE_TRY(masks_find(model, tok, &results[at]));
        BASE_TRY(result_reserve(&w, &results[at]));
    }
    texts_order(&w, results, count);
    for (size_t done = 0, rows; done < count; done += rows) {
        rows = group_count(&w, results, w.order + done, count - done);
        BASE_TRY(group_run(&w, results, w.order + done, (uint32_t)rows));
    }
cleanup:
    if (failed)
        *failed = at;
    work_free(&w);
    return status;
}

vkb_status vkb_fill_mask(vkb_model *model, const vkb_tokenizer *tok, const char *text,
                         const vkb_fill_params *params, vkb_fill_result *result)
{
    return vkb_fill_mask_batch(model, tok, &text, 1, params, result, NULL);
}
