// What the benches share: random buffers, and the time that a recorded stream takes.
#ifndef VKB_TESTS_MEASURE_H
#define VKB_TESTS_MEASURE_H

#include "gpu/gpu.h"

#include <stdlib.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static vkb_status random_buffer(vkb_device *dev, const char *name, uint64_t count, gpu_buffer **out)
{
    vkb_status status = gpu_buffer_create(dev, name, 4 * count, GPU_LOCAL, out);
    float *values = malloc(4 * count);
    if (status == VKB_OK && values) {
        for (uint64_t i = 0; i < count; i++)
            values[i] = (float)rand() / (float)RAND_MAX - 0.5f;
        status = gpu_upload(dev, gpu_whole(*out), values);
    }
    free(values);
    return status;
}

typedef struct timing {
    double median, best, processor; // seconds of a submission
} timing;

// Records once, submits again and again for that many seconds, at least three times.
static vkb_status measure(vkb_device *dev, gpu_record_fn record, void *user, double seconds,
                          timing *t)
{
    enum { MOST = 1000 };
    static double took[MOST];
    size_t count = 0;
    gpu_stream *s = NULL;
    vkb_status status = VKB_OK;
    BASE_TRY(gpu_record(dev, "bench", false, record, user, &s));
    BASE_TRY(gpu_submit(dev, &s, 1, NULL)); // warm
    BASE_TRY(gpu_wait_all(dev));
    clock_t processor = clock();
    for (double end = now() + seconds; count < MOST && (now() < end || count < 3); count++) {
        double before = now();
        BASE_TRY(gpu_submit(dev, &s, 1, NULL));
        BASE_TRY(gpu_wait_all(dev));
        took[count] = now() - before;
    }
    processor = clock() - processor;
    qsort(took, count, sizeof(*took), ascending);
    *t = (timing){took[count / 2], took[0], (double)processor / CLOCKS_PER_SEC / (double)count};
cleanup:
    gpu_stream_destroy(&s);
    return status;
}

#endif
