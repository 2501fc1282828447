#include "text/words.h"

bool words_each(text_normal *scratch, const text_normaliser *rules, const char *text, size_t bytes,
                words_fn word, void *user)
{
    if (!text_normalise(rules, text, 0, bytes, scratch))
        return false;
    for (size_t at = 0, begin, end; text_next_word(scratch, scratch->count, &at, &begin, &end);) {
        size_t first = scratch->at[begin].byte;
        word(user, scratch->utf8 + first, scratch->at[end].byte - first, end - begin);
    }
    return true;
}
