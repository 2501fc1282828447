#include "text/wordpiece.h"

#include "base/array.h"

// The longest piece that the characters from begin on start with; *stop is the character behind it.
// VOCABULARY_NONE: none.
static uint32_t longest_piece(const text_vocabulary *v, const text_normal *normal, bool first,
                              size_t begin, size_t end, size_t *stop)
{
    const text_char *chars = normal->at;
    const char *text = normal->utf8 + chars[begin].byte;
    size_t head = first ? 0 : 2, bytes = 0;
    uint32_t hash = vocabulary_hash(VOCABULARY_HASH_START, "##", head);
    uint32_t best = VOCABULARY_NONE;
    for (size_t i = begin; i < end; i++) {
        size_t next = chars[i + 1].byte - chars[begin].byte;
        if (head + next > v->longest)
            break;
        hash = vocabulary_hash(hash, text + bytes, next - bytes);
        bytes = next;
        uint32_t id = vocabulary_find_hashed(v, hash, "##", head, text, bytes);
        if (id != VOCABULARY_NONE) {
            best = id;
            *stop = i + 1;
        }
    }
    return best;
}

static bool push(vkb_tokens *out, const text_normal *normal, uint32_t id, size_t begin, size_t end,
                 uint32_t type)
{
    if (!array_reserve(out, out->count + 1))
        return false;
    out->at[out->count++] = (vkb_token){
        .id = id,
        .type = type,
        .begin = normal->at[begin].begin,
        .end = normal->at[end - 1].end,
    };
    return true;
}

bool text_wordpiece(const text_vocabulary *v, uint32_t unknown, uint32_t max_chars,
                    const text_normal *normal, size_t begin, size_t end, uint32_t type,
                    vkb_tokens *out)
{
    size_t before = out->count;
    bool known = end - begin <= max_chars;
    for (size_t at = begin, stop = 0; known && at < end; at = stop) {
        uint32_t id = longest_piece(v, normal, at == begin, at, end, &stop);
        known = id != VOCABULARY_NONE;
        if (known && !push(out, normal, id, at, stop, type))
            return false;
    }
    if (known)
        return true;
    out->count = before;
    return push(out, normal, unknown, begin, end, type);
}
