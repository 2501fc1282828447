// 16-bit floats: see half.h.
#include "base/half.h"

#include <string.h>

static float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

float half_to_float(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31,
             fraction = half & 1023;
    if (exponent == 31) // infinity and NaN
        return float_of_bits(sign | 0x7F800000 | fraction << 13);
    if (exponent == 0) // zero and subnormals
        return (sign ? -1.0f : 1.0f) * (float)fraction * 0x1p-24f;
    return float_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

static uint32_t bits_of_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

// bits / 2^shift, to the nearest, ties to even; shift is 1 to 31.
static uint32_t round_shift(uint32_t bits, uint32_t shift)
{
    const uint32_t half = 1u << (shift - 1), rest = bits & (2 * half - 1), kept = bits >> shift;
    return kept + (rest > half || (rest == half && kept & 1));
}

uint16_t half_from_float(float value)
{
    const uint32_t bits = bits_of_float(value), sign = bits >> 16 & 0x8000,
                   size = bits & 0x7FFFFFFF;
    if (size > 0x7F800000) // NaN, made quiet
        return (uint16_t)(sign | 0x7E00 | (size >> 13 & 0x1FF));
    if (size >= 0x477FF000) // from 65520 on
        return (uint16_t)(sign | 0x7C00);
    if (size >= 0x38800000) // 2^-14: a carry out of the fraction is the exponent's
        return (uint16_t)(sign | round_shift(size - (112u << 23), 13));
    if (size < 0x33000000) // below 2^-25
        return (uint16_t)sign;
    return (uint16_t)(sign | round_shift((size & 0x7FFFFF) | 0x800000, 126 - (size >> 23)));
}

uint16_t bfloat_from_float(float value)
{
    const uint32_t bits = bits_of_float(value);
    if ((bits & 0x7FFFFFFF) > 0x7F800000)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)round_shift(bits, 16);
}

float bfloat_to_float(uint16_t half)
{
    return float_of_bits((uint32_t)half << 16);
}
