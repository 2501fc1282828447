// 16-bit floats on the host: IEEE 754 binary16 (fp16) and bfloat16 (bf16), the upper half of an
// fp32. Rounding is to the nearest, ties to even; NaN stays NaN, what is too large becomes
// infinite.
#ifndef VKB_BASE_HALF_H
#define VKB_BASE_HALF_H

#include <stdint.h>

uint16_t half_from_float(float value);
float half_to_float(uint16_t half);
uint16_t bfloat_from_float(float value);
float bfloat_to_float(uint16_t half);

#endif
