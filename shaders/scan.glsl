// Sums over the invocations of a workgroup of at most 256 up to each of them.
layout(local_size_x_id = 0) in;

shared uint scan_counts[256];

// The sum of the counts of the invocations up to this one, itself included (Hillis and Steele 1986). The
// last one's stands in scan_counts[gl_WorkGroupSize.x - 1]. Must be called by all of them.
uint inclusive_scan(uint count)
{
    uint me = gl_LocalInvocationID.x;
    scan_counts[me] = count;
    barrier();
    for (uint reach = 1; reach < gl_WorkGroupSize.x; reach *= 2) {
        uint other = me >= reach ? scan_counts[me - reach] : 0;
        barrier();
        scan_counts[me] += other;
        barrier();
    }
    return scan_counts[me];
}
