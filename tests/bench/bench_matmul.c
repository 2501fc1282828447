// Speed of the matrix products: GFLOP/s for each shape, layout and kernel on one device.
//
//     bench_matmul [DEVICE [seconds a figure, 1]]
//
// DEVICE as --device: index, part of a name, "cpu".
//
// Random operands; median and best of repeated submissions of one product, and on software drivers
// the speed per second of processor time, which other programs on the machine disturb less.
// "lanes" includes the transposing passes, but "lanes TN" needs none: that is the kernel alone.
#include "measure.h"
#include "ops/ops.h"

#include <stdio.h>

typedef struct shape {
    uint32_t m, n, k, batch;
} shape;

static const shape shapes[] = {
    {768, 768, 768, 1},   {2304, 768, 768, 1},  {1920, 256, 1024, 1}, {480, 30528, 256, 1},
    {768, 3072, 2048, 1}, {1024, 768, 3072, 1}, {4096, 128, 128, 1},  {128, 128, 64, 96},
    {128, 64, 128, 96},   {77, 1000, 513, 1},
};

typedef struct product {
    op_layout layout;
    shape size;
    gpu_buffer *a, *b, *c;
} product;

static void record(gpu_stream *s, void *user)
{
    const product *p = user;
    shape z = p->size;
    op_matmul(s, .layout = p->layout, .a = gpu_whole(p->a), .b = gpu_whole(p->b),
              .c = gpu_whole(p->c), .m = z.m, .n = z.n, .k = z.k,
              .batch = {1, z.batch, 0, z.m * z.k, 0, z.n * z.k, 0, z.m * z.n});
}

static vkb_status bench(vkb_device *dev, shape z, double seconds)
{
    static const char *const layouts[] = {"NT", "NN", "TN"}, *const variants[] = {"", "tile",
                                                                                  "lanes"};
    product p = {.size = z};
    double flop = 2e-9 * z.m * z.n * z.k * z.batch; // in 10^9
    vkb_status status = VKB_OK;
    BASE_TRY(random_buffer(dev, "a", (uint64_t)z.batch * z.m * z.k, &p.a));
    BASE_TRY(random_buffer(dev, "b", (uint64_t)z.batch * z.n * z.k, &p.b));
    BASE_TRY(random_buffer(dev, "c", (uint64_t)z.batch * z.m * z.n, &p.c));
    for (op_variant variant = OP_VARIANT_SOFTWARE; variant >= OP_VARIANT_GPU; variant--)
        for (p.layout = OP_NT; p.layout <= OP_TN; p.layout++) {
            op_force_variant(variant);
            timing t;
            BASE_TRY(measure(dev, record, &p, seconds, &t));
            printf("%6u %6u %6u x%-4u %-6s %s %8.1f GFLOP/s, best %.1f", z.m, z.n, z.k, z.batch,
                   variants[variant], layouts[p.layout], flop / t.median, flop / t.best);
            if (vkb_device_get_info(dev)->type == VKB_SOFTWARE)
                printf(", %.1f a core", flop / t.processor);
            printf("\n");
            fflush(stdout);
        }
cleanup:
    gpu_buffer_destroy(&p.a);
    gpu_buffer_destroy(&p.b);
    gpu_buffer_destroy(&p.c);
    return status;
}

int main(int count, char **arguments)
{
    vkb_context *ctx = vkb_context_create(NULL, NULL);
    vkb_device *dev = NULL;
    vkb_status status = VKB_OUT_OF_MEMORY;
    if (!ctx)
        goto cleanup;
    vkb_device_params params = {.select = count > 1 ? arguments[1] : NULL};
    BASE_TRY(vkb_device_open(ctx, &params, &dev));
    const vkb_device_info *info = vkb_device_get_info(dev);
    printf("%s, %s\n     m      n      k batch\n", info->name, info->driver);
    for (size_t i = 0; i < BASE_COUNT(shapes); i++)
        BASE_TRY(bench(dev, shapes[i], count > 2 ? atof(arguments[2]) : 1));

cleanup:
    if (status != VKB_OK)
        fprintf(stderr, "bench_matmul: %s\n", ctx ? vkb_error(ctx) : "out of memory");
    vkb_device_close(&dev);
    vkb_context_destroy(&ctx);
    return vkb_exit_code(status);
}
