// FNV-1a, 64 bits (Fowler, Noll, Vo), for keys and for damage that happens by chance: not for
// adversaries.
//
//     uint64_t hash = hash_bytes(HASH_START, a, a_bytes);
//     hash = hash_bytes(hash, b, b_bytes);
#ifndef VKB_BASE_HASH_H
#define VKB_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_START UINT64_C(0xCBF29CE484222325)

static inline uint64_t hash_bytes(uint64_t hash, const void *data, size_t bytes)
{
    const uint8_t *at = data;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ at[i]) * UINT64_C(0x100000001B3);
    return hash;
}

#endif
