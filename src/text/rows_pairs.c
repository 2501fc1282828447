// Pairs for next-sentence prediction, as create_pretraining_data.py of google-research/bert makes them:
// a run of a document's texts is cut in two; with probability 1/2, or when it is one text, the second
// half is replaced by a run of another document, and what was replaced is used again.
//
// Every epoch draws anew, from (seed, epoch, document): another epoch's rows can be made without
// those before it. What is cut off a pair that is too long is drawn from (seed, epoch, row).
#include "text/rows.h"

#include "base/array.h"
#include "base/philox.h"

#include <math.h>

enum { TRIES = 10 }; // for another document than the pair's own

// ---- Draws ----

typedef struct draws {
    uint64_t seed, item;
    uint32_t epoch, stream, used;
    philox4 now;
} draws;

static uint32_t draw(draws *d)
{
    if (d->used % 4 == 0) // the stream's word also tells a document's draws from a row's
        d->now = philox(d->seed ^ (uint64_t)d->stream << 56,
                        (philox4){{d->used / 4, (uint32_t)d->item,
                                   d->epoch ^ (uint32_t)(d->item >> 32) << 16, PHILOX_PAIRS}});
    return d->now.v[d->used++ % 4];
}

// Uniform in low .. high, both included.
static uint64_t draw_between(draws *d, uint64_t low, uint64_t high)
{
    return low + ((uint64_t)draw(d) * (high - low + 1) >> 32);
}

// ---- A document's pairs ----

typedef struct maker {
    vkb_dataset *data;
    uint64_t documents, document;
    uint64_t begin, end; // its texts
    draws draws;
} maker;

static vkb_status length_of(const vkb_dataset *data, uint64_t text, uint64_t *count)
{
    uint64_t start;
    return token_store_text(data->store, text, &start, count);
}

// The texts of a document; blank ones stand behind the others, where it ends, and are left out.
static vkb_status texts_of(const vkb_dataset *data, uint64_t document, uint64_t *begin,
                           uint64_t *end)
{
    uint64_t count = 0;
    vkb_status status = token_store_document(data->store, document, begin, end);
    while (status == VKB_OK && *end > *begin && count == 0) {
        status = length_of(data, *end - 1, &count);
        *end -= count == 0;
    }
    return status;
}

// A run of another document's texts, from a random one on, of `wanted` tokens if it has them.
static vkb_status random_run(maker *m, int64_t wanted, uint64_t *begin, uint64_t *end)
{
    uint64_t other = m->document, first, behind, count;
    int64_t tokens = 0;
    for (int i = 0; i < TRIES && other == m->document; i++)
        other = draw_between(&m->draws, 0, m->documents - 1);
    vkb_status status = texts_of(m->data, other, &first, &behind);
    if (status != VKB_OK)
        return status;
    *begin = draw_between(&m->draws, first, behind - 1);
    for (*end = *begin; *end < behind && status == VKB_OK;) {
        status = length_of(m->data, (*end)++, &count);
        tokens += (int64_t)count;
        if (tokens >= wanted)
            break;
    }
    return status;
}

// Makes one pair of the texts from .. to-1, and moves *next to the first text that is free again.
static vkb_status make_pair(maker *m, uint64_t from, uint64_t to, uint64_t target, uint64_t *next)
{
    vkb_dataset *data = m->data;
    vkb_status status = VKB_OK;
    const uint64_t texts = to - from, cut = texts > 1 ? draw_between(&m->draws, 1, texts - 1) : 1;
    uint64_t a_tokens = 0, begin = from + cut, end = to, count;
    for (uint64_t t = from; t < from + cut && status == VKB_OK; t++, a_tokens += count)
        status = length_of(data, t, &count);
    const bool is_random = texts == 1 || (draw(&m->draws) & 1);
    *next = to;
    if (is_random && status == VKB_OK) {
        status = random_run(m, (int64_t)target - (int64_t)a_tokens, &begin, &end);
        *next = from + cut;
    }
    if (status != VKB_OK)
        return status;
    if (!array_reserve(&data->pairs, data->pairs.count + 1))
        return vkb_fail_memory(data->ctx, data->pairs.count * sizeof(row_pair), "the pairs");
    data->pairs.at[data->pairs.count++] = (row_pair){(uint32_t)from, (uint32_t)(from + cut),
                                                     (uint32_t)begin, (uint32_t)end, is_random};
    return VKB_OK;
}

