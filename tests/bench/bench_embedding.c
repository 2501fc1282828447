// Speed of the embeddings' gradients, milliseconds: sums over tokens of equal ids, positions and types.
//
//     bench_embedding [DEVICE [seconds a figure, 1 [TOKENS HIDDEN]]]
//
// DEVICE as --device. fp32, rows of 128 tokens of a vocabulary of 30,522. As in training 12 % of the ids
// are [MASK]; the others are as frequent as 1 / id (Zipf's law). On software drivers also milliseconds
// of processor time, which other programs disturb less.
#include "measure.h"
#include "ops/ops.h"

#include <math.h>
#include <stdio.h>

enum { VOCAB = 30522, LENGTH = 128, POSITIONS = 512, TYPES = 2, MASK_ID = 103 };

typedef struct bench {
    op_embedding e;
    gpu_view dy;
} bench;

static void record(gpu_stream *s, void *user)
{
    const bench *b = user;
    op_embedding_bwd(s, &b->e, b->dy);
}

static uint32_t random_id(void)
{
    const double u = (double)rand() / RAND_MAX, zipf = pow(VOCAB - 1, u);
    return rand() % 100 < 12 ? MASK_ID : (uint32_t)zipf;
}

static uint32_t no_type(void)
{
    return 0;
}

static uint32_t next_position(void)
{
    static uint32_t next;
    return next++ % LENGTH;
}

static vkb_status key_buffer(vkb_device *dev, const char *name, uint32_t tokens,
                             uint32_t (*key)(void), gpu_buffer **out)
{
    vkb_status status = gpu_buffer_create(dev, name, 4ull * tokens, GPU_LOCAL, out);
    uint32_t *keys = malloc(4 * (size_t)tokens);
    if (status == VKB_OK && keys) {
        for (uint32_t t = 0; t < tokens; t++)
            keys[t] = key();
        status = gpu_upload(dev, gpu_whole(*out), keys);
    }
    free(keys);
    return status;
}

static vkb_status run(vkb_device *dev, uint32_t tokens, uint32_t hidden, double seconds)
{
    gpu_buffer *held[7] = {NULL};
    vkb_status status = VKB_OK;
    const bool software = vkb_device_get_info(dev)->type == VKB_SOFTWARE;
    BASE_TRY(key_buffer(dev, "ids", tokens, random_id, &held[0]));
    BASE_TRY(key_buffer(dev, "types", tokens, no_type, &held[1]));
    BASE_TRY(key_buffer(dev, "positions", tokens, next_position, &held[2]));
    BASE_TRY(random_buffer(dev, "word", (uint64_t)VOCAB * hidden, &held[3]));
    BASE_TRY(random_buffer(dev, "type", (uint64_t)TYPES * hidden, &held[4]));
    BASE_TRY(random_buffer(dev, "position", (uint64_t)POSITIONS * hidden, &held[5]));
    BASE_TRY(random_buffer(dev, "dy", (uint64_t)tokens * hidden, &held[6]));
    bench b = {.e = {.ids = gpu_whole(held[0]),
                     .types = gpu_whole(held[1]),
                     .positions = gpu_whole(held[2]),
                     .word_grad = gpu_whole(held[3]),
                     .type_grad = gpu_whole(held[4]),
                     .position_grad = gpu_whole(held[5]),
                     .tokens = tokens,
                     .hidden = hidden,
                     .type_count = TYPES},
               .dy = gpu_whole(held[6])};
    for (op_variant variant = OP_VARIANT_CHOSEN; variant <= OP_VARIANT_SOFTWARE; variant++) {
        static const char *const variants[] = {"chosen", "GPUs'", "software's"};
        timing t;
        op_force_variant(variant);
        BASE_TRY(measure(dev, record, &b, seconds, &t));
        printf("%6u x %4u %-10s %9.3f ms, best %9.3f", tokens, hidden, variants[variant],
               1e3 * t.median, 1e3 * t.best);
        if (software)
            printf(", processor %9.3f ms", 1e3 * t.processor);
        printf("\n");
        fflush(stdout);
    }
cleanup:
    op_force_variant(OP_VARIANT_CHOSEN);
    for (size_t i = 0; i < BASE_COUNT(held); i++)
        gpu_buffer_destroy(&held[i]);
    return status;
}

int main(int count, char **arguments)
{
    static const uint32_t sizes[][2] = {
        {512, 128}, {1024, 128}, {512, 768}, {4096, 768}, {32768, 768}};
    const double seconds = count > 2 ? atof(arguments[2]) : 1;
    vkb_context *ctx = vkb_context_create(NULL, NULL);
    vkb_device *dev = NULL;
    vkb_status status = VKB_OUT_OF_MEMORY;
    if (!ctx)
        goto cleanup;
    BASE_TRY(vkb_device_open(ctx, &(vkb_device_params){.select = count > 1 ? arguments[1] : NULL},
                             &dev));
    const vkb_device_info *info = vkb_device_get_info(dev);
    printf("%s, %s\n", info->name, info->driver);
    if (count > 4)
        BASE_TRY(run(dev, (uint32_t)atoi(arguments[3]), (uint32_t)atoi(arguments[4]), seconds));
    for (size_t i = 0; i < BASE_COUNT(sizes) && count <= 4; i++)
        BASE_TRY(run(dev, sizes[i][0], sizes[i][1], seconds));

cleanup:
    if (status != VKB_OK)
        fprintf(stderr, "bench_embedding: %s\n", ctx ? vkb_error(ctx) : "out of memory");
    vkb_device_close(&dev);
    vkb_context_destroy(&ctx);
    return vkb_exit_code(status);
}
