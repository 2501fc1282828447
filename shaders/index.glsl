// Where a workgroup and an invocation are.
#ifndef VKB_INDEX_GLSL
#define VKB_INDEX_GLSL

const uint OP_NONE = 0xFFFFFFFFu; // an empty entry of an index or a label, as in src/ops/ops.h

// Which of gpu_items' workgroups this is: they are folded into x and y, so the last ones may be
// beyond the count and must return, all their invocations together.
uint group_index()
{
    return gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
}

#endif
