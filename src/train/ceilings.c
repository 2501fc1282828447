// What a device reaches at best: a copy and a product, on random data. The best of what vkbert has is
// taken, so that no kernel of a step is measured against less than it could be.
#include "base/clock.h"
#include "base/half.h"
#include "ops/ops.h"

#include <math.h>
#include <stdlib.h>

enum { COPY_BYTES = 64 << 20, MOST_COPIES = 128, LEAST_SIDE = 256, MOST_SIDE = 4096, TRIES = 3 };
#define LONG_ENOUGH 0.02 // seconds of a submission, beside which submitting it is nothing
#define BUDGET 0.4       // seconds for the tries of one way to do it

typedef struct trial {
    gpu_buffer *a, *b, *c;
    uint32_t count;   // of elements to copy
    uint32_t copies;  // there and back
    uint32_t side;    // of the matrices
    op_layout layout; // of the product
    gpu_type type;    // of its operands
} trial;

// ---- Ways ----

static void record_copies(gpu_stream *s, void *user)
{
    const trial *t = user;
    for (uint32_t i = 0; i < t->copies; i++)
        gpu_copy(s, gpu_whole(i % 2 ? t->b : t->a), gpu_whole(i % 2 ? t->a : t->b));
}

// A kernel that copies: dropout that drops nothing.
static void record_kernel_copies(gpu_stream *s, void *user)
{
    const trial *t = user;
    for (uint32_t i = 0; i < t->copies; i++)
        op_dropout_apply(s, (op_dropout){0}, gpu_whole(i % 2 ? t->b : t->a), t->count,
                         gpu_whole(i % 2 ? t->a : t->b));
}

// As in a step: 16-bit operands give 16-bit results, but for gradients of weights.
static void record_product(gpu_stream *s, void *user)
{
    const trial *t = user;
    const uint64_t count = (uint64_t)t->side * t->side, bytes = gpu_type_bytes(t->type) * count;
    op_matmul(s, .layout = t->layout, .a = gpu_typed(gpu_part(gpu_whole(t->a), 0, bytes), t->type),
              .b = gpu_typed(gpu_part(gpu_whole(t->b), 0, bytes), t->type),
              .c = gpu_typed(gpu_whole(t->c), t->layout == OP_TN ? GPU_F32 : t->type), .m = t->side,
              .n = t->side, .k = t->side);
}

// ---- Timing ----

// The shortest time of a submission, after one to warm up.
static vkb_status best_time(vkb_device *dev, gpu_record_fn record, trial *t, double *best)
{
    gpu_stream *s = NULL;
    vkb_status status = VKB_OK;
    vkb_context *ctx = gpu_context(dev);
    const double end = clock_seconds(ctx) + BUDGET;
    *best = INFINITY;
    BASE_TRY(gpu_record(dev, "ceiling", false, record, t, &s));
    for (int i = 0; i <= TRIES && (i < 2 || clock_seconds(ctx) < end); i++) {
        const double start = clock_seconds(ctx);
        BASE_TRY(gpu_submit(dev, &s, 1, NULL));
        BASE_TRY(gpu_wait_all(dev));
        const double took = clock_seconds(ctx) - start;
        if (i > 0 && took < *best)
            *best = took;
    }
cleanup:
    gpu_stream_destroy(&s);
    return status;
}

// Uniform in [-0.5, 0.5); a Weyl sequence is random enough for a multiplier.
static vkb_status fill(vkb_device *dev, gpu_buffer *buffer, uint64_t bytes, gpu_type type)
{
    float *values = malloc(bytes);
    uint16_t *halves = (uint16_t *)values;
    if (!values)
        return vkb_fail_memory(gpu_context(dev), bytes, "measuring the device");
    for (uint32_t i = 0; i < bytes / gpu_type_bytes(type); i++) {
        const float value = (float)(i * 2654435769u >> 8) * 0x1p-24f - 0.5f;
        if (type == GPU_F32)
            values[i] = value;
        else
            halves[i] = type == GPU_F16 ? half_from_float(value) : bfloat_from_float(value);
    }
    vkb_status status = gpu_upload(dev, gpu_whole(buffer), values);
    free(values);
    return status;
}

static vkb_status measure_copy(vkb_device *dev, trial *t, double *rate)
{
    const gpu_record_fn ways[] = {record_copies, record_kernel_copies};
    for (size_t i = 0; i < BASE_COUNT(ways); i++) {
        double took = 0;
        for (t->copies = 1; took < LONG_ENOUGH && t->copies <= MOST_COPIES; t->copies *= 2) {
            vkb_status status = best_time(dev, ways[i], t, &took);
            if (status != VKB_OK)
                return status;
            *rate = fmax(*rate, 2.0 * t->copies * 4.0 * t->count / took);
        }
    }
    return VKB_OK;
}

// Larger matrices until a product takes long enough, then every layout.
static vkb_status measure_product(vkb_device *dev, trial *t, uint64_t bytes, double *rate)
{
    vkb_status status = VKB_OK;
    double took = 0;
    t->layout = OP_TN;
    t->side = LEAST_SIDE / 2;
    do {
        gpu_buffer_destroy(&t->c);
        t->side *= 2;
        BASE_TRY(gpu_buffer_create(dev, "ceiling c", 4ull * t->side * t->side, GPU_LOCAL, &t->c));
        BASE_TRY(best_time(dev, record_product, t, &took));
    } while (took < LONG_ENOUGH && t->side < MOST_SIDE && 16ull * t->side * t->side <= bytes);
    for (t->layout = OP_NT; t->layout <= OP_TN; t->layout++) {
        BASE_TRY(best_time(dev, record_product, t, &took));
        *rate = fmax(*rate, 2.0 * t->side * t->side * t->side / took);
    }
cleanup:
    return status;
}

vkb_status vkb_device_measure(vkb_device *dev, vkb_precision precision, vkb_ceilings *out)
{
    const vkb_device_info *info = vkb_device_get_info(dev);
    vkb_ceilings seen = {0};
    static const gpu_type types[] = {
        [VKB_FP32] = GPU_F32, [VKB_FP16] = GPU_F16, [VKB_BF16] = GPU_BF16};
    trial t = {.type = types[precision]};
    vkb_status status = VKB_OK;
    uint64_t bytes = COPY_BYTES;
    const uint64_t limits[] = {info->device_memory / 32, info->max_allocation,
                               info->max_storage_range};
    for (size_t i = 0; i < BASE_COUNT(limits); i++)
        bytes = limits[i] < bytes ? limits[i] : bytes;
    bytes -= bytes % 16;
    t.count = (uint32_t)(bytes / 4);
    BASE_TRY(gpu_buffer_create(dev, "ceiling a", bytes, GPU_LOCAL, &t.a));
    BASE_TRY(gpu_buffer_create(dev, "ceiling b", bytes, GPU_LOCAL, &t.b));
    BASE_TRY(fill(dev, t.a, bytes, t.type));
    BASE_TRY(measure_copy(dev, &t, &seen.copy_bytes_per_second)); // after it b is random too
    BASE_TRY(measure_product(dev, &t, bytes, &seen.product_flops_per_second));
    *out = seen;
cleanup:
    gpu_buffer_destroy(&t.a);
    gpu_buffer_destroy(&t.b);
    gpu_buffer_destroy(&t.c);
    return status;
}
