// Sums and maxima over the invocations that share a row, the same value in each of them, in a fixed
// order. Must be called by all of them.
//
// SHARED_BY, specialisation constant 1:
//   0  the workgroup: each subgroup reduces, then every invocation goes over what they found
//   1  the workgroup, which is one subgroup: no barrier. Barriers are ruinous on software drivers
//   2  nobody: an invocation has its row alone
layout(constant_id = 1) const uint SHARED_BY = 0;

shared float reduce_part[256]; // a subgroup has at least one invocation

void reduce_exchange(float x)
{
    barrier(); // the last reduction's values have been read
    if (subgroupElect())
        reduce_part[gl_SubgroupID] = x;
    barrier();
}

float group_add(float x)
{
    if (SHARED_BY == 2)
        return x;
    x = subgroupAdd(x);
    if (SHARED_BY == 0) {
        reduce_exchange(x);
        x = 0;
        for (uint i = 0; i < gl_NumSubgroups; i++)
            x += reduce_part[i];
    }
    return x;
}

float group_max(float x)
{
    if (SHARED_BY == 2)
        return x;
    x = subgroupMax(x);
    if (SHARED_BY == 0) {
        reduce_exchange(x);
        for (uint i = 0; i < gl_NumSubgroups; i++)
            x = max(x, reduce_part[i]);
    }
    return x;
}
