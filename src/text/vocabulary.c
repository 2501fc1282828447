#include "text/vocabulary.h"

#include <stdlib.h>

// The slot that holds the piece, or the empty one where it belongs.
static vocabulary_slot *slot_of(const text_vocabulary *v, uint32_t hash, const char *head,
                                size_t head_bytes, const char *tail, size_t tail_bytes)
{
    for (uint32_t i = hash;; i++) {
        vocabulary_slot *slot = &v->slots[i & (v->slot_count - 1)];
        if (slot->id == VOCABULARY_NONE)
            return slot;
        if (slot->hash != hash)
            continue;
        const char *piece = v->pieces[slot->id];
        if (strlen(piece) == head_bytes + tail_bytes && memcmp(piece, head, head_bytes) == 0 &&
            memcmp(piece + head_bytes, tail, tail_bytes) == 0)
            return slot;
    }
}

static bool grow(text_vocabulary *v)
{
    text_vocabulary larger = *v;
    larger.slot_count = v->slot_count ? v->slot_count * 2 : 1024;
    larger.slots = malloc(larger.slot_count * sizeof(*larger.slots));
    if (!larger.slots)
        return false;
    memset(larger.slots, 0xFF, larger.slot_count * sizeof(*larger.slots)); // all VOCABULARY_NONE
    for (uint32_t i = 0; i < v->slot_count; i++) {
        vocabulary_slot old = v->slots[i];
        if (old.id != VOCABULARY_NONE)
            *slot_of(&larger, old.hash, "", 0, v->pieces[old.id], strlen(v->pieces[old.id])) = old;
    }
    free(v->slots);
    *v = larger;
    return true;
}

bool vocabulary_insert(text_vocabulary *v, uint32_t id)
{
    if (v->used >= v->slot_count / 2 && !grow(v))
        return false;
    const char *piece = v->pieces[id];
    size_t bytes = strlen(piece);
    uint32_t hash = vocabulary_hash(VOCABULARY_HASH_START, piece, bytes);
    vocabulary_slot *slot = slot_of(v, hash, "", 0, piece, bytes);
    v->used += slot->id == VOCABULARY_NONE;
    *slot = (vocabulary_slot){hash, id};
    if (bytes > v->longest)
        v->longest = (uint32_t)bytes;
    return true;
}

void vocabulary_free(text_vocabulary *v)
{
    free(v->slots);
    *v = (text_vocabulary){0};
}

uint32_t vocabulary_find_hashed(const text_vocabulary *v, uint32_t hash, const char *head,
                                size_t head_bytes, const char *tail, size_t tail_bytes)
{
    return v->slot_count ? slot_of(v, hash, head, head_bytes, tail, tail_bytes)->id
                         : VOCABULARY_NONE;
}

uint32_t vocabulary_find(const text_vocabulary *v, const char *piece, size_t bytes)
{
    return vocabulary_find_hashed(v, vocabulary_hash(VOCABULARY_HASH_START, piece, bytes), "", 0,
                                  piece, bytes);
}
