// A chain of dependent runs over two buffers, for tests of streams. The kernel is add: y += x.
#ifndef VKB_TESTS_GPU_CHAIN_H
#define VKB_TESTS_GPU_CHAIN_H

#include "check.h"
#include "devices.h"

#include "gpu/gpu.h"
#include "shaders/params.h"

static vkb_device *dev;

enum { COUNT = 1003 };

typedef struct chain {
    gpu_view a, b;
    uint32_t rounds;
} chain;

static inline void add(gpu_stream *s, gpu_view x, gpu_view y, uint32_t count)
{
    gpu_run(s, add, .bind = {x, y}, .push = &(struct gelu_params){.count = count}, .spec = {64, 1},
            .spec_count = 2, .groups = gpu_items((count + 255) / 256), .flops = count);
}

// a, b = a + b, a + 2 b, ...: Fibonacci numbers, wrong after one missing barrier
static inline void record_chain(gpu_stream *s, void *user)
{
    chain *c = user;
    for (uint32_t i = 0; i < c->rounds; i++) {
        gpu_label(s, i % 2 ? "odd" : "even");
        add(s, c->b, c->a, COUNT);
        add(s, c->a, c->b, COUNT);
    }
}

typedef struct pair {
    gpu_buffer *a, *b;
} pair;

static inline bool pair_create(pair *p)
{
    float ones[COUNT], zeros[COUNT];
    for (int i = 0; i < COUNT; i++) {
        ones[i] = 1;
        zeros[i] = 0;
    }
    *p = (pair){0};
    bool ok = gpu_buffer_create(dev, "a", sizeof(ones), GPU_LOCAL, &p->a) == VKB_OK &&
              gpu_buffer_create(dev, "b", sizeof(ones), GPU_LOCAL, &p->b) == VKB_OK &&
              gpu_upload(dev, gpu_whole(p->a), zeros) == VKB_OK &&
              gpu_upload(dev, gpu_whole(p->b), ones) == VKB_OK;
    CHECK(ok);
    return ok;
}

static inline void pair_destroy(pair *p)
{
    gpu_buffer_destroy(&p->a);
    gpu_buffer_destroy(&p->b);
}

static inline void check_all(gpu_buffer *buffer, float expected)
{
    float seen[COUNT];
    CHECK_INT(gpu_download(dev, gpu_whole(buffer), seen), VKB_OK);
    for (int i = 0; i < COUNT; i++)
        if (seen[i] != expected) {
            CHECK_FAILED("element %d is %g, expected %g", i, seen[i], expected);
            return;
        }
}

#endif
