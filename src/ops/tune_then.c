// What a variant's kernel does behind its product (op_then) against the kernels that do it apart, on random
// data: the same shape, no larger than what tells right from wrong.
#include "ops/tune.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST_ROWS = 12 * 64 + 4, MOST_COLUMNS = 512, MOST_TERMS = 512 };

// Tensors one behind the other, those that are written last.
typedef enum part { A, B, BESIDE, VECTOR, STEP, C, SECOND, SUMS, STAT, PARTS } part;
enum { FIRST_RESULT = C };

typedef struct then_bench {
    const tune_bench *tune;
    const matmul_variant *variant;
    op_matmul_params p;
    op_residual_norm norm;
    gpu_buffer *memory;
    gpu_view view[PARTS];
    bool apart; // what is recorded next
} then_bench;

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

// Rows of elements as they lie, so that their alignment is the product's.
static vkb_status place(then_bench *b)
{
    vkb_device *dev = b->tune->dev;
    const op_matmul_params *p = &b->p;
    const gpu_type types[PARTS] = {[A] = p->a.type,
                                   [B] = p->b.type,
                                   [BESIDE] = p->c.type,
                                   [C] = p->c.type,
                                   [SECOND] = p->c.type};
    const uint64_t c = (uint64_t)p->m * p->n;
    const uint64_t counts[PARTS] = {[A] = (uint64_t)p->m * p->k,
                                    [B] = (uint64_t)p->n * p->k,
                                    [BESIDE] = c,
                                    [VECTOR] = p->n,
                                    [STEP] = sizeof(struct step_in) / 4,
                                    [C] = c,
                                    [SECOND] = c,
                                    [SUMS] = p->n,
                                    [STAT] = 2ull * p->m};
    uint64_t at[PARTS], bytes[PARTS], all = 0;
    for (int i = 0; i < PARTS; i++) {
        at[i] = all;
        bytes[i] = (gpu_type_bytes(types[i]) * counts[i] + 3) / 4 * 4;
        all += tune_aligned(dev, bytes[i]);
    }
    vkb_status status = gpu_buffer_create(dev, "tuning what follows", all, GPU_LOCAL, &b->memory);
    for (int i = 0; i < PARTS && status == VKB_OK; i++) {
        b->view[i] = gpu_typed(gpu_part(gpu_whole(b->memory), at[i], bytes[i]), types[i]);
        if (i == STEP)
            status = gpu_upload(dev, b->view[i], &(struct step_in){.seed_low = 7});
        else if (i < FIRST_RESULT)
            status = tune_fill(dev, b->view[i], types[i], 1);
    }
    return status;
}

static vkb_status bench_open(then_bench *b, const op_product *product)
{
    op_matmul_params *p = &b->p;
    *p = product->params;
    p->m = least(p->m, MOST_ROWS);
    p->n = least(p->n, MOST_COLUMNS);
    p->k = least(p->k, MOST_TERMS);
    p->lda = p->ldb = 0;
    p->ldc = p->n;
    vkb_status status = place(b);
    const gpu_view *v = b->view;
    p->a = v[A];
    p->b = v[B];
    p->c = v[C];
    if (p->bias.buffer)
        p->bias = v[VECTOR];
    b->norm = (op_residual_norm){.x_bias = v[VECTOR],
                                 .residual = v[BESIDE],
                                 .gain = v[VECTOR],
                                 .bias = v[VECTOR],
                                 .y = v[SECOND],
                                 .stat = v[STAT],
                                 .eps = 1e-12f,
                                 .dropout = {v[STEP], 1, 0.1f}};
    p->then = product->then;
    p->then.gelu = product->again || p->then.kind == OP_THEN_GELU ? v[SECOND] : (gpu_view){0};
    p->then.before = v[BESIDE];
    p->then.bias_grad = v[SUMS];
    p->then.norm = &b->norm;
    return status;
}

static void record(gpu_stream *s, void *user)
{
    const then_bench *b = user;
    for (int i = FIRST_RESULT; i < PARTS; i++)
        gpu_fill(s, b->view[i], TUNE_NAN);
    matmul_run_like(s, &b->p, b->variant, b->apart);
}

static vkb_status results_of(then_bench *b, bool apart, double expected, double *seconds,
                             void *data[PARTS])
{
    gpu_stream *s = NULL;
    vkb_status status = VKB_OK;
    b->apart = apart;
    BASE_TRY(gpu_record(b->tune->dev, "tuning", true, record, b, &s));
    BASE_TRY(tune_run_stream(b->tune, s, expected, seconds));
    for (int i = FIRST_RESULT; i < PARTS; i++) {
        data[i] = malloc(b->view[i].bytes);
        if (!data[i])
            BASE_TRY(vkb_fail_memory(gpu_context(b->tune->dev), b->view[i].bytes, "tuning"));
        BASE_TRY(gpu_download(b->tune->dev, b->view[i], data[i]));
    }
cleanup:
    gpu_stream_destroy(&s);
    return status;
}

static bool is_written(const then_bench *b, part i)
{
    const op_then *t = &b->p.then;
    return i == C || (i == SECOND && (t->gelu.buffer || t->kind == OP_THEN_NORM)) ||
           (i == SUMS && t->kind == OP_THEN_GELU_BACK) || (i == STAT && t->kind == OP_THEN_NORM);
}

static double error_of(const then_bench *b, void *const seen[PARTS], void *const right[PARTS],
                       part i)
{
    const gpu_view *v = &b->view[i];
    return tune_error_of(seen[i], right[i], v->type, v->bytes / gpu_type_bytes(v->type));
}

vkb_status tune_then(const tune_bench *bench, const op_product *product,
                     const matmul_variant *variant, tune_result *out)
{
    then_bench b = {.tune = bench, .variant = variant};
    void *right[PARTS] = {NULL}, *seen[PARTS] = {NULL};
    double usual = 0, seconds = 0;
    vkb_status status = VKB_OK;
    BASE_TRY(bench_open(&b, product));
    BASE_TRY(results_of(&b, true, 1, &usual, right));
    status = tune_as_fault(bench, results_of(&b, false, usual, &seconds, seen), out);
    for (int i = FIRST_RESULT; i < PARTS && status == VKB_OK && !*out->fault; i++) {
        const double error = is_written(&b, i) ? error_of(&b, seen, right, i) : 0;
        // Sums and statistics are of values that c has rounded.
        if (!(error <= tune_most_error(b.p.c.type)))
            snprintf(out->fault, sizeof(out->fault),
                     "gave wrong numbers (off by %.2g of their size)", error);
    }
cleanup:
    for (int i = FIRST_RESULT; i < PARTS; i++) {
        free(right[i]);
        free(seen[i]);
    }
    gpu_buffer_destroy(&b.memory);
    return status;
}
