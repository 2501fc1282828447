#include "base/thread.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>
#ifdef __linux__
#include <sched.h>
#endif

enum { MOST_THREADS = 256 };

uint32_t thread_count(uint32_t wanted)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
#ifdef __linux__
    cpu_set_t set; // less than all under taskset or in a container
    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        cores = CPU_COUNT(&set);
#endif
    if (wanted == 0)
        wanted = cores > 0 ? (uint32_t)cores : 1;
    return wanted < MOST_THREADS ? wanted : MOST_THREADS;
}

typedef struct crew {
    thread_work work;
    void *user;
    size_t items;
    atomic_size_t next;
} crew;

typedef struct member {
    crew *crew;
    uint32_t number;
    pthread_t thread;
} member;

static void *member_run(void *member_)
{
    const member *m = member_;
    crew *c = m->crew;
    for (size_t item; (item = atomic_fetch_add(&c->next, 1)) < c->items;)
        c->work(c->user, item, m->number);
    return NULL;
}

void thread_each(uint32_t threads, size_t items, thread_work work, void *user)
{
    crew c = {.work = work, .user = user, .items = items};
    member members[MOST_THREADS];
    if (threads > MOST_THREADS)
        threads = MOST_THREADS;
    if (threads > items)
        threads = (uint32_t)items;
    uint32_t started = 1;
    for (; started < threads; started++) {
        members[started] = (member){.crew = &c, .number = started};
        if (pthread_create(&members[started].thread, NULL, member_run, &members[started]) != 0)
            break;
    }
    members[0] = (member){.crew = &c};
    member_run(&members[0]);
    for (uint32_t i = 1; i < started; i++)
        pthread_join(members[i].thread, NULL);
}
