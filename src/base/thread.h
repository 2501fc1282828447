// Work spread over threads.
#ifndef VKB_BASE_THREAD_H
#define VKB_BASE_THREAD_H

#include <stddef.h>
#include <stdint.h>

// `wanted`, or the cores that this process may use when it is 0; at least 1.
uint32_t thread_count(uint32_t wanted);

// Calls work(user, item, thread) once for each item 0 .. items-1, on up to `threads` threads of
// which the caller is number 0, and returns when all are done. Items are taken in order. Threads
// that cannot be started are done without.
typedef void (*thread_work)(void *user, size_t item, uint32_t thread);
void thread_each(uint32_t threads, size_t items, thread_work work, void *user);

#endif