static vkb_status make_document(maker *m)
{
    const uint64_t most = m->data->params.max_seq_length - 3;
    const double short_share = m->data->params.short_seq_probability;
    vkb_status status = VKB_OK;
    uint64_t target = most, tokens = 0, count;
    if (philox_uniform(draw(&m->draws)) < short_share)
        target = draw_between(&m->draws, most < 2 ? most : 2, most);
    for (uint64_t t = m->begin, from = m->begin; t < m->end && status == VKB_OK;) {
        status = length_of(m->data, t++, &count);
        tokens += count;
        if (tokens == 0 && t < m->end)
            from = t; // a text without tokens begins nothing
        else if (status == VKB_OK && (t == m->end || tokens >= target)) {
            status = make_pair(m, from, t, target, &t);
            from = t;
            tokens = 0;
        }
    }
    return status;
}

static uint64_t pair_tokens(const vkb_dataset *data, const row_pair *p, uint64_t tokens[2],
                            vkb_status *status);

static vkb_status begin(vkb_dataset *data, uint64_t epoch)
{
    uint32_t texts = 0;
    vkb_status status = rows_count_texts(data, &texts);
    maker m = {.data = data, .documents = token_store_documents(data->store)};
    data->pairs.count = 0;
    data->tokens = 0;
    for (m.document = 0; m.document < m.documents && status == VKB_OK; m.document++) {
        status = texts_of(data, m.document, &m.begin, &m.end);
        m.draws = (draws){.seed = data->params.seed, .item = m.document, .epoch = (uint32_t)epoch};
        if (status == VKB_OK)
            status = make_document(&m);
        if (data->max_rows && data->pairs.count >= data->max_rows)
            break;
    }
    data->rows = rows_limit(data, data->pairs.count);
    for (uint64_t i = 0; i < data->rows && status == VKB_OK; i++) {
        uint64_t tokens[2];
        data->tokens += pair_tokens(data, &data->pairs.at[i], tokens, &status);
    }
    return status;
}

// ---- Rows ----

// Tokens of both halves, and of the row once it is cut.
static uint64_t pair_tokens(const vkb_dataset *data, const row_pair *p, uint64_t tokens[2],
                            vkb_status *status)
{
    const uint32_t bounds[2][2] = {{p->a_begin, p->a_end}, {p->b_begin, p->b_end}};
    for (int half = 0; half < 2; half++) {
        tokens[half] = 0;
        for (uint64_t t = bounds[half][0], count = 0; t < bounds[half][1] && *status == VKB_OK;
             t++) {
            *status = length_of(data, t, &count);
            tokens[half] += count;
        }
    }
    const uint64_t length = data->params.max_seq_length, all = tokens[0] + tokens[1] + 3;
    return all < length ? all : length;
}

// truncate_seq_pair: one token at a time off the longer half, off its front or its back.
static void cut_pair(const vkb_dataset *data, uint64_t row, uint64_t tokens[2], uint64_t front[2])
{
    const uint64_t most = data->params.max_seq_length - 3;
    draws d = {.seed = data->params.seed, .item = row, .epoch = (uint32_t)data->epoch, .stream = 1};
    uint32_t bits = 0, left = 0;
    front[0] = front[1] = 0;
    while (tokens[0] + tokens[1] > most) {
        const int longer = tokens[0] > tokens[1] ? 0 : 1;
        if (left-- == 0) {
            bits = draw(&d);
            left = 31;
        }
        front[longer] += bits & 1;
        bits >>= 1;
        tokens[longer]--;
    }
}

// Tokens skip .. skip+take-1 of the texts begin .. end-1, laid end to end.
static vkb_status add_half(const vkb_dataset *data, uint64_t begin, uint64_t end, uint64_t skip,
                           uint64_t take, uint32_t type, dataset_row *out)
{
    vkb_status status = VKB_OK;
    for (uint64_t t = begin; t < end && take && status == VKB_OK; t++) {
        uint64_t count = 0;
        status = length_of(data, t, &count);
        const uint64_t from = skip < count ? skip : count;
        const uint64_t taken = count - from < take ? count - from : take;
        skip -= from;
        take -= taken;
        if (status == VKB_OK)
            status = row_add_text(data, t, from, taken, type, out->used, 1, out);
    }
    return status;
}

static vkb_status read(const vkb_dataset *data, uint64_t row, dataset_row *out)
{
    const row_pair *p = &data->pairs.at[row];
    vkb_status status = VKB_OK;
    uint64_t tokens[2], front[2];
    pair_tokens(data, p, tokens, &status);
    if (status != VKB_OK)
        return status;
    cut_pair(data, row, tokens, front);
    row_add(out, data->special.cls, 0, out->used, 1);
    BASE_TRY(add_half(data, p->a_begin, p->a_end, front[0], tokens[0], 0, out));
    row_add(out, data->special.sep, 0, out->used, 1);
    BASE_TRY(add_half(data, p->b_begin, p->b_end, front[1], tokens[1], 1, out));
    row_add(out, data->special.sep, 1, out->used, 1);
    out->is_random = p->is_random;
cleanup:
    return status;
}

const rows_kind rows_pairs = {begin, read};
