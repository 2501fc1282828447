// Eight bytes a round: by the processor's own instruction, or each looked up in a table of its own
// (Kounavis and Berry, "slicing by 8").
#include "base/crc32c.h"

#include <pthread.h>
#include <string.h>

// tables[k][byte]: what the byte does to the sum when k bytes follow it.
static uint32_t tables[8][256];
static pthread_once_t tables_made = PTHREAD_ONCE_INIT;

static void make_tables(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t sum = byte;
        for (int bit = 0; bit < 8; bit++)
            sum = sum >> 1 ^ (sum & 1 ? 0x82F63B78u : 0); // the polynomial, reflected
        tables[0][byte] = sum;
    }
    for (uint32_t byte = 0; byte < 256; byte++)
        for (int k = 1; k < 8; k++)
            tables[k][byte] = tables[k - 1][byte] >> 8 ^ tables[0][tables[k - 1][byte] & 255];
}

uint32_t crc32c_tables(uint32_t sum, const void *data, size_t bytes)
{
    const uint8_t *at = data;
    pthread_once(&tables_made, make_tables);
    sum = ~sum;
    for (; bytes >= 8; at += 8, bytes -= 8) {
        uint32_t low, high; // little-endian, as every host we run on
        memcpy(&low, at, 4);
        memcpy(&high, at + 4, 4);
        low ^= sum;
        sum = tables[7][low & 255] ^ tables[6][low >> 8 & 255] ^ tables[5][low >> 16 & 255] ^
              tables[4][low >> 24] ^ tables[3][high & 255] ^ tables[2][high >> 8 & 255] ^
              tables[1][high >> 16 & 255] ^ tables[0][high >> 24];
    }
    for (; bytes; at++, bytes--)
        sum = sum >> 8 ^ tables[0][(sum ^ *at) & 255];
    return ~sum;
}

#if defined(__x86_64__) && defined(__GNUC__)
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t sum, const uint8_t *at,
                                                               size_t bytes)
{
    uint64_t wide = ~sum, eight;
    for (; bytes >= 8; at += 8, bytes -= 8) {
        memcpy(&eight, at, 8);
        wide = __builtin_ia32_crc32di(wide, eight);
    }
    for (sum = (uint32_t)wide; bytes; at++, bytes--)
        sum = __builtin_ia32_crc32qi(sum, *at);
    return ~sum;
}

uint32_t crc32c(uint32_t sum, const void *data, size_t bytes)
{
    return __builtin_cpu_supports("sse4.2") ? crc32c_sse42(sum, data, bytes)
                                            : crc32c_tables(sum, data, bytes);
}
#else
uint32_t crc32c(uint32_t sum, const void *data, size_t bytes)
{
    return crc32c_tables(sum, data, bytes);
}
#endif
