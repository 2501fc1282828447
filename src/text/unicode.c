#include "text/unicode.h"

#include "text/unicode_tables.h"

#include <string.h>
#include <utf8proc.h>

#define COUNT(ranges) (sizeof(ranges) / sizeof((ranges)[0]))

static bool is_in(const uint32_t (*ranges)[2], size_t count, uint32_t code)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (ranges[middle][1] < code)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && ranges[low][0] <= code;
}

uint32_t unicode_read(const char *text, size_t bytes, size_t *at, size_t *invalid)
{
    unsigned char first = (unsigned char)text[*at];
    if (first < 0x80) {
        *at += 1;
        return first;
    }
    utf8proc_int32_t code;
    size_t rest = bytes - *at;
    // At most 4 bytes are looked at; the count is signed there.
    utf8proc_ssize_t length = utf8proc_iterate((const utf8proc_uint8_t *)text + *at,
                                               (utf8proc_ssize_t)(rest < 4 ? rest : 4), &code);
    if (length <= 0) {
        *at += 1;
        if (invalid)
            *invalid += 1;
        return UNICODE_REPLACEMENT;
    }
    *at += (size_t)length;
    return (uint32_t)code;
}

// Eight bytes of ASCII at a time.
size_t unicode_count_invalid(const char *text, size_t bytes)
{
    size_t invalid = 0;
    for (size_t at = 0; at < bytes;) {
        uint64_t eight;
        if (at + 8 <= bytes && (memcpy(&eight, text + at, 8), (eight & 0x8080808080808080ull) == 0))
            at += 8;
        else
            unicode_read(text, bytes, &at, &invalid);
    }
    return invalid;
}

size_t unicode_write(uint32_t code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    return (size_t)utf8proc_encode_char((utf8proc_int32_t)code, (utf8proc_uint8_t *)out);
}

bool unicode_is_white_space(uint32_t code)
{
    if (code < 0x80)
        return code == ' ' || (code >= '\t' && code <= '\r');
    return code == 0x85 || code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) ||
           code == 0x2028 || code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

bool unicode_is_dropped(uint32_t code)
{
    if (code < 0x80)
        return (code < ' ' && code != '\t' && code != '\n' && code != '\r') || code == 0x7F;
    return is_in(dropped_ranges, COUNT(dropped_ranges), code);
}

bool unicode_is_punctuation(uint32_t code)
{
    if (code < 0x80)
        return (code >= '!' && code <= '/') || (code >= ':' && code <= '@') ||
               (code >= '[' && code <= '`') || (code >= '{' && code <= '~');
    return is_in(punctuation_ranges, COUNT(punctuation_ranges), code);
}

bool unicode_is_cjk(uint32_t code)
{
    // 2B920, where Unicode's block starts at 2B820: the fast tokenizer's table, kept as it is.
    static const uint32_t range[][2] = {
        {0x4E00, 0x9FFF},   {0x3400, 0x4DBF},   {0x20000, 0x2A6DF}, {0x2A700, 0x2B73F},
        {0x2B740, 0x2B81F}, {0x2B920, 0x2CEAF}, {0xF900, 0xFAFF},   {0x2F800, 0x2FA1F},
    };
    if (code < 0x3400)
        return false;
    for (size_t i = 0; i < COUNT(range); i++)
        if (code >= range[i][0] && code <= range[i][1])
            return true;
    return false;
}

bool unicode_is_accent(uint32_t code)
{
    return code >= 0x300 && is_in(accent_ranges, COUNT(accent_ranges), code);
}

bool unicode_is_word(uint32_t code)
{
    if (code == 0x200C || code == 0x200D)
        return true;
    switch (utf8proc_category((utf8proc_int32_t)code)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
        return true;
    default:
        return false;
    }
}
