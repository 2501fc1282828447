// A text or a pair -> rows for the model: truncation, special tokens, padding, as tokenizers does them.
#include "text/tokenizer.h"
#include "text/unicode.h"

#include "base/array.h"

#include <stdlib.h>

void vkb_tokens_free(vkb_tokens *tokens)
{
    if (!tokens)
        return;
    for (size_t i = 0; i < tokens->overflow_capacity; i++)
        vkb_tokens_free(&tokens->overflow[i]);
    free(tokens->overflow);
    free(tokens->at);
    *tokens = (vkb_tokens){0};
}

// ---- Truncation ----

// Which tokens of a text the rows get: the first part is the row itself, the others overflow.
typedef struct part {
    size_t begin, end;
} part;

typedef struct part_list {
    part *at;
    size_t count, capacity;
} part_list;

static bool part_add(part_list *parts, size_t begin, size_t end)
{
    if (!array_reserve(parts, parts->count + 1))
        return false;
    parts->at[parts->count++] = (part){begin, end};
    return true;
}

// Cuts count tokens into parts of at most `most`, each repeating `stride` of the one before; from the
// end when `left`. With most 0 the row is empty and everything overflows.
static bool part_cut(part_list *parts, size_t count, size_t most, size_t stride, bool left)
{
    parts->count = 0;
    if (count <= most)
        return part_add(parts, 0, count);
    if (most == 0)
        return part_add(parts, 0, 0) && part_add(parts, 0, count);
    const size_t step = most - stride;
    for (size_t at = 0;; at += step) {
        const size_t reach = at + most < count ? at + most : count;
        if (!(left ? part_add(parts, count - reach, count - at) : part_add(parts, at, reach)))
            return false;
        if (reach == count)
            return true;
    }
}

// How many tokens of each text are kept so that both have `room` together.
static void shorten(size_t first, size_t second, size_t room, vkb_truncation how, size_t keep[2])
{
    const size_t over = first + second > room ? first + second - room : 0;
    keep[0] = first;
    keep[1] = second;
    if (how == VKB_TRUNCATE_ONLY_FIRST) {
        keep[0] -= over < first ? over : first;
    } else if (how == VKB_TRUNCATE_ONLY_SECOND) {
        keep[1] -= over < second ? over : second;
    } else if (over) {
        const bool swapped = first > second;
        size_t less = swapped ? second : first, more = less;
        if (less > room)
            more = less;
        else
            more = room - less > less ? room - less : less;
        if (less + more > room) {
            less = room / 2;
            more = less + room % 2;
        }
        keep[swapped] = less;
        keep[!swapped] = more;
    }
}

// ---- Rows ----

// The texts of one encoding, and how they are put together.
typedef struct assembly {
    const vkb_tokenizer *tok;
    const vkb_encode_params *params;
    vkb_tokens texts[2];
    part_list parts[2];
    bool pair;
} assembly;

static void push_special(const assembly *a, vkb_tokens *row, uint32_t id, uint32_t type)
{
    if (!a->params->no_special_tokens)
        row->at[row->count++] =
            (vkb_token){.id = id, .type = type, .word = UINT32_MAX, .special = true};
}

static void push_text(const assembly *a, vkb_tokens *row, uint32_t text, part p)
{
    if (p.begin == p.end)
        return; // there may be no memory to copy from
    memcpy(row->at + row->count, a->texts[text].at + p.begin, (p.end - p.begin) * sizeof(*row->at));
    row->count += p.end - p.begin;
}

static void pad(const assembly *a, vkb_tokens *row, size_t length)
{
    const size_t missing = length - row->count;
    const vkb_token padding = {
        .id = a->tok->special.pad, .word = UINT32_MAX, .special = true, .padding = true};
    if (missing == 0)
        return;
    if (a->params->pad_left)
        memmove(row->at + missing, row->at, row->count * sizeof(*row->at));
    for (size_t i = 0; i < missing; i++)
        row->at[a->params->pad_left ? i : row->count + i] = padding;
    row->count = length;
}

static size_t padded_length(const vkb_encode_params *p, size_t count)
{
    size_t length = count > p->pad_to ? count : p->pad_to;
    if (p->pad_to_multiple_of && p->pad_to)
        length =
            (length + p->pad_to_multiple_of - 1) / p->pad_to_multiple_of * p->pad_to_multiple_of;
    return p->pad_to ? length : count;
}

// [CLS] first [SEP], [CLS] first [SEP] second [SEP]
static bool assemble(const assembly *a, part first, part second, vkb_tokens *row)
{
    size_t count = first.end - first.begin + (a->pair ? second.end - second.begin : 0);
    count += a->params->no_special_tokens ? 0 : a->pair ? 3 : 2;
    const size_t length = padded_length(a->params, count);
    row->count = 0;
    if (!array_reserve(row, length))
        return false;
    push_special(a, row, a->tok->special.cls, 0);
    push_text(a, row, 0, first);
    push_special(a, row, a->tok->special.sep, 0);
    if (a->pair) {
        push_text(a, row, 1, second);
        push_special(a, row, a->tok->special.sep, 1);
    }
    pad(a, row, length);
    return true;
}

static bool overflow_add(const assembly *a, part first, part second, vkb_tokens *out)
{
    if (out->overflow_count == out->overflow_capacity) {
        const size_t larger = out->overflow_capacity ? out->overflow_capacity * 2 : 4;
        vkb_tokens *rows = realloc(out->overflow, larger * sizeof(*rows));
        if (!rows)
            return false;
        memset(rows + out->overflow_capacity, 0, (larger - out->overflow_capacity) * sizeof(*rows));
        out->overflow = rows;
        out->overflow_capacity = larger;
    }
    return assemble(a, first, second, &out->overflow[out->overflow_count++]);
}

