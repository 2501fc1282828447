// Speed of attention, forward and backward, the plain way and fused by both families: milliseconds, and GFLOP/s of
// its products.
//
//     bench_attention [DEVICE [seconds a figure, 1 [ROWS LENGTH HEADS SIZE]]]
//
// Random data, fp32 and fp16, one text a row, dropout 0.1. "record" is what recording took, with the pipelines' building.
// On software drivers also milliseconds of processor time, which other programs disturb less.
#include "measure.h"
#include "ops/attention.h"

#include <stdio.h>

typedef struct bench {
    op_attention fused, plain;
    const op_attention *way;
} bench;

static void record_fwd(gpu_stream *s, void *user)
{
    op_attention_fwd(s, ((bench *)user)->way);
}

static void record_bwd(gpu_stream *s, void *user)
{
    op_attention_bwd(s, ((bench *)user)->way);
}

static vkb_status run_way(vkb_device *dev, bench *b, const char *name, double seconds)
{
    static const struct {
        const char *name;
        gpu_record_fn record;
        double products;
    } passes[] = {{"forward", record_fwd, 2}, {"backward", record_bwd, 5}};
    const op_attention *a = b->way;
    const double product = 2.0 * a->rows * a->length * a->length * a->hidden;
    for (size_t i = 0; i < BASE_COUNT(passes); i++) {
        timing t;
        gpu_stream *s = NULL;
        double start = now();
        vkb_status status = gpu_record(dev, "bench", false, passes[i].record, b, &s);
        double record = now() - start;
        gpu_stream_destroy(&s);
        if (status == VKB_OK)
            status = measure(dev, passes[i].record, b, seconds, &t);
        if (status != VKB_OK)
            return status;
        printf("%3u x %4u, %2u heads of %3u, %s %s %-8s %9.3f ms, best %9.3f, %7.1f GFLOP/s, "
               "processor %9.3f ms, record %.2f s\n",
               a->rows, a->length, a->heads, a->hidden / a->heads,
               a->q.type == GPU_F32 ? "fp32" : "fp16", name, passes[i].name, 1e3 * t.median,
               1e3 * t.best, 1e-9 * passes[i].products * product / t.median, 1e3 * t.processor,
               record);
        fflush(stdout);
    }
    return VKB_OK;
}

typedef struct shape {
    uint32_t rows, length, heads, size;
} shape;

typedef struct pair {
    gpu_view wide, half;
} pair;

static void record_cast(gpu_stream *s, void *user)
{
    const pair *p = user;
    op_cast(s, p->wide, p->wide.bytes / 4, p->half);
}

// The same values in fp16.
static vkb_status half_buffer(vkb_device *dev, gpu_view wide, gpu_buffer **out)
{
    vkb_status status = gpu_buffer_create(dev, "halves", wide.bytes / 2, GPU_LOCAL, out);
    if (status != VKB_OK)
        return status;
    pair p = {wide, gpu_typed(gpu_whole(*out), GPU_F16)};
    return gpu_run_once(dev, "cast", record_cast, &p);
}

static vkb_status run_shape(vkb_device *dev, shape n, gpu_type type, double seconds)
{
    enum {
        Q,
        K,
        V,
        CONTEXT,
        DCONTEXT,
        DQ,
        DK,
        DV,
        ACTS,
        STATS = ACTS,
        PROBS,
        SEGMENTS,
        STEP,
        VIEWS
    };
    const uint64_t tokens = (uint64_t)n.rows * n.length, count = tokens * n.heads * n.size;
    const uint64_t probs = tokens * n.heads * n.length, all = sizeof(struct step_in) / 4;
    const uint64_t counts[VIEWS] = {
        count, count,  count, count, count, count, count, count, 2 * tokens * n.heads,
        probs, tokens, all};
    gpu_buffer *held[VIEWS] = {NULL}, *halves[ACTS] = {NULL};
    gpu_view view[VIEWS];
    uint32_t *ones = malloc(4 * tokens);
    vkb_status status = ones ? VKB_OK : VKB_OUT_OF_MEMORY;
    for (int i = 0; i < VIEWS; i++) {
        BASE_TRY(status);
        BASE_TRY(random_buffer(dev, "bench", counts[i], &held[i]));
        view[i] = gpu_whole(held[i]);
        if (i >= ACTS || type == GPU_F32)
            continue;
        BASE_TRY(half_buffer(dev, view[i], &halves[i]));
        view[i] = gpu_typed(gpu_whole(halves[i]), type);
    }
    for (uint64_t i = 0; i < tokens; i++)
        ones[i] = 1;
    BASE_TRY(gpu_upload(dev, view[SEGMENTS], ones));

    bench b = {.plain = {.q = view[Q],
                         .k = view[K],
                         .v = view[V],
                         .context = view[CONTEXT],
                         .dcontext = view[DCONTEXT],
                         .dq = view[DQ],
                         .dk = view[DK],
                         .dv = view[DV],
                         .segments = view[SEGMENTS],
                         .rows = n.rows,
                         .length = n.length,
                         .heads = n.heads,
                         .hidden = n.heads * n.size,
                         .dropout = {view[STEP], 1, 0.1f}}};
    b.fused = b.plain;
    b.plain.probs = view[PROBS];
    b.fused.stats = view[STATS];
    b.way = &b.plain;
    BASE_TRY(run_way(dev, &b, "plain", seconds));
    b.way = &b.fused;
    op_force_attention("tile");
    BASE_TRY(run_way(dev, &b, "tile", seconds));
    op_force_attention(NULL);
    if (attention_has_coop(vkb_device_get_info(dev), &b.fused))
        BASE_TRY(run_way(dev, &b, "coop", seconds));
cleanup:
    op_force_attention(NULL);
    for (int i = 0; i < VIEWS; i++)
        gpu_buffer_destroy(&held[i]);
    for (int i = 0; i < ACTS; i++)
        gpu_buffer_destroy(&halves[i]);
    free(ones);
    return status;
}

int main(int count, char **arguments)
{
    static const shape usual[] = {
        {16, 128, 2, 64}, {16, 128, 12, 64}, {4, 512, 12, 64}, {16, 128, 12, 32}};
    const double seconds = count > 2 ? atof(arguments[2]) : 1;
    vkb_context *ctx = vkb_context_create(NULL, NULL);
    vkb_device *dev = NULL;
    vkb_status status = ctx ? VKB_OK : VKB_OUT_OF_MEMORY;
    BASE_TRY(status);
    BASE_TRY(vkb_device_open(
        ctx, &(vkb_device_params){.select = count > 1 ? arguments[1] : NULL, .no_cache = true},
        &dev));
    printf("%s, %s\n", vkb_device_get_info(dev)->name, vkb_device_get_info(dev)->driver);
    if (count > 6) {
        shape n = {(uint32_t)atoi(arguments[3]), (uint32_t)atoi(arguments[4]),
                   (uint32_t)atoi(arguments[5]), (uint32_t)atoi(arguments[6])};
        BASE_TRY(run_shape(dev, n, GPU_F32, seconds));
        BASE_TRY(run_shape(dev, n, GPU_F16, seconds));
    } else
        for (size_t i = 0; i < 2 * BASE_COUNT(usual); i++)
            BASE_TRY(run_shape(dev, usual[i / 2], i % 2 ? GPU_F16 : GPU_F32, seconds));
cleanup:
    if (status != VKB_OK)
        fprintf(stderr, "bench_attention: %s\n", ctx ? vkb_error(ctx) : "out of memory");
    vkb_device_close(&dev);
    vkb_context_destroy(&ctx);
    return vkb_exit_code(status);
}
