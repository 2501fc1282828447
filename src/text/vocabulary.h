// Piece -> id: open addressing over an array of pieces that somebody else owns.
//
// The hash of a piece grows byte by byte, so that WordPiece asks for every prefix of a word in one
// pass over it.
#ifndef VKB_TEXT_VOCABULARY_H
#define VKB_TEXT_VOCABULARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define VOCABULARY_NONE UINT32_MAX

typedef struct vocabulary_slot {
    uint32_t hash, id; // id VOCABULARY_NONE: empty
} vocabulary_slot;

typedef struct text_vocabulary {
    char *const *pieces; // borrowed: pieces[id]
    vocabulary_slot *slots;
    uint32_t slot_count, used; // slot_count is a power of two, at most half of it used
    uint32_t longest;          // bytes of the longest piece
} text_vocabulary;

// Indexes v->pieces[id]; the last id of equal pieces wins. False: memory is exhausted.
bool vocabulary_insert(text_vocabulary *v, uint32_t id);
void vocabulary_free(text_vocabulary *v);

// The id of a piece, or VOCABULARY_NONE.
uint32_t vocabulary_find(const text_vocabulary *v, const char *piece, size_t bytes);

// FNV-1a, continued over more bytes.
#define VOCABULARY_HASH_START 0x811C9DC5u
static inline uint32_t vocabulary_hash(uint32_t hash, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ (uint8_t)text[i]) * 0x01000193u;
    return hash;
}

// The id of the piece head + tail, whose hash is given.
uint32_t vocabulary_find_hashed(const text_vocabulary *v, uint32_t hash, const char *head,
                                size_t head_bytes, const char *tail, size_t tail_bytes);

#endif
