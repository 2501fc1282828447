// Where a workgroup and an invocation are.

// Which of gpu_items' workgroups this is: they are folded into x and y, so the last ones may be
// beyond the count and must return, all their invocations together.
uint group_index()
{
    return gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
}
