// What the device's compiler makes of the kernels: registers, spills, shared memory, by its own names.
//
//     bench_compile [DEVICE [PRECISION, fp16]]
//
// DEVICE as --device. Every kernel of a training step of BERT-base, 32 rows of 128, by the device's own
// choice, then each variant of the products of a layer. It is a plan: no memory, nothing submitted, so that
// drivers that only compile, without hardware, will do (CONTRIBUTING.md).
#include "bert/bert.h"
#include "ops/matmul.h"

#include <stdio.h>
#include <string.h>

enum { ROWS = 32, LENGTH = 128, TOKENS = ROWS * LENGTH, HIDDEN = 768 };

static const char *variant_name = ""; // of the product that is being recorded

static void tell(void *user, gpu_kernel kernel, const uint32_t *numbers, uint32_t count,
                 const char *text)
{
    (void)user;
    printf("%s %s [", gpu_kernel_name(kernel), variant_name);
    for (uint32_t i = 0; i < count; i++)
        printf("%s%u", i ? " " : "", numbers[i]);
    printf("]\n");
    if (!*text)
        printf("    its compiler tells nothing\n");
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
        printf("    %.*s\n", (int)strcspn(line, "\n"), line);
    fflush(stdout);
}

// ---- A step ----

typedef struct step {
    bert_run run;
    bert_layout layout;
    bert_params weights, halves, grads, exp_avg, exp_avg_sq;
    bert_acts acts;
    gpu_buffer *in, *out, *scaling;
} step;

static void record_step(gpu_stream *s, void *user)
{
    const step *t = user;
    bert_forward(s, &t->run);
    bert_head_forward(s, &t->run);
    bert_loss(s, &t->run, true);
    bert_backward(s, &t->run);
    bert_update(s, &t->run, &t->layout, &t->exp_avg, &t->exp_avg_sq,
                &(bert_adamw){0.9f, 0.999f, 1e-8f, 0.01f});
}

static void no_memory(void *user, const char *name, uint64_t bytes)
{
    (void)user, (void)name, (void)bytes;
}

static vkb_status record(vkb_device *dev, gpu_record_fn function, void *user)
{
    return gpu_rehearse(dev, "compiled", function, user, NULL);
}

static vkb_status compile_step(vkb_device *dev, vkb_precision precision)
{
    vkb_config config;
    vkb_status status = VKB_OK;
    step t = {.run = {.config = &config, .dropout = true}};
    const bert_shape shape = {.rows = ROWS,
                              .length = LENGTH,
                              .predictions = TOKENS / 5,
                              .training = true,
                              .precision = precision};
    const gpu_type type = bert_gpu_type(precision);
    BASE_TRY(vkb_config_preset(gpu_context(dev), "base", &config));
    config.num_hidden_layers = 1;
    BASE_TRY(bert_layout_create(gpu_context(dev), &config, gpu_binding_limit(dev),
                                gpu_alignment(dev), &t.layout));
    BASE_TRY(bert_params_create(dev, &t.layout, 1, "weights", &t.weights));
    BASE_TRY(bert_params_create(dev, &t.layout, 1, "gradients", &t.grads));
    BASE_TRY(bert_params_create(dev, &t.layout, 1, "exp_avg", &t.exp_avg));
    BASE_TRY(bert_params_create(dev, &t.layout, 1, "exp_avg_sq", &t.exp_avg_sq));
    BASE_TRY(bert_acts_create(dev, &config, shape, &t.acts));
    BASE_TRY(gpu_buffer_create(dev, "step", sizeof(struct step_in), GPU_LOCAL, &t.in));
    BASE_TRY(gpu_buffer_create(dev, "out", sizeof(struct step_out), GPU_LOCAL, &t.out));
    BASE_TRY(gpu_buffer_create(dev, "scale", sizeof(struct loss_scale), GPU_LOCAL, &t.scaling));
    if (type != GPU_F32)
        BASE_TRY(bert_halves_create(dev, &t.layout, 1, &t.weights, type, &t.halves));
    if (precision == VKB_FP16)
        t.run.scaling = (op_scaling){gpu_whole(t.scaling), 1};
    t.run.weights = type == GPU_F32 ? &t.weights : &t.halves;
    t.run.masters = &t.weights;
    t.run.grads = &t.grads;
    t.run.acts = &t.acts;
    t.run.step = gpu_whole(t.in);
    t.run.step_out = gpu_whole(t.out);
    BASE_TRY(record(dev, record_step, &t));
cleanup:
    gpu_buffer_destroy(&t.in);
    gpu_buffer_destroy(&t.out);
    gpu_buffer_destroy(&t.scaling);
    bert_acts_free(&t.acts);
    bert_params_free(&t.weights);
    bert_params_free(&t.halves);
    bert_params_free(&t.grads);
    bert_params_free(&t.exp_avg);
    bert_params_free(&t.exp_avg_sq);
    bert_layout_free(&t.layout);
    return status;
}

