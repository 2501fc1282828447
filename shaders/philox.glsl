// Philox4x32-10 on the device: the same function as src/base/philox.h, bit for bit.
#ifndef VKB_PHILOX_GLSL
#define VKB_PHILOX_GLSL

// The last word of a counter, as enum philox_stream.
const uint PHILOX_MASK = 1;
const uint PHILOX_DROPOUT = 2;

uvec4 philox(uvec2 key, uvec4 counter)
{
    for (int turn = 0; turn < 10; turn++) {
        uint high0, low0, high1, low1;
        umulExtended(0xD2511F53u, counter.x, high0, low0);
        umulExtended(0xCD9E8D57u, counter.z, high1, low1);
        counter = uvec4(high1 ^ counter.y ^ key.x, low1, high0 ^ counter.w ^ key.y, low0);
        key += uvec2(0x9E3779B9u, 0xBB67AE85u);
    }
    return counter;
}

// Uniform in [0, 1): 24 bits, exact in fp32.
float philox_uniform(uint bits)
{
    return float(bits >> 8) * (1.0 / 16777216.0);
}

// Which of elements 4 * four .. 4 * four + 3 dropout keeps.
bvec4 philox_kept(uvec2 seed, uint four, uint site, uint step_, float keep)
{
    uvec4 bits = philox(seed, uvec4(four, site, step_, PHILOX_DROPOUT)) >> 8;
    return lessThan(vec4(bits) * (1.0 / 16777216.0), vec4(keep));
}

#endif
