// One variant of one product: whether it builds, gives the plain family's numbers, and ends; and how long
// it takes, on random data.
#include "base/clock.h"
#include "base/half.h"
#include "ops/tune.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHECKED = 512,     // rows, columns and terms of a product that is compared as a whole
    ROTATED = 192,     // MiB that operands wander through on a GPU: more than its caches hold
    SPARSE_PARTS = 16, // of a whole result that are compared, evenly spread
    MOST_REPEATS = 16, // of a product in a submission
    LEAST_TIMES = 3,   // submissions of which the median counts
    MOST_TIMES = 15,
};
#define SUBMISSION 0.005 // seconds that the repeats of a submission should take
#define HOPELESS 2.0     // so many times slower than the usual one is measured once

// c is filled with it before each product: small and finite in each type, where products have to add; else
// with TUNE_NAN.
#define FILLED_WITH 0x3C003C00u

// ---- Operands ----

static uint64_t extent(const op_matmul_params *p, const matmul_operand *o)
{
    return (uint64_t)(p->batch.outer - 1) * o->outer + (uint64_t)(p->batch.inner - 1) * o->inner +
           (uint64_t)(o->rows - 1) * o->ld + o->cols;
}

static uint64_t bytes_of(const matmul_product *x, const matmul_operand *o)
{
    const uint64_t bytes = gpu_type_bytes(o->view.type) * extent(&x->p, o);
    return (bytes + 3) / 4 * 4;
}

// Bytes of a, b and bias, one behind the other.
static uint64_t read_bytes(const vkb_device *dev, const matmul_product *x)
{
    return tune_aligned(dev, bytes_of(x, &x->a)) + tune_aligned(dev, bytes_of(x, &x->b)) +
           tune_aligned(dev, 4ull * x->p.n);
}

// The product with its operands in the pool, the turn-th place for them.
static op_matmul_params placed(const tune_bench *bench, const op_matmul_params *params,
                               uint32_t turn)
{
    const matmul_product x = matmul_product_of(params);
    const uint64_t each = read_bytes(bench->dev, &x), places = bench->pool_bytes / each;
    uint64_t at = turn % (places ? places : 1) * each;
    op_matmul_params p = *params;
    p.a = gpu_typed(gpu_part(gpu_whole(bench->pool), at, bytes_of(&x, &x.a)), params->a.type);
    at += tune_aligned(bench->dev, p.a.bytes);
    p.b = gpu_typed(gpu_part(gpu_whole(bench->pool), at, bytes_of(&x, &x.b)), params->b.type);
    at += tune_aligned(bench->dev, p.b.bytes);
    if (params->bias.buffer)
        p.bias = gpu_part(gpu_whole(bench->pool), at, 4ull * p.n);
    p.c = gpu_typed(gpu_part(gpu_whole(bench->c), 0, bytes_of(&x, &x.c)), params->c.type);
    return p;
}

static void fill_random(uint32_t *words, uint64_t count, gpu_type type, float width)
{
    uint32_t state = 1;
    for (uint64_t i = 0; i < count; i++) {
        uint16_t half[2];
        for (int h = 0; h < 2; h++) {
            state = state * 1664525u + 1013904223u;
            const float value = width * ((float)(state >> 8) * 0x1p-24f - 0.5f);
            half[h] = type == GPU_F16 ? half_from_float(value) : bfloat_from_float(value);
        }
        words[i] = (uint32_t)half[1] << 16 | half[0];
    }
}

vkb_status tune_fill(vkb_device *dev, gpu_view view, gpu_type type, float width)
{
    uint32_t *words = malloc(view.bytes);
    if (!words)
        return vkb_fail_memory(gpu_context(dev), view.bytes, "tuning");
    fill_random(words, view.bytes / 4, type, width);
    const vkb_status status = gpu_upload(dev, view, words);
    free(words);
    return status;
}

static vkb_status fill_pool(tune_bench *bench, gpu_type type)
{
    if (bench->filled_as == type)
        return VKB_OK;
    bench->filled_as = type;
    return tune_fill(bench->dev, gpu_whole(bench->pool), type, 1);
}

// ---- Bench ----