// ---- Products ----

typedef struct product {
    op_matmul_params params;
    matmul_variant variant;
} product;

static void record_product(gpu_stream *s, void *user)
{
    const product *p = user;
    matmul_run(s, &p->params, &p->variant);
}

// y = x W^T of [TOKENS][4 HIDDEN], dx, dW.
static vkb_status compile_products(vkb_device *dev, gpu_type type, op_layout layout)
{
    static const char *const layouts[] = {"NT", "NN", "TN"};
    gpu_buffer *held[3] = {NULL};
    matmul_variant list[MATMUL_VARIANTS];
    vkb_status status = VKB_OK;
    for (size_t i = 0; i < BASE_COUNT(held); i++)
        BASE_TRY(gpu_buffer_create(dev, "operand", 16ull * TOKENS * HIDDEN, GPU_LOCAL, &held[i]));
    product p = {.params = {.layout = layout,
                            .a = gpu_typed(gpu_whole(held[0]), type),
                            .b = gpu_typed(gpu_whole(held[1]), type),
                            .c = gpu_typed(gpu_whole(held[2]), layout == OP_TN ? GPU_F32 : type),
                            .m = layout == OP_TN ? 4 * HIDDEN : TOKENS,
                            .n = layout == OP_NT ? 4 * HIDDEN : HIDDEN,
                            .k = layout == OP_NT   ? HIDDEN
                                 : layout == OP_NN ? 4 * HIDDEN
                                                   : TOKENS}};
    const size_t count = matmul_variants(dev, &p.params, list, MATMUL_VARIANTS);
    for (size_t i = 0; i < count; i++) {
        char name[120];
        p.variant = list[i];
        snprintf(name, sizeof(name), "%s %s", layouts[layout], matmul_variant_name(&list[i]).text);
        variant_name = name;
        BASE_TRY(record(dev, record_product, &p));
    }
cleanup:
    variant_name = "";
    for (size_t i = 0; i < BASE_COUNT(held); i++)
        gpu_buffer_destroy(&held[i]);
    return status;
}

int main(int count, char **arguments)
{
    const char *precision = count > 2 ? arguments[2] : "fp16";
    const vkb_precision wanted = strcmp(precision, "fp32") == 0   ? VKB_FP32
                                 : strcmp(precision, "bf16") == 0 ? VKB_BF16
                                                                  : VKB_FP16;
    vkb_context *ctx = vkb_context_create(NULL, NULL);
    vkb_device *dev = NULL;
    vkb_status status = VKB_OUT_OF_MEMORY;
    if (!ctx)
        goto cleanup;
    const vkb_device_params params = {.select = count > 1 ? arguments[1] : NULL, .no_cache = true};
    BASE_TRY(vkb_device_open(ctx, &params, &dev));
    const vkb_device_info *info = vkb_device_get_info(dev);
    printf("%s, %s\nKERNEL [specialisation constants]\n", info->name, info->driver);
    gpu_statistics(dev, tell, NULL);
    gpu_plan(dev, no_memory, NULL);
    BASE_TRY(compile_step(dev, wanted));
    for (op_layout layout = OP_NT; layout <= OP_TN; layout++)
        BASE_TRY(compile_products(dev, bert_gpu_type(wanted), layout));

cleanup:
    if (status != VKB_OK)
        fprintf(stderr, "bench_compile: %s\n", ctx ? vkb_error(ctx) : "out of memory");
    vkb_device_close(&dev);
    vkb_context_destroy(&ctx);
    return vkb_exit_code(status);
}
