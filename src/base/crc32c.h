// CRC-32C (Castagnoli's polynomial), the checksum of LevelDB's and TensorFlow's files.
//
//     uint32_t sum = crc32c(crc32c(0, a, a_bytes), b, b_bytes);
#ifndef VKB_BASE_CRC32C_H
#define VKB_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

// Goes on from the sum of what came before; 0 starts.
uint32_t crc32c(uint32_t sum, const void *data, size_t bytes);

// The same on any processor.
uint32_t crc32c_tables(uint32_t sum, const void *data, size_t bytes);

// As those files store it: a sum over data that holds its own sum would tell little.
static inline uint32_t crc32c_masked(uint32_t sum)
{
    return (sum >> 15 | sum << 17) + 0xA282EAD8u;
}

#endif
