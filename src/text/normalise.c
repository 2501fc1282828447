#include "text/normalise.h"

#include "base/array.h"
#include "text/unicode.h"

#include <string.h>
#include <utf8proc.h>

static bool push(text_normal *out, uint32_t code, size_t begin, size_t end)
{
    if (!array_reserve(out, out->count + 1))
        return false;
    out->at[out->count++] =
        (text_char){.code = code, .begin = (uint32_t)begin, .end = (uint32_t)end};
    return true;
}

// Pushes what code becomes by full decomposition (canonical only), Hangul included.
static bool push_decomposed(text_normal *out, uint32_t code, size_t begin, size_t end)
{
    utf8proc_int32_t parts[32]; // the longest canonical decomposition is 4
    int boundary = 0;
    utf8proc_ssize_t count = 0;
    if (code >= 0xC0)
        count = utf8proc_decompose_char((utf8proc_int32_t)code, parts, 32, UTF8PROC_DECOMPOSE,
                                        &boundary);
    if (count <= 0 || count > 32)
        return push(out, code, begin, end);
    for (utf8proc_ssize_t i = 0; i < count; i++)
        if (!push(out, (uint32_t)parts[i], begin, end))
            return false;
    return true;
}

static bool push_character(const text_normaliser *rules, text_normal *out, uint32_t code,
                           size_t begin, size_t end)
{
    if (rules->clean_text) {
        // A control character leaves no blank: form feed, say, joins the words on its two sides.
        if (unicode_is_dropped(code))
            return true;
        if (unicode_is_white_space(code))
            code = ' ';
    }
    bool alone = rules->cjk_spaces && unicode_is_cjk(code);
    if (alone && !push(out, ' ', begin, end))
        return false;
    if (rules->lowercase && code == 0x130) {
        // The one character whose lower case is two, whatever the language.
        if (!push(out, 'i', begin, end) || !push(out, 0x307, begin, end))
            return false;
    } else if (!(rules->strip_accents ? push_decomposed(out, code, begin, end)
                                      : push(out, code, begin, end))) {
        return false;
    }
    return !alone || push(out, ' ', begin, end);
}

static int combining_class(uint32_t code)
{
    return code < 0x300 ? 0 : utf8proc_get_property((utf8proc_int32_t)code)->combining_class;
}

static int by_class(const void *a_, const void *b_)
{
    const text_char *a = a_, *b = b_;
    int order = combining_class(a->code) - combining_class(b->code);
    return order ? order : (a->byte > b->byte) - (a->byte < b->byte);
}

// Canonical order: the marks behind a base character by combining class, equals as they stood.
// Sorted in n log n, for a hostile text may be one long row of marks.
static void order_marks(text_normal *normal)
{
    for (size_t i = 0; i < normal->count;) {
        size_t first = i;
        while (i < normal->count && combining_class(normal->at[i].code) != 0) {
            normal->at[i].byte = (uint32_t)i; // its place, until spell needs the member
            i++;
        }
        if (i - first > 1)
            qsort(normal->at + first, i - first, sizeof(*normal->at), by_class);
        i += i == first;
    }
}

static void drop_accents(text_normal *normal)
{
    size_t kept = 0;
    for (size_t i = 0; i < normal->count; i++)
        if (!unicode_is_accent(normal->at[i].code))
            normal->at[kept++] = normal->at[i];
    normal->count = kept;
}

static uint32_t lower(uint32_t code)
{
    if (code < 0x80)
        return code >= 'A' && code <= 'Z' ? code + 32 : code;
    return (uint32_t)utf8proc_tolower((utf8proc_int32_t)code);
}

// Fills utf8 and each character's place in it.
static bool spell(text_normal *normal)
{
    size_t room = normal->count * 4 + 1 + TEXT_SLACK;
    if (room > normal->utf8_capacity) {
        char *larger = realloc(normal->utf8, room * 2);
        if (!larger)
            return false;
        normal->utf8 = larger;
        normal->utf8_capacity = room * 2;
    }
    size_t byte = 0;
    for (size_t i = 0; i < normal->count; i++) {
        normal->at[i].byte = (uint32_t)byte;
        byte += unicode_write(normal->at[i].code, normal->utf8 + byte);
    }
    normal->utf8[byte] = 0;
    normal->at[normal->count] = (text_char){.byte = (uint32_t)byte};
    return true;
}

bool text_normalise(const text_normaliser *rules, const char *text, size_t begin, size_t end,
                    text_normal *out)
{
    out->count = 0;
    for (size_t at = begin; at < end;) {
        size_t from = at;
        uint32_t code = unicode_read(text, end, &at, NULL);
        if (!push_character(rules, out, code, from, at))
            return false;
    }
    if (rules->strip_accents) {
        order_marks(out);
        drop_accents(out);
    }
    if (rules->lowercase)
        for (size_t i = 0; i < out->count; i++)
            out->at[i].code = lower(out->at[i].code);
    return array_reserve(out, out->count + 1) && spell(out);
}

void text_normal_free(text_normal *normal)
{
    free(normal->at);
    free(normal->utf8);
    *normal = (text_normal){0};
}

bool text_next_word(const text_normal *normal, size_t limit, size_t *at, size_t *begin, size_t *end)
{
    const text_char *chars = normal->at;
    size_t i = *at;
    while (i < limit && unicode_is_white_space(chars[i].code))
        i++;
    *begin = i;
    if (i < limit && unicode_is_punctuation(chars[i].code))
        i++;
    else
        while (i < limit && !unicode_is_white_space(chars[i].code) &&
               !unicode_is_punctuation(chars[i].code))
            i++;
    *at = *end = i;
    return *begin < *end;
}
