// The normaliser and the pre-tokenizer against the fast tokenizer's rules, one oddity a line.
#include "text/normalise.h"

#include "check.h"

#include <stdlib.h>

static const text_normaliser uncased = {true, true, true, true};
static const text_normaliser cased = {true, true, false, false};
static const text_normaliser lower_only = {true, true, false, true};
static const text_normaliser strip_only = {true, true, true, false};
static const text_normaliser nothing = {false, false, false, false};

static const char *normal_of(const text_normaliser *rules, const char *text, size_t bytes)
{
    static char shown[4096];
    text_normal normal = {0};
    CHECK(text_normalise(rules, text, 0, bytes, &normal));
    snprintf(shown, sizeof(shown), "%s", normal.utf8);
    text_normal_free(&normal);
    return shown;
}

// The words with "|" between them.
static const char *words_of(const text_normaliser *rules, const char *text)
{
    static char shown[4096];
    text_normal normal = {0};
    size_t used = 0;
    shown[0] = 0;
    CHECK(text_normalise(rules, text, 0, strlen(text), &normal));
    for (size_t at = 0, begin, end; text_next_word(&normal, normal.count, &at, &begin, &end);)
        used += (size_t)snprintf(shown + used, sizeof(shown) - used, "%s%.*s", used ? "|" : "",
                                 (int)(normal.at[end].byte - normal.at[begin].byte),
                                 normal.utf8 + normal.at[begin].byte);
    text_normal_free(&normal);
    return shown;
}

#define NORMAL(rules, text, expected)                                                              \
    do {                                                                                           \
        check_case = #text " " #rules;                                                             \
        CHECK_STR(normal_of(&rules, text, sizeof(text) - 1), expected);                            \
    } while (0)

#define WORDS(rules, text, expected)                                                               \
    do {                                                                                           \
        check_case = #text " " #rules;                                                             \
        CHECK_STR(words_of(&rules, text), expected);                                               \
    } while (0)

TEST(cleans_text)
{
    NORMAL(cased, "a\tb\nc\rd", "a b c d");
    NORMAL(cased, "a\fb\vc", "abc"); // dropped, so that the words join
    NORMAL(cased,
           "a\xC2\x85"
           "b",
           "ab"); // U+0085 too
    NORMAL(cased,
           "a\xC2\xA0"
           "b",
           "a b"); // no-break space is white space
    NORMAL(cased,
           "a\xE2\x80\xA8"
           "b\xE3\x80\x80"
           "c",
           "a b c"); // line separator, ideographic space
    NORMAL(cased, "\xEF\xBB\xBFx\xE2\x80\x8By\xC2\xADz\xE2\x80\x8F", "xyz"); // Cf
    NORMAL(cased, "a\0b", "ab");
    NORMAL(cased,
           "a\xEF\xBF\xBD"
           "b",
           "ab");
    NORMAL(cased,
           "a\xEE\x80\x80"
           "b",
           "ab"); // private use
    NORMAL(nothing, "a\tb\xE2\x80\x8B", "a\tb\xE2\x80\x8B");
}

TEST(reads_invalid_utf8_as_replacement)
{
    NORMAL(cased,
           "a\xFF"
           "b\xC3",
           "ab");
    NORMAL(cased, "\xED\xA0\x80x", "x");               // a surrogate
    NORMAL(cased, "\xC0\xAFx\xF4\x90\x80\x80y", "xy"); // overlong; beyond U+10FFFF
    NORMAL(nothing,
           "a\xFF"
           "b",
           "a\xEF\xBF\xBD"
           "b");
}

TEST(strips_accents)
{
    NORMAL(uncased, "\xC3\x84\xC3\xA9\xC3\xB1", "aen"); // Ä é ñ
    NORMAL(uncased, "e\xCC\x81\xCC\xA7z", "ez");        // combining acute and cedilla
    NORMAL(strip_only, "\xC3\x89", "E");
    NORMAL(lower_only, "\xC3\x89", "\xC3\xA9");
    NORMAL(cased,
           "\xC3\x89"
           "e\xCC\x81",
           "\xC3\x89"
           "e\xCC\x81"); // composed and decomposed stay as they are
    NORMAL(uncased, "\xC3\x9F\xC3\xB8\xC5\x82\xEF\xAC\x81", "\xC3\x9F\xC3\xB8\xC5\x82\xEF\xAC\x81");
    NORMAL(uncased, "\xED\x95\x9C", "\xE1\x84\x92\xE1\x85\xA1\xE1\x86\xAB"); // Hangul: three jamo
    // Only Mn goes: a spacing vowel sign (Mc) and an enclosing circle (Me) stay.
    NORMAL(uncased, "\xE0\xA4\x95\xE0\xA4\xBE\xE2\x83\x9D", "\xE0\xA4\x95\xE0\xA4\xBE\xE2\x83\x9D");
}

TEST(lowers_case)
{
    NORMAL(uncased, "ABC \xCE\xA3\xCE\x91\xCE\xA3",
           "abc \xCF\x83\xCE\xB1\xCF\x83");      // no final sigma
    NORMAL(lower_only, "\xC4\xB0", "i\xCC\x87"); // İ becomes two
    NORMAL(uncased, "\xC4\xB0", "i");
    NORMAL(uncased, "\xD0\x99", "\xD0\xB8"); // Й: и and a breve, which is dropped
    NORMAL(cased, "ABC", "ABC");
}

