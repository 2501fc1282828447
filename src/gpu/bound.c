// Operations a second, never more than there are: between submission and end of a ticket the device does
// all of it, and all of the tickets before it but the one that it was at, perhaps.
#include "gpu/bound.h"

#define MOST_SECONDS 0.1 // of a submission; watchdogs give some seconds

void gpu_bound_submitted(gpu_bound *b, uint64_t ticket, uint64_t done, double flops, double now)
{
    double begun = b->flops;
    for (int i = 0; i < BOUND_REMEMBERED; i++)
        if (b->last[i].ticket == done + 1)
            begun = b->last[i].flops;
    b->flops += flops;
    const int at = (int)(ticket % BOUND_REMEMBERED);
    b->last[at].ticket = ticket;
    b->last[at].submitted = now;
    b->last[at].flops = b->flops;
    b->last[at].begun = begun;
}

void gpu_bound_ended(gpu_bound *b, uint64_t ticket, double now)
{
    const int at = (int)(ticket % BOUND_REMEMBERED);
    const double seconds = now - b->last[at].submitted;
    const double flops = b->last[at].flops - b->last[at].begun;
    if (b->last[at].ticket != ticket || seconds <= 0 || flops <= 0)
        return;
    b->rate = flops / seconds;
    b->last[at].ticket = 0; // later waits for it would only see a longer time
}

double gpu_bound_flops(const gpu_bound *b, double least)
{
    const double most = MOST_SECONDS * b->rate;
    return b->forced > 0 ? b->forced : most > least ? most : least;
}
