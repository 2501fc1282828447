// How much work one submission may hold, so that it is short beside the seconds after which a
// display's watchdog ends a program. Work is counted in operations, as those who record estimate
// it; how many of them a second the device makes is seen while it works.
#ifndef VKB_GPU_BOUND_H
#define VKB_GPU_BOUND_H

#include <stdint.h>

enum { BOUND_REMEMBERED = 8 };

typedef struct gpu_bound {
    struct {
        uint64_t ticket;
        double submitted;    // when, in seconds
        double flops, begun; // up to it in all; of them, that the device may have begun before
    } last[BOUND_REMEMBERED];
    double flops;  // of all tickets
    double rate;   // operations a second, no more than the device makes; 0: not seen yet
    double forced; // for tests; 0: not
} gpu_bound;

// Of the ticket that is submitted now, when all up to `done` have ended.
void gpu_bound_submitted(gpu_bound *bound, uint64_t ticket, uint64_t done, double flops,
                         double now);
// It was waited for, and has ended.
void gpu_bound_ended(gpu_bound *bound, uint64_t ticket, double now);
// Operations that a submission may have, at least `least`.
double gpu_bound_flops(const gpu_bound *bound, double least);

#endif
