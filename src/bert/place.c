// Places by size, see place.h: Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net
// Inference", 2020, the greedy one by size, over several buffers.
#include "bert/place.h"

#include <stdlib.h>

typedef struct placing {
    bert_place **by_offset; // those placed so far, of all buffers
    size_t count;
    uint64_t alignment;
} placing;

static int larger_first(const void *a_, const void *b_)
{
    const bert_place *a = *(bert_place *const *)a_, *b = *(bert_place *const *)b_;
    if (a->bytes != b->bytes)
        return a->bytes > b->bytes ? -1 : 1;
    return a < b ? -1 : 1;
}

// The lowest offset in a buffer at which nothing lies that is needed at a same time.
static uint64_t lowest(const placing *p, const bert_place *place, uint32_t buffer)
{
    uint64_t at = 0;
    for (size_t i = 0; i < p->count; i++) {
        const bert_place *other = p->by_offset[i];
        if (other->buffer != buffer || !(other->life & place->life))
            continue;
        if (at + place->bytes <= other->offset)
            break;
        const uint64_t end = other->offset + other->bytes;
        if (end > at)
            at = (end + p->alignment - 1) / p->alignment * p->alignment;
    }
    return at;
}

static void insert(placing *p, bert_place *place)
{
    size_t i = p->count++;
    for (; i > 0 && p->by_offset[i - 1]->offset > place->offset; i--)
        p->by_offset[i] = p->by_offset[i - 1];
    p->by_offset[i] = place;
}

bool bert_place_all(bert_place *places, size_t count, uint64_t limit, uint64_t alignment,
                    uint64_t *sizes, uint32_t *buffers)
{
    bert_place **by_size = calloc(2 * count + 1, sizeof(*by_size));
    placing p = {.by_offset = by_size + count, .alignment = alignment};
    *buffers = 0;
    if (!by_size)
        return false;
    for (size_t i = 0; i < count; i++)
        by_size[i] = &places[i];
    qsort(by_size, count, sizeof(*by_size), larger_first);
    for (size_t i = 0; i < count; i++) {
        bert_place *place = by_size[i];
        uint64_t least = UINT64_MAX; // growth
        for (uint32_t b = 0; b < *buffers && least > 0; b++) {
            const uint64_t at = lowest(&p, place, b), end = at + place->bytes;
            const uint64_t growth = end > sizes[b] ? end - sizes[b] : 0;
            if (growth >= least || (growth > 0 && end > limit))
                continue;
            least = growth;
            place->buffer = b;
            place->offset = at;
        }
        if (least == UINT64_MAX) {
            place->buffer = (*buffers)++;
            place->offset = sizes[place->buffer] = 0;
        }
        const uint64_t end = place->offset + place->bytes;
        if (end > sizes[place->buffer])
            sizes[place->buffer] = end;
        insert(&p, place);
    }
    free(by_size);
    return true;
}