vkb_status tune_bench_open(vkb_device *dev, const op_products *products, tune_bench *out)
{
    const vkb_device_info *info = vkb_device_get_info(dev);
    tune_bench bench = {.dev = dev, .filled_as = GPU_F32};
    uint64_t c_bytes = 0, most = 0;
    vkb_status status = VKB_OK;
    for (size_t i = 0; i < products->count; i++) {
        const matmul_product x = matmul_product_of(&products->at[i].params);
        const uint64_t reads = read_bytes(dev, &x), writes = bytes_of(&x, &x.c);
        most = reads > most ? reads : most;
        c_bytes = writes > c_bytes ? writes : c_bytes;
    }
    // A CPU's caches are neither flushed by it nor worth the memory.
    if (info->type != VKB_SOFTWARE && most < (uint64_t)ROTATED << 20 &&
        (uint64_t)ROTATED << 20 < info->device_memory / 32)
        most = (uint64_t)ROTATED << 20;
    bench.pool_bytes = tune_aligned(dev, most);
    BASE_TRY(gpu_buffer_create(dev, "tuning operands", bench.pool_bytes, GPU_LOCAL, &bench.pool));
    BASE_TRY(
        gpu_buffer_create(dev, "tuning result", tune_aligned(dev, c_bytes), GPU_LOCAL, &bench.c));
    bench.filled_as = GPU_F16;
    BASE_TRY(fill_pool(&bench, GPU_BF16));
    *out = bench;
    return VKB_OK;
cleanup:
    tune_bench_close(&bench);
    return status;
}

void tune_bench_close(tune_bench *bench)
{
    gpu_buffer_destroy(&bench->pool);
    gpu_buffer_destroy(&bench->c);
    free(bench->right);
    bench->right = NULL;
}

// ---- Running ----

typedef struct run {
    const tune_bench *bench;
    const op_matmul_params *params;
    const matmul_variant *variant;
    uint32_t repeats;
    bool fill;
} run;

static void record_run(gpu_stream *s, void *user)
{
    const run *r = user;
    for (uint32_t i = 0; i < r->repeats; i++) {
        const op_matmul_params p = placed(r->bench, r->params, i);
        if (r->fill)
            gpu_fill(s, p.c, p.accumulate ? FILLED_WITH : TUNE_NAN);
        matmul_run(s, &p, r->variant);
    }
}

vkb_status tune_run_stream(const tune_bench *bench, gpu_stream *s, double expected, double *seconds)
{
    vkb_status status = VKB_OK;
    uint64_t ticket;
    const gpu_time *times;
    size_t count = 0;
    const double start = clock_seconds(gpu_context(bench->dev));
    BASE_TRY(gpu_submit(bench->dev, &s, 1, &ticket));
    BASE_TRY(gpu_wait_for(bench->dev, ticket, bench->hang_seconds + 50 * expected));
    const double all = clock_seconds(gpu_context(bench->dev)) - start;
    BASE_TRY(gpu_times(s, &times, &count));
    *seconds = 0;
    for (size_t i = 0; i < count; i++)
        *seconds += times[i].seconds;
    if (*seconds <= 0)
        *seconds = all;
cleanup:
    return status;
}

static vkb_status run_once(const run *r, double expected, double *seconds)
{
    gpu_stream *s = NULL;
    run copy = *r;
    vkb_status status = gpu_record(r->bench->dev, "tuning", true, record_run, &copy, &s);
    if (status == VKB_OK)
        status = tune_run_stream(r->bench, s, expected, seconds);
    gpu_stream_destroy(&s);
    return status;
}

// ---- Right? ----

// How far a result may be from the plain family's, of its root mean square: fp32 sums in another order,
// or with other roundings, differ by some 1e-6; the step from one 16-bit number to the next is 2^-10
// (fp16) or 2^-7 (bf16) of the largest, which is about five times the mean. What is wrong differs by 1.
double tune_most_error(gpu_type type)
{
    return type == GPU_F32 ? 1e-4 : type == GPU_F16 ? 0.02 : 0.15;
}

static double value_at(const void *data, gpu_type type, uint64_t i)
{
    if (type == GPU_F32)
        return ((const float *)data)[i];
    const uint16_t half = ((const uint16_t *)data)[i];
    return type == GPU_F16 ? half_to_float(half) : bfloat_to_float(half);
}

double tune_error_of(const void *seen, const void *right, gpu_type type, uint64_t count)
{
    double largest = 0, squares = 0;
    uint64_t numbers = 0;
    for (uint64_t i = 0; i < count; i++) {
        const double a = value_at(seen, type, i), b = value_at(right, type, i);
        if (isnan(a) && isnan(b))
            continue;
        if (!isfinite(a) || !isfinite(b))
            return INFINITY;
        largest = fmax(largest, fabs(a - b));
        squares += b * b;
        numbers++;
    }
    return numbers ? largest / sqrt(squares / (double)numbers) : INFINITY;
}

static uint32_t reduced(uint32_t size)
{
    return size > CHECKED ? CHECKED / 2 + size % (CHECKED / 2) : size;
}

// The product made small, with the same remainders by any tile.
static op_matmul_params small_product(const op_matmul_params *params)
{
    op_matmul_params p = *params;
    p.m = reduced(p.m);
    p.n = reduced(p.n);
    p.k = reduced(p.k);
    p.batch.outer = p.batch.outer < 2 ? p.batch.outer : 2;
    p.batch.inner = p.batch.inner < 2 ? p.batch.inner : 2;
    return p;
}

