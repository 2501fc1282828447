// Philox4x32-10, a counter-based generator: Salmon et al., "Parallel Random Numbers: As Easy as 1,
// 2, 3" (SC 2011). The same function of (key, counter) on the host, here, and on the device,
// shaders/philox.glsl.
#ifndef VKB_BASE_PHILOX_H
#define VKB_BASE_PHILOX_H

#include <stdint.h>

typedef struct philox4 {
    uint32_t v[4];
} philox4;

static inline philox4 philox(uint64_t key, philox4 counter)
{
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * counter.v[0];
        uint64_t p1 = (uint64_t)0xCD9E8D57u * counter.v[2];
        counter = (philox4){{(uint32_t)(p1 >> 32) ^ counter.v[1] ^ k0, (uint32_t)p1,
                             (uint32_t)(p0 >> 32) ^ counter.v[3] ^ k1, (uint32_t)p0}};
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return counter;
}

// Uniform in [0, 1): the 24 high bits, so that every value is exact in fp32.
static inline float philox_uniform(uint32_t bits)
{
    return (float)(bits >> 8) * 0x1p-24f;
}

// What a counter is drawn for: its last word. Two uses never share a stream of the same seed.
enum philox_stream {
    PHILOX_MASK = 1, // counter: position, row's example, epoch
    PHILOX_DROPOUT,  // counter: element / 4, site, step
    PHILOX_INIT,     // counter: element / 4, tensor
    PHILOX_SHUFFLE,  // counter: half, epoch, round
    PHILOX_PAIRS,    // counter: draw, document or row, epoch
    PHILOX_GROW,     // counter: draw / 4, 0: normal or 1: which row, new row of the vocabulary
    PHILOX_ROWS,     // counter: position / 4, row
};

#endif
