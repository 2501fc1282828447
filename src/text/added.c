#include "text/added.h"

#include "base/array.h"
#include "text/unicode.h"

#include <string.h>

bool added_insert(text_added *added, const hf_added_token *token, const char *text, size_t bytes)
{
    if (bytes == 0)
        return true; // would match everywhere
    char *copy = malloc(bytes);
    if (!copy || !array_reserve(added, added->count + 1)) {
        free(copy);
        return false;
    }
    memcpy(copy, text, bytes);
    added->at[added->count++] = (struct text_added_entry){copy, bytes, token};
    added->starts[(uint8_t)text[0]] = true;
    return true;
}

void added_free(text_added *added)
{
    for (size_t i = 0; i < added->count; i++)
        free(added->at[i].text);
    free(added->at);
    *added = (text_added){0};
}

// The code point that ends at `at`; *at moves before it.
static uint32_t read_back(const char *text, size_t begin, size_t *at)
{
    size_t from = *at;
    do
        from--;
    while (from > begin && *at - from < 4 && ((uint8_t)text[from] & 0xC0) == 0x80);
    size_t next = from;
    uint32_t code = unicode_read(text, *at, &next, NULL);
    if (next != *at) { // not UTF-8: the last byte alone
        from = *at - 1;
        code = UNICODE_REPLACEMENT;
    }
    *at = from;
    return code;
}

static bool is_single_word(const char *text, size_t begin, size_t end, const text_match *m)
{
    size_t left = m->begin, right = m->end;
    if (left > begin && unicode_is_word(read_back(text, begin, &left)))
        return false;
    return right >= end || !unicode_is_word(unicode_read(text, end, &right, NULL));
}

static void swallow_white_space(const char *text, size_t begin, size_t end, bool left, bool right,
                                text_match *m)
{
    for (size_t at = m->begin; left && at > begin; m->begin = at)
        if (!unicode_is_white_space(read_back(text, begin, &at)))
            break;
    for (size_t at = m->end; right && at < end; m->end = at)
        if (!unicode_is_white_space(unicode_read(text, end, &at, NULL)))
            break;
}

static const struct text_added_entry *longest_at(const text_added *added, const char *text,
                                                 size_t bytes)
{
    const struct text_added_entry *best = NULL;
    for (size_t i = 0; i < added->count; i++) {
        const struct text_added_entry *entry = &added->at[i];
        if (entry->bytes <= bytes && memcmp(entry->text, text, entry->bytes) == 0 &&
            (!best || entry->bytes > best->bytes))
            best = entry;
    }
    return best;
}

bool added_next(const text_added *added, const char *text, size_t from, size_t end,
                text_match *match)
{
    for (size_t at = from; at < end; at++) {
        if (!added->starts[(uint8_t)text[at]])
            continue;
        const struct text_added_entry *entry = longest_at(added, text + at, end - at);
        if (!entry)
            continue;
        const hf_added_token *token = entry->token;
        *match = (text_match){at, at + entry->bytes, token->id};
        if (token->single_word && !is_single_word(text, 0, end, match)) {
            at += entry->bytes - 1; // what it covers is not searched again
            continue;
        }
        swallow_white_space(text, from, end, token->lstrip, token->rstrip, match);
        return true;
    }
    return false;
}