static bool admits(const vkb_device *dev, const op_matmul_params *params,
                   const matmul_variant *variant)
{
    matmul_variant list[MATMUL_VARIANTS];
    const size_t count = matmul_variants(dev, params, list, MATMUL_VARIANTS);
    for (size_t i = 0; i < count; i++)
        if (matmul_variant_equal(&list[i], variant))
            return true;
    return false;
}

static vkb_status result_of(const tune_bench *bench, const op_matmul_params *params,
                            const matmul_variant *variant, double *seconds, void **data)
{
    const gpu_view c = placed(bench, params, 0).c;
    const run r = {bench, params, variant, 1, true};
    vkb_status status = run_once(&r, bench->usual_seconds, seconds);
    if (status == VKB_OK && !(*data = malloc(c.bytes)))
        status = vkb_fail_memory(gpu_context(bench->dev), c.bytes, "tuning");
    return status == VKB_OK ? gpu_download(bench->dev, c, *data) : status;
}

// What is compared as a whole: a small product, or the product itself where the variant does not admit
// a small one.
static op_matmul_params compared_for(const tune_bench *bench, const op_matmul_params *params,
                                     const matmul_variant *variant)
{
    const op_matmul_params small = small_product(params);
    return admits(bench->dev, &small, variant) ? small : *params;
}

bool tune_has_right(const tune_bench *bench, const op_matmul_params *params,
                    const matmul_variant *variant)
{
    const op_matmul_params p = compared_for(bench, params, variant);
    return bench->right && memcmp(&p, &bench->right_of, sizeof(p)) == 0;
}

vkb_status tune_as_fault(const tune_bench *bench, vkb_status status, tune_result *out)
{
    if (status != VKB_FAILED && status != VKB_BAD_ARGUMENT)
        return status;
    snprintf(out->fault, sizeof(out->fault), "failed (%s)", vkb_error(gpu_context(bench->dev)));
    return VKB_OK;
}

vkb_status tune_make_right(tune_bench *bench, const op_matmul_params *params,
                           const matmul_variant *variant, const matmul_variant *plain,
                           tune_result *out)
{
    double seconds;
    *out = (tune_result){0};
    free(bench->right);
    bench->right = NULL;
    bench->right_of = compared_for(bench, params, variant);
    vkb_status status = fill_pool(bench, params->a.type == GPU_F16 ? GPU_F16 : GPU_BF16);
    if (status == VKB_OK)
        status = result_of(bench, &bench->right_of, plain, &seconds, &bench->right);
    if (status != VKB_OK) {
        free(bench->right);
        bench->right = NULL;
    }
    return tune_as_fault(bench, status, out);
}

static vkb_status check_numbers(const tune_bench *bench, const matmul_variant *variant,
                                tune_result *out)
{
    const gpu_view c = placed(bench, &bench->right_of, 0).c;
    void *seen = NULL;
    double seconds, error;
    vkb_status status = VKB_OK;
    BASE_TRY(result_of(bench, &bench->right_of, variant, &seconds, &seen));
    error = tune_error_of(seen, bench->right, c.type, c.bytes / gpu_type_bytes(c.type));
    if (!(error <= tune_most_error(c.type)))
        snprintf(out->fault, sizeof(out->fault), "gave wrong numbers (off by %.2g of their size)",
                 error);
cleanup:
    free(seen);
    return status;
}

// Numbers of the whole result, evenly spread, against those of the usual variant: what only a large
// product gets wrong.
static vkb_status check_sparsely(const tune_bench *bench, gpu_view c, tune_result *out)
{
    enum { EACH = TUNE_SPARSE / SPARSE_PARTS };
    const uint64_t count = c.bytes / gpu_type_bytes(c.type), each = count < EACH ? count : EACH;
    double seen[TUNE_SPARSE], largest = 0, squares = 0;
    uint32_t words[EACH];
    for (uint32_t part = 0; part < SPARSE_PARTS; part++) {
        uint64_t first = (count - each) / (SPARSE_PARTS - 1) * part / 2 * 2;
        const gpu_view view = gpu_part(c, first * gpu_type_bytes(c.type),
                                       (each * gpu_type_bytes(c.type) + 3) / 4 * 4);
        vkb_status status = gpu_download(bench->dev, view, words);
        if (status != VKB_OK)
            return status;
        for (uint64_t i = 0; i < each; i++)
            seen[part * EACH + i] = value_at(words, c.type, i);
    }
    for (uint64_t i = 0; bench->usual_seconds > 0 && i < TUNE_SPARSE; i++) {
        const double right = bench->sparse_usual[i];
        if (i % EACH >= each || (isnan(seen[i]) && isnan(right)))
            continue;
        largest = fmax(largest, isfinite(seen[i]) ? fabs(seen[i] - right) : INFINITY);
        squares += right * right;
    }
    if (bench->usual_seconds > 0 &&
        !(largest <= tune_most_error(c.type) * sqrt(squares / (double)(SPARSE_PARTS * each))))
        snprintf(out->fault, sizeof(out->fault), "gave wrong numbers where the product is large");
    if (bench->usual_seconds <= 0)
        memcpy(bench->sparse_usual, seen, sizeof(seen));
    return VKB_OK;
}

