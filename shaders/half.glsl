// Four 16-bit floats in two words, which every device can read: fp16 (format 2) or bf16 (3), the numbers
// of row4.glsl's FORMAT.
#ifndef VKB_HALF_GLSL
#define VKB_HALF_GLSL

// To the nearest bf16, ties to even, in the upper half; NaN stays NaN.
uvec4 half_bfloat(vec4 v)
{
    uvec4 bits = floatBitsToUint(v), rounded = bits + 0x7FFFu + (bits >> 16 & 1u);
    return mix(rounded, bits | 0x400000u, greaterThan(bits & 0x7FFFFFFFu, uvec4(0x7F800000)));
}

vec4 half_unpack(uint format, uvec2 two)
{
    if (format == 3)
        return uintBitsToFloat(uvec4(two.x << 16, two.x & 0xFFFF0000u, two.y << 16, two.y & 0xFFFF0000u));
    return vec4(unpackHalf2x16(two.x), unpackHalf2x16(two.y));
}

uvec2 half_pack(uint format, vec4 v)
{
    if (format == 3) {
        uvec4 upper = half_bfloat(v);
        return upper.xz >> 16 | (upper.yw & 0xFFFF0000u);
    }
    return uvec2(packHalf2x16(v.xy), packHalf2x16(v.zw));
}

#endif
