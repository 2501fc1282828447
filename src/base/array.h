// A growable array as three plain members { type *at; size_t count, capacity; } of any struct.
//
//     if (!array_reserve(list, list->count + 1)) return vkb_fail_memory(...);
//     list->at[list->count++] = item;
#ifndef VKB_BASE_ARRAY_H
#define VKB_BASE_ARRAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

static inline bool array_reserve_(void **at, size_t *capacity, size_t wanted, size_t item)
{
    if (wanted <= *capacity)
        return true;
    size_t larger = *capacity ? *capacity : 16;
    while (larger < wanted)
        larger = larger > SIZE_MAX / 2 ? wanted : larger * 2;
    void *moved = larger > SIZE_MAX / item ? NULL : realloc(*at, larger * item);
    if (!moved)
        return false;
    *at = moved;
    *capacity = larger;
    return true;
}

// Room for `wanted` items in all; false when memory is exhausted, the array is then unchanged.
#define array_reserve(list, wanted)                                                                \
    array_reserve_((void **)&(list)->at, &(list)->capacity, (wanted), sizeof(*(list)->at))

#endif
