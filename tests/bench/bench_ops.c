// Speed of the operations that memory bounds: GB/s read plus written, each tensor counted once.
//
//     bench_ops [DEVICE [seconds a figure, 1]]
//
// DEVICE as --device: index, part of a name, "cpu".
//
// 8192 x 768 floats, by the variants that the device gets, that GPUs get and that software drivers
// get. On software drivers also per second of processor time, which other programs on the machine
// disturb less.
#include "measure.h"
#include "ops/ops.h"

#include <stdio.h>

enum { ROWS = 8192, COLS = 768, COUNT = ROWS * COLS };

typedef struct buffers {
    gpu_view x, y, z, w, gain, bias, stat, sums, sums2, sums3, step;
} buffers;

#define CASE(name, call)                                                                           \
    static void name(gpu_stream *s, void *user)                                                    \
    {                                                                                              \
        const buffers *b = user;                                                                   \
        call;                                                                                      \
    }
CASE(layernorm_fwd, op_layernorm_fwd(s, b->x, b->gain, b->bias, ROWS, COLS, 1e-12f, b->y, b->stat))
CASE(residual_norm_fwd, op_residual_norm_fwd(s, &(op_residual_norm){.x = b->x,
                                                                    .x_bias = b->bias,
                                                                    .residual = b->y,
                                                                    .gain = b->gain,
                                                                    .bias = b->bias,
                                                                    .sum = b->z,
                                                                    .y = b->w,
                                                                    .stat = b->stat,
                                                                    .rows = ROWS,
                                                                    .cols = COLS,
                                                                    .eps = 1e-12f,
                                                                    .dropout = {b->step, 1, 0.1f}}))
CASE(layernorm_bwd, op_layernorm_bwd(s, &(op_layernorm_grad){.x = b->x,
                                                             .gain = b->gain,
                                                             .stat = b->stat,
                                                             .dy = b->y,
                                                             .dx = b->z,
                                                             .gain_grad = b->sums,
                                                             .bias_grad = b->sums2,
                                                             .rows = ROWS,
                                                             .cols = COLS}))
CASE(residual_norm_bwd, op_layernorm_bwd(s, &(op_layernorm_grad){.x = b->x,
                                                                 .gain = b->gain,
                                                                 .stat = b->stat,
                                                                 .dy = b->y,
                                                                 .dx = b->z,
                                                                 .dropped = b->w,
                                                                 .gain_grad = b->sums,
                                                                 .bias_grad = b->sums2,
                                                                 .x_bias_grad = b->sums3,
                                                                 .rows = ROWS,
                                                                 .cols = COLS,
                                                                 .below = {b->step, 1, 0.1f}}))
CASE(sum_columns, op_sum_columns(s, b->x, ROWS, COLS, false, b->sums))
CASE(gelu_fwd, op_gelu_fwd(s, b->x, COUNT, VKB_GELU, b->y))
CASE(gelu_bwd, op_gelu_bwd(s, b->x, b->y, ROWS, COLS, VKB_GELU, false, b->z, b->sums))
CASE(gelu_tanh_fwd, op_gelu_fwd(s, b->x, COUNT, VKB_GELU_TANH, b->y))
CASE(add, op_add(s, b->x, COUNT, b->y))
#undef CASE

static const struct {
    const char *name;
    gpu_record_fn record;
    double tensors; // of COUNT floats, read or written
} cases[] = {
    {"layernorm_fwd", layernorm_fwd, 2},
    {"layernorm_bwd", layernorm_bwd, 3},
    {"residual_norm_fwd", residual_norm_fwd, 4},
    {"residual_norm_bwd", residual_norm_bwd, 4},
    {"sum_columns", sum_columns, 1},
    {"gelu_fwd", gelu_fwd, 2},
    {"gelu_bwd", gelu_bwd, 3},
    {"gelu_tanh_fwd", gelu_tanh_fwd, 2},
    {"add", add, 3},
};

int main(int count, char **arguments)
{
    enum { STEP = sizeof(struct step_in) / 4 };
    static const uint64_t sizes[] = {COUNT,    COUNT, COUNT, COUNT, COLS, COLS,
                                     2 * ROWS, COLS,  COLS,  COLS,  STEP};
    gpu_buffer *held[BASE_COUNT(sizes)] = {NULL};
    gpu_view views[BASE_COUNT(sizes)];
    vkb_context *ctx = vkb_context_create(NULL, NULL);
    vkb_device *dev = NULL;
    vkb_status status = VKB_OUT_OF_MEMORY;
    if (!ctx)
        goto cleanup;
    BASE_TRY(vkb_device_open(ctx, &(vkb_device_params){.select = count > 1 ? arguments[1] : NULL},
                             &dev));
    const vkb_device_info *info = vkb_device_get_info(dev);
    printf("%s, %s\n", info->name, info->driver);
    for (size_t i = 0; i < BASE_COUNT(sizes); i++) {
        BASE_TRY(random_buffer(dev, "bench", sizes[i], &held[i]));
        views[i] = gpu_whole(held[i]);
    }
    buffers b = {views[0], views[1], views[2], views[3], views[4], views[5],
                 views[6], views[7], views[8], views[9], views[10]};
    for (size_t i = 0; i < BASE_COUNT(cases); i++)
        for (op_variant variant = OP_VARIANT_CHOSEN; variant <= OP_VARIANT_SOFTWARE; variant++) {
            static const char *const variants[] = {"chosen", "GPUs'", "software's"};
            timing t;
            op_force_variant(variant);
            BASE_TRY(measure(dev, cases[i].record, &b, count > 2 ? atof(arguments[2]) : 1, &t));
            double giga = 4e-9 * COUNT * cases[i].tensors;
            printf("%-17s %-10s %8.2f GB/s, best %.2f", cases[i].name, variants[variant],
                   giga / t.median, giga / t.best);
            if (info->type == VKB_SOFTWARE)
                printf(", %.2f a core", giga / t.processor);
            printf("\n");
            fflush(stdout);
        }

cleanup:
    if (status != VKB_OK)
        fprintf(stderr, "bench_ops: %s\n", ctx ? vkb_error(ctx) : "out of memory");
    for (size_t i = 0; i < BASE_COUNT(held); i++)
        gpu_buffer_destroy(&held[i]);
    vkb_device_close(&dev);
    vkb_context_destroy(&ctx);
    return vkb_exit_code(status);
}
