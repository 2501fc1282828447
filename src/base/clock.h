// The one clock: seconds that only go forward, from some moment on. Each context has one, the
// machine's unless a test gives another, so that what a test decides never depends on how busy the
// machine is.
#ifndef VKB_BASE_CLOCK_H
#define VKB_BASE_CLOCK_H

#include "vkbert.h"

double clock_seconds(const vkb_context *ctx);

// For tests: what clock_seconds says of this context from now on; NULL: the machine's time again.
typedef double (*clock_fn)(void *user);
void clock_replace(vkb_context *ctx, clock_fn tell, void *user);

#endif
