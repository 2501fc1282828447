#include "text/corpus_seen.h"

#include <stdlib.h>
#include <string.h>

// A step of mixing: multiplication and xor-shift, as in the finalisers of MurmurHash3 (Appleby).
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 33) * 0xFF51AFD7ED558CCDull;
    x = (x ^ x >> 33) * 0xC4CEB9FE1A85EC53ull;
    return x ^ x >> 33;
}

static void hash(const char *text, size_t bytes, uint64_t out[2])
{
    uint64_t a = mix(bytes + 0x9E3779B97F4A7C15ull), b = mix(a ^ 0xD1B54A32D192ED03ull);
    for (size_t at = 0; at < bytes; at += 8) {
        uint64_t word = 0;
        memcpy(&word, text + at, bytes - at < 8 ? bytes - at : 8);
        a = mix(a ^ word);
        b = mix(b + word * 0x9FB21C651E98DF25ull) ^ a >> 7;
    }
    out[0] = a;
    out[1] = b | 1; // never the empty slot
}

static uint64_t *slot_of(const corpus_seen *seen, const uint64_t key[2])
{
    size_t at = key[0] & (seen->slot_count - 1);
    while (seen->slots[at][1] && (seen->slots[at][0] != key[0] || seen->slots[at][1] != key[1]))
        at = (at + 1) & (seen->slot_count - 1);
    return seen->slots[at];
}

static bool grow(corpus_seen *seen)
{
    corpus_seen larger = {.slot_count = seen->slot_count ? seen->slot_count * 2 : 1 << 12,
                          .count = seen->count};
    larger.slots = calloc(larger.slot_count, sizeof(*larger.slots));
    if (!larger.slots)
        return false;
    for (size_t i = 0; i < seen->slot_count; i++)
        if (seen->slots[i][1])
            memcpy(slot_of(&larger, seen->slots[i]), seen->slots[i], sizeof(*larger.slots));
    free(seen->slots);
    *seen = larger;
    return true;
}

bool corpus_seen_add(corpus_seen *seen, const char *text, size_t bytes, bool *before)
{
    uint64_t key[2];
    if (seen->count * 2 >= seen->slot_count && !grow(seen))
        return false;
    hash(text, bytes, key);
    uint64_t *slot = slot_of(seen, key);
    *before = slot[1] != 0;
    if (!*before)
        memcpy(slot, key, sizeof(key));
    seen->count += !*before;
    return true;
}

void corpus_seen_free(corpus_seen *seen)
{
    free(seen->slots);
    *seen = (corpus_seen){0};
}