// ---- How fast? ----

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *times, size_t count)
{
    qsort(times, count, sizeof(*times), by_size);
    return times[count / 2];
}

// The median of submissions of several products each; `once` took so long alone.
static vkb_status measure(const tune_bench *bench, const run *once, double took, double *seconds)
{
    run r = *once;
    gpu_stream *s = NULL;
    double times[MOST_TIMES], end;
    size_t count = 0;
    vkb_status status = VKB_OK;
    r.fill = false;
    r.repeats = (uint32_t)fmin(fmax(SUBMISSION / took, 1), MOST_REPEATS);
    BASE_TRY(gpu_record(bench->dev, "tuning", true, record_run, &r, &s));
    end = clock_seconds(gpu_context(bench->dev)) + bench->enough;
    while (count < MOST_TIMES &&
           (count < LEAST_TIMES || clock_seconds(gpu_context(bench->dev)) < end)) {
        BASE_TRY(tune_run_stream(bench, s, r.repeats * took, &times[count]));
        count++;
    }
    *seconds = median(times, count) / r.repeats;
cleanup:
    gpu_stream_destroy(&s);
    return status;
}

vkb_status tune_in_turn(const tune_bench *bench, gpu_stream *const s[2], const double expected[2],
                        double enough, double seconds[2])
{
    double times[2][MOST_TIMES];
    size_t count = 0;
    const double end = clock_seconds(gpu_context(bench->dev)) + enough;
    while (count < MOST_TIMES &&
           (count < LEAST_TIMES || clock_seconds(gpu_context(bench->dev)) < end)) {
        for (int i = 0; i < 2; i++) {
            const vkb_status status = tune_run_stream(bench, s[i], expected[i], &times[i][count]);
            if (status != VKB_OK)
                return status;
        }
        count++;
    }
    for (int i = 0; i < 2; i++)
        seconds[i] = median(times[i], count);
    return VKB_OK;
}

vkb_status tune_duel(const tune_bench *bench, const op_matmul_params *params,
                     const matmul_variant *const variants[2], double seconds[2])
{
    gpu_stream *s[2] = {NULL, NULL};
    const uint32_t repeats = (uint32_t)fmin(fmax(SUBMISSION / seconds[0], 1), MOST_REPEATS);
    const double expected[2] = {repeats * seconds[0], repeats * seconds[1]};
    vkb_status status = VKB_OK;
    for (int i = 0; i < 2; i++) {
        run r = {bench, params, variants[i], repeats, false};
        BASE_TRY(gpu_record(bench->dev, "tuning", true, record_run, &r, &s[i]));
    }
    BASE_TRY(tune_in_turn(bench, s, expected, 2 * bench->enough, seconds));
    for (int i = 0; i < 2; i++)
        seconds[i] /= repeats;
cleanup:
    gpu_stream_destroy(&s[0]);
    gpu_stream_destroy(&s[1]);
    return status;
}

vkb_status tune_try(tune_bench *bench, const op_matmul_params *params,
                    const matmul_variant *variant, tune_result *out)
{
    const vkb_device_info *info = vkb_device_get_info(bench->dev);
    const matmul_product x = matmul_product_of(params);
    const run once = {bench, params, variant, 1, true};
    // Before anything was measured: no device is as slow as that.
    const double slowest = matmul_flops(&x) / (info->type == VKB_SOFTWARE ? 1e8 : 1e10) / 50;
    double took = 0;
    vkb_status status = VKB_OK;
    *out = (tune_result){0};
    BASE_TRY(check_numbers(bench, variant, out));
    if (*out->fault)
        return VKB_OK;
    BASE_TRY(run_once(&once, bench->usual_seconds > 0 ? bench->usual_seconds : slowest, &took));
    BASE_TRY(check_sparsely(bench, placed(bench, params, 0).c, out));
    if (*out->fault)
        return VKB_OK;
    if (bench->usual_seconds <= 0 || took < HOPELESS * bench->usual_seconds)
        BASE_TRY(measure(bench, &once, took, &took));
    out->seconds = took;
cleanup:
    return tune_as_fault(bench, status, out);
}
