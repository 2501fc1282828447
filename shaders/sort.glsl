// A pass of a stable sort by one digit of the keys, the lowest first (LSD radix sort): keys in blocks, each
// of which counts its digits (sort_count); where the keys of each block with each digit go (sort_scan); the
// keys go there (sort_move). Nothing depends on the order in which workgroups run.
//
// ALONE, specialisation constant 1:
//   0  a workgroup has a block, an invocation a key
//   1  an invocation has a block and goes down it: no barrier. For software drivers
#include "index.glsl"

layout(constant_id = 1) const uint ALONE = 0;
layout(local_size_x_id = 0) in;
layout(push_constant) uniform push { sort_params p; };

// u32[count], or u32[count][2] with places
layout(set = 0, binding = 0) readonly buffer from_buffer { uint from[]; };

uint digits()
{
    return 1u << p.bits;
}

// The key at i, and its place.
uvec2 entry(uint i)
{
    return p.with_places != 0 ? uvec2(from[2 * i], from[2 * i + 1]) : uvec2(from[i], i);
}

uint digit_of(uint key)
{
    return key >> p.shift & (digits() - 1);
}

// The first key of this workgroup's or invocation's block; false: it has none.
bool block_place(out uint block, out uint begin)
{
    block = ALONE != 0 ? group_index() * gl_WorkGroupSize.x + gl_LocalInvocationID.x : group_index();
    begin = block * p.block;
    return begin < p.count;
}

shared uint block_digits[256];

// All digits of the block, for its invocations; of those beyond the last key none.
void share_digits(uint begin)
{
    uint me = gl_LocalInvocationID.x;
    block_digits[me] = begin + me < p.count ? digit_of(entry(begin + me).x) : OP_NONE;
    barrier();
}
