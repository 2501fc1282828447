// Sums and maxima over a workgroup, the same value in every invocation, in a fixed order.
//
// ONE_SUBGROUP: the workgroup is one subgroup, no barrier is needed; barriers are ruinous on software
// drivers (shaders/README.md). Else each subgroup reduces, and every invocation adds up what the
// subgroups found, in their order. Must be called by all invocations of the workgroup.
//
// Needs extensions GL_KHR_shader_subgroup_basic and GL_KHR_shader_subgroup_arithmetic.
layout(constant_id = 1) const uint ONE_SUBGROUP = 0;

shared float reduce_part[256]; // a subgroup has at least one invocation

float group_add(float x)
{
    x = subgroupAdd(x);
    if (ONE_SUBGROUP == 0) {
        barrier(); // the last reduction's values have been read
        if (subgroupElect())
            reduce_part[gl_SubgroupID] = x;
        barrier();
        x = 0;
        for (uint i = 0; i < gl_NumSubgroups; i++)
            x += reduce_part[i];
    }
    return x;
}

float group_max(float x)
{
    x = subgroupMax(x);
    if (ONE_SUBGROUP == 0) {
        barrier();
        if (subgroupElect())
            reduce_part[gl_SubgroupID] = x;
        barrier();
        for (uint i = 0; i < gl_NumSubgroups; i++)
            x = max(x, reduce_part[i]);
    }
    return x;
}
