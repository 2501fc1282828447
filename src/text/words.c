#include "text/words.h"

#include "text/unicode.h"

#include <stdlib.h>

bool splitter_create(const text_normaliser *rules, text_splitter *out)
{
    text_normal normal = {0};
    bool ok = true;
    *out = (text_splitter){.rules = *rules};
    for (int c = 0; c < 256; c++)
        out->kind[c] = WORDS_OTHER;
    for (int c = 0; c < 128 && ok; c++) {
        ok = text_normalise(rules, &(char){(char)c}, 0, 1, &normal);
        if (!ok || normal.count != 1 || normal.at[0].code >= 0x80)
            continue;
        const uint32_t code = normal.at[0].code;
        out->kind[c] = unicode_is_white_space(code)   ? WORDS_BLANK
                       : unicode_is_punctuation(code) ? WORDS_PUNCTUATION
                                                      : WORDS_LETTER;
        out->spelt[c] = (char)code;
    }
    text_normal_free(&normal);
    return ok;
}

void words_scratch_free(words_scratch *scratch)
{
    text_normal_free(&scratch->normal);
    free(scratch->word);
    *scratch = (words_scratch){0};
}

static bool make_room(words_scratch *scratch, size_t bytes)
{
    if (bytes + TEXT_SLACK <= scratch->room)
        return true;
    size_t room = (bytes + TEXT_SLACK) * 2;
    char *larger = realloc(scratch->word, room);
    if (!larger)
        return false;
    scratch->word = larger;
    scratch->room = room;
    return true;
}

bool words_of_normal(const text_normal *normal, size_t at, size_t limit, words_fn word, void *user)
{
    for (size_t first, behind; text_next_word(normal, limit, &at, &first, &behind);) {
        const text_char *from = &normal->at[first];
        const word_view w = {
            .utf8 = normal->utf8 + from->byte,
            .bytes = normal->at[behind].byte - from->byte,
            .chars = behind - first,
            .begin = from->begin,
            .end = normal->at[behind - 1].end,
            .from = from,
        };
        if (!word(user, &w))
            return false;
    }
    return true;
}

bool words_each(words_scratch *scratch, const text_splitter *splitter, const char *text,
                size_t begin, size_t end, words_fn word, void *user)
{
#define KIND(at) splitter->kind[(uint8_t)text[at]]
    for (size_t at = begin; at < end;) {
        const size_t first = at;
        const words_kind kind = KIND(at);
        if (kind == WORDS_BLANK) {
            at++;
            continue;
        }
        if (kind == WORDS_PUNCTUATION)
            at++;
        while (kind != WORDS_PUNCTUATION && at < end && KIND(at) == WORDS_LETTER)
            at++;
        if (kind != WORDS_PUNCTUATION && at < end && KIND(at) == WORDS_OTHER) {
            while (at < end && (KIND(at) == WORDS_LETTER || KIND(at) == WORDS_OTHER))
                at++;
            text_normal *normal = &scratch->normal;
            if (!text_normalise(&splitter->rules, text, first, at, normal) ||
                !words_of_normal(normal, 0, normal->count, word, user))
                return false;
            continue;
        }
        if (!make_room(scratch, at - first))
            return false;
        for (size_t i = first; i < at; i++)
            scratch->word[i - first] = splitter->spelt[(uint8_t)text[i]];
        const word_view w = {scratch->word, at - first, at - first, first, at, NULL};
        if (!word(user, &w))
            return false;
    }
    return true;
#undef KIND
}