TEST(sets_ideographs_apart)
{
    WORDS(uncased, "ah\xE5\x8D\x9A\xE6\x8E\xA8zz", "ah|\xE5\x8D\x9A|\xE6\x8E\xA8|zz");
    WORDS(uncased, "\xE3\x81\x82\xE3\x81\x84", "\xE3\x81\x82\xE3\x81\x84"); // kana stay together
    // U+2B820 is an ideograph outside the fast tokenizer's table, U+2B920 inside.
    WORDS(uncased, "a\xF0\xAB\xA0\xA0z", "a\xF0\xAB\xA0\xA0z");
    WORDS(uncased, "a\xF0\xAB\xA4\xA0z", "a|\xF0\xAB\xA4\xA0|z");
    WORDS(nothing, "a\xE5\x8D\x9Az", "a\xE5\x8D\x9Az");
}

TEST(splits_words)
{
    WORDS(uncased, " \tHeLLo!how  \n Are yoU?  ", "hello|!|how|are|you|?");
    WORDS(cased, "a...b", "a|.|.|.|b");
    WORDS(cased, "$5+2<3^`|~", "$|5|+|2|<|3|^|`|||~");
    WORDS(cased, "5\xE2\x82\xAC \xC2\xA9x\xC2\xB0",
          "5\xE2\x82\xAC|\xC2\xA9x\xC2\xB0"); // € © ° are no
    WORDS(cased, "\xC2\xABx\xC2\xBB\xE2\x80\xA6", "\xC2\xAB|x|\xC2\xBB|\xE2\x80\xA6"); // « » … are
    WORDS(cased, "", "");
    WORDS(cased, " \n", "");
    WORDS(nothing,
          "a\xC2\x85"
          "b\fc",
          "a|b|c"); // not cleaned, they are white space
}

TEST(knows_unicode_8)
{
    // Newer than the tables that models were trained with: U+061D is punctuation today, U+08E2 a format
    // character, U+1ABF a mark.
    WORDS(cased,
          "a\xD8\x9D"
          "b",
          "a\xD8\x9D"
          "b");
    NORMAL(cased,
           "a\xE0\xA3\xA2"
           "b",
           "a\xE0\xA3\xA2"
           "b");
    NORMAL(uncased, "a\xE1\xAA\xBF", "a\xE1\xAA\xBF");
}

TEST(keeps_places_in_the_text)
{
    const char *text = "x\xC3\x89"
                       "e\xCC\x81 \xE5\x8D\x9A";
    text_normal normal = {0};
    CHECK(text_normalise(&uncased, text, 0, strlen(text), &normal));
    static const uint32_t expected[][3] = {
        {'x', 0, 1},  {'e', 1, 3},     {'e', 3, 4},  {' ', 6, 7},
        {' ', 7, 10}, {0x535A, 7, 10}, {' ', 7, 10},
    };
    CHECK_INT(normal.count, 7);
    for (size_t i = 0; i < 7 && i < normal.count; i++) {
        CHECK_INT(normal.at[i].code, expected[i][0]);
        CHECK_INT(normal.at[i].begin, expected[i][1]);
        CHECK_INT(normal.at[i].end, expected[i][2]);
    }
    // Only a part is read, places still count from the text's start.
    CHECK(text_normalise(&uncased, text, 1, 3, &normal));
    CHECK_INT(normal.count, 1);
    CHECK_INT(normal.at[0].begin, 1);
    text_normal_free(&normal);
}

TEST(orders_marks)
{
    // Dot below (220) comes before acute (230); the musical stem U+1D165 (216, Mc) is kept.
    static const text_normaliser nfd = {.strip_accents = true};
    NORMAL(nfd, "\xF0\x9D\x85\xAD\xF0\x9D\x85\xA5", "\xF0\x9D\x85\xA5\xF0\x9D\x85\xAD");
}

TEST(orders_a_long_row_of_marks)
{
    // Acute and dot below in turn: a quadratic sort would take minutes.
    enum { PAIRS = 300000 };
    char *text = malloc(4 * PAIRS);
    text_normal normal = {0};
    static const text_normaliser nfd = {.strip_accents = true};
    for (size_t i = 0; text && i < PAIRS; i++)
        memcpy(text + 4 * i, "\xCC\x81\xCC\xA3", 4);
    CHECK(text && text_normalise(&nfd, text, 0, 4 * PAIRS, &normal));
    CHECK_INT(normal.count, 0);
    text_normal_free(&normal);
    free(text);
}

int main(void)
{
    RUN(cleans_text);
    RUN(reads_invalid_utf8_as_replacement);
    RUN(strips_accents);
    RUN(lowers_case);
    RUN(sets_ideographs_apart);
    RUN(splits_words);
    RUN(knows_unicode_8);
    RUN(keeps_places_in_the_text);
    RUN(orders_marks);
    RUN(orders_a_long_row_of_marks);
    return check_report();
}
