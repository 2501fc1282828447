// A random order without a table: a permutation of 0 .. rows-1 that can be asked for any place.
//
// A Feistel network is a permutation of 2^(2h) numbers whatever its round function (Luby and Rackoff
// 1988); where it leads beyond the rows it is applied again ("cycle walking", Black and Rogaway 2002).
// Small domains are too regular for it: up to TABLE rows are shuffled by Fisher and Yates.
#include "text/dataset.h"

#include "base/philox.h"

enum { TABLE = 256, ROUNDS = 6 };

// Fisher and Yates; a draw scaled down favours no index by more than rows / 2^32.
static uint64_t small_shuffled(uint32_t rows, uint64_t seed, uint32_t epoch, uint64_t place)
{
    uint8_t order[TABLE];
    for (uint32_t i = 0; i < rows; i++)
        order[i] = (uint8_t)i;
    for (uint32_t i = rows; i > 1; i--) {
        philox4 r = philox(seed, (philox4){{i, epoch, UINT32_MAX, PHILOX_SHUFFLE}});
        const uint32_t other = (uint32_t)((uint64_t)r.v[0] * i >> 32);
        const uint8_t moved = order[i - 1];
        order[i - 1] = order[other];
        order[other] = moved;
    }
    return order[place];
}

uint64_t dataset_shuffled(uint64_t rows, uint64_t seed, uint64_t epoch, uint64_t place)
{
    if (rows <= TABLE)
        return rows ? small_shuffled((uint32_t)rows, seed, (uint32_t)epoch, place) : 0;
    uint32_t half = 5;
    while (half < 32 && (uint64_t)1 << 2 * half < rows)
        half++;
    const uint64_t mask = ((uint64_t)1 << half) - 1;
    do {
        uint64_t left = place >> half, right = place & mask;
        for (uint32_t round = 0; round < ROUNDS; round++) {
            const philox4 r =
                philox(seed, (philox4){{(uint32_t)right, (uint32_t)epoch, round, PHILOX_SHUFFLE}});
            const uint64_t swapped = left ^ (r.v[0] & mask);
            left = right;
            right = swapped;
        }
        place = left << half | right;
    } while (place >= rows);
    return place;
}