// The row, then every part of the first text with every one of the second, in the order of tokenizers'
// Encoding::merge_with: the row's own first part comes last.
static bool assemble_all(const assembly *a, vkb_tokens *out)
{
    const part_list *x = &a->parts[0], *y = &a->parts[1];
    if (!assemble(a, x->at[0], y->at[0], out))
        return false;
    for (size_t n = 1; n <= x->count; n++) {
        const size_t i = n % x->count;
        for (size_t k = i == 0; k < y->count; k++)
            if (!overflow_add(a, x->at[i], y->at[k], out))
                return false;
    }
    return true;
}

// ---- Encoding ----

static vkb_status check_params(const vkb_tokenizer *tok, const vkb_encode_params *p, bool pair,
                               size_t specials)
{
    if (p->truncation < VKB_TRUNCATE_LONGEST_FIRST || p->truncation > VKB_TRUNCATE_ONLY_SECOND)
        return vkb_fail(tok->ctx, VKB_BAD_ARGUMENT, "there is no truncation strategy %d",
                        (int)p->truncation);
    if (!p->max_length)
        return VKB_OK;
    if (p->max_length < specials)
        return vkb_fail(tok->ctx, VKB_BAD_ARGUMENT,
                        "max_length is %u, but the special tokens alone are %zu", p->max_length,
                        specials);
    if (p->stride && p->stride >= p->max_length - specials)
        return vkb_fail(tok->ctx, VKB_BAD_ARGUMENT,
                        "a stride of %u leaves nothing new in rows of %zu tokens of text",
                        p->stride, p->max_length - specials);
    if (!pair && p->truncation == VKB_TRUNCATE_ONLY_SECOND)
        return vkb_fail(tok->ctx, VKB_BAD_ARGUMENT,
                        "truncation only_second needs a pair, but there is one text");
    return VKB_OK;
}

static vkb_status truncate(assembly *a, size_t specials)
{
    const vkb_encode_params *p = a->params;
    const size_t counts[2] = {a->texts[0].count, a->texts[1].count};
    size_t keep[2] = {counts[0], counts[1]};
    if (p->max_length) {
        const size_t room = p->max_length - specials;
        shorten(counts[0], counts[1], room, p->truncation, keep);
        if (keep[0] + keep[1] > room ||
            (room && counts[0] + counts[1] > room && p->truncation != VKB_TRUNCATE_LONGEST_FIRST &&
             keep[p->truncation == VKB_TRUNCATE_ONLY_SECOND] == 0))
            return vkb_fail(a->tok->ctx, VKB_BAD_ARGUMENT,
                            "the %s text is too short to cut a pair of %zu tokens to max_length %u",
                            p->truncation == VKB_TRUNCATE_ONLY_FIRST ? "first" : "second",
                            counts[0] + counts[1] + specials, p->max_length);
    }
    for (uint32_t i = 0; i < 2; i++) {
        if (keep[i] && keep[i] < counts[i] && p->stride >= keep[i])
            return vkb_fail(a->tok->ctx, VKB_BAD_ARGUMENT,
                            "a stride of %u leaves nothing new in %zu tokens of the %s text",
                            p->stride, keep[i], i ? "second" : "first");
        if (!part_cut(&a->parts[i], counts[i], keep[i], p->stride, p->truncate_left))
            return vkb_fail_memory(a->tok->ctx, counts[i] * sizeof(part), "the parts of a text");
    }
    return VKB_OK;
}

vkb_status vkb_encode(const vkb_tokenizer *tok, const char *text, size_t bytes, const char *pair,
                      size_t pair_bytes, const vkb_encode_params *params, vkb_tokens *out)
{
    const vkb_encode_params defaults = {0};
    vkb_status status = VKB_OK;
    words_scratch scratch = {0};
    assembly a = {.tok = tok, .params = params ? params : &defaults, .pair = pair != NULL};
    const size_t specials = a.params->no_special_tokens ? 0 : pair ? 3 : 2;
    out->count = out->overflow_count = 0;
    if (bytes > VKB_TEXT_MAX || (pair && pair_bytes > VKB_TEXT_MAX))
        return vkb_fail(tok->ctx, VKB_BAD_ARGUMENT, "a text of %zu bytes is too long, at most %u",
                        bytes > VKB_TEXT_MAX ? bytes : pair_bytes, VKB_TEXT_MAX);
    out->invalid_bytes =
        unicode_count_invalid(text, bytes) + (pair ? unicode_count_invalid(pair, pair_bytes) : 0);
    BASE_TRY(check_params(tok, a.params, a.pair, specials));
    if (!tokenizer_append(tok, &scratch, text, bytes, 0, &a.texts[0]) ||
        (pair && !tokenizer_append(tok, &scratch, pair, pair_bytes, 1, &a.texts[1])))
        BASE_TRY(vkb_fail_memory(tok->ctx, bytes + pair_bytes, "the tokens of a text"));
    BASE_TRY(truncate(&a, specials));
    if (!assemble_all(&a, out))
        BASE_TRY(vkb_fail_memory(tok->ctx, bytes + pair_bytes, "the tokens of a text"));
cleanup:
    words_scratch_free(&scratch);
    for (uint32_t i = 0; i < 2; i++) {
        vkb_tokens_free(&a.texts[i]);
        free(a.parts[i].at);
    }
    return status;
}
