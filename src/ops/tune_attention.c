// Attention by cooperative matrices against its plain twin, on random data of the run's shape: whether its
// numbers are the same, forward and backward, and which of the two is faster.
#include "ops/attention.h"
#include "ops/tune.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST_BYTES = 64 << 20, // of a tensor; of longer batches so many rows are tried
    RESULTS = 4,           // context, dq, dk, dv
    ACTS = 4 + RESULTS,    // q, k, v, dcontext before them
};
#define LEAST_GAIN 0.03
#define ENOUGH 0.15 // seconds of measuring

static const char *const families[] = {"tile", "coop"};

typedef struct attention_bench {
    tune_bench tune;
    op_attention a;
    gpu_buffer *acts, *words; // words: segments, then the step, then stats
    uint64_t each, count;     // bytes between activations, elements of one
    const char *family;       // what is recorded next, and
    bool fill;                // whether results are filled with NaN first
} attention_bench;

static gpu_view act(const attention_bench *b, int i)
{
    const uint64_t bytes = gpu_type_bytes(b->a.q.type) * b->count;
    return gpu_typed(gpu_part(gpu_whole(b->acts), (uint64_t)i * b->each, bytes), b->a.q.type);
}

// One text a row, and some padding behind it.
static vkb_status fill_segments(const attention_bench *b)
{
    const uint64_t tokens = (uint64_t)b->a.rows * b->a.length;
    uint32_t *segments = malloc(4 * tokens);
    if (!segments)
        return vkb_fail_memory(gpu_context(b->tune.dev), 4 * tokens, "tuning");
    for (uint64_t i = 0; i < tokens; i++)
        segments[i] = i % b->a.length < b->a.length - b->a.length / 8;
    vkb_status status = gpu_upload(b->tune.dev, b->a.segments, segments);
    free(segments);
    return status;
}

static vkb_status bench_open(vkb_device *dev, const op_attention *shape, attention_bench *b)
{
    static const struct step_in step = {.seed_low = 7};
    op_attention *a = &b->a;
    vkb_status status = VKB_OK;
    *a = *shape;
    a->ld = 0;
    const uint64_t row = (uint64_t)gpu_type_bytes(a->q.type) * a->length * a->hidden;
    if (a->rows * row > MOST_BYTES)
        a->rows = row > MOST_BYTES ? 1 : (uint32_t)(MOST_BYTES / row);
    const uint64_t tokens = (uint64_t)a->rows * a->length;
    const uint64_t at_step = tune_aligned(dev, 4 * tokens);
    const uint64_t at_stats = at_step + tune_aligned(dev, sizeof(step));
    b->count = tokens * a->hidden;
    b->each = tune_aligned(dev, gpu_type_bytes(a->q.type) * b->count);
    BASE_TRY(gpu_buffer_create(dev, "tuning attention", ACTS * b->each, GPU_LOCAL, &b->acts));
    BASE_TRY(gpu_buffer_create(dev, "tuning attention", at_stats + 8 * tokens * a->heads, GPU_LOCAL,
                               &b->words));
    gpu_view *const acts[ACTS] = {&a->q,       &a->k,  &a->v,  &a->dcontext,
                                  &a->context, &a->dq, &a->dk, &a->dv};
    for (int i = ACTS - 1; i >= 0; i--) // q, whose type act() goes by, last
        *acts[i] = act(b, i);
    a->segments = gpu_part(gpu_whole(b->words), 0, 4 * tokens);
    a->dropout.step = gpu_part(gpu_whole(b->words), at_step, sizeof(step));
    a->stats = gpu_part(gpu_whole(b->words), at_stats, 8 * tokens * a->heads);
    BASE_TRY(gpu_upload(dev, a->dropout.step, &step));
    BASE_TRY(fill_segments(b));
    // Uniform in [-2, 2): scores are of about 1 whatever the head's size.
    BASE_TRY(tune_fill(dev, gpu_part(gpu_whole(b->acts), 0, ACTS * b->each), a->q.type, 4));
cleanup:
    return status;
}

static void bench_close(attention_bench *b)
{
    gpu_buffer_destroy(&b->acts);
    gpu_buffer_destroy(&b->words);
}

static void record(gpu_stream *s, void *user)
{
    const attention_bench *b = user;
    for (int i = ACTS - RESULTS; b->fill && i < ACTS; i++)
        gpu_fill(s, gpu_part(gpu_whole(b->acts), (uint64_t)i * b->each, b->each), TUNE_NAN);
    attention_fused_fwd(s, &b->a, b->family);
    attention_fused_bwd(s, &b->a, b->family);
}

// Runs a family once and downloads its results, [RESULTS][each] bytes, freed with free().
static vkb_status results_of(attention_bench *b, const char *family, double expected,
                             double *seconds, char **data)
{
    gpu_stream *s = NULL;
    vkb_status status = VKB_OK;
    b->family = family;
    b->fill = true;
    *data = malloc(RESULTS * b->each);
    if (!*data)
        BASE_TRY(vkb_fail_memory(gpu_context(b->tune.dev), RESULTS * b->each, "tuning"));
    BASE_TRY(gpu_record(b->tune.dev, "tuning", true, record, b, &s));
    BASE_TRY(tune_run_stream(&b->tune, s, expected, seconds));
    BASE_TRY(gpu_download(
        b->tune.dev, gpu_part(gpu_whole(b->acts), (ACTS - RESULTS) * b->each, RESULTS * b->each),
        *data));
cleanup:
    gpu_stream_destroy(&s);
    return status;
}

// Of cooperative matrices; where the plain twin itself does not work, that is no fault of theirs.
static vkb_status check_numbers(attention_bench *b, tune_result *out)
{
    const gpu_type type = b->a.q.type;
    char *right = NULL, *seen = NULL;
    double error = 0, usual = 0, seconds;
    vkb_status status = VKB_OK;
    BASE_TRY(results_of(b, families[0], 1, &usual, &right));
    status = tune_as_fault(&b->tune, results_of(b, families[1], usual, &seconds, &seen), out);
    if (status != VKB_OK || *out->fault)
        goto cleanup;
    for (uint64_t i = 0; i < RESULTS; i++)
        error = fmax(error, tune_error_of(seen + i * b->each, right + i * b->each, type, b->count));
    if (!(error <= tune_most_error(type)))
        snprintf(out->fault, sizeof(out->fault), "gave wrong numbers (off by %.2g of their size)",
                 error);
cleanup:
    free(right);
    free(seen);
    return status;
}

static vkb_status measure(attention_bench *b, double enough, double seconds[2])
{
    gpu_stream *s[2] = {NULL, NULL};
    vkb_status status = VKB_OK;
    b->fill = false;
    for (int i = 0; i < 2; i++) {
        b->family = families[i];
        BASE_TRY(gpu_record(b->tune.dev, "tuning", true, record, b, &s[i]));
    }
    BASE_TRY(tune_in_turn(&b->tune, s, (const double[2]){1, 1}, enough, seconds));
cleanup:
    gpu_stream_destroy(&s[0]);
    gpu_stream_destroy(&s[1]);
    return status;
}

static vkb_status try_coop(vkb_device *dev, const op_attention *shape, const op_tune_params *params,
                           tune_result *out, double seconds[2])
{
    attention_bench b = {.tune = {.dev = dev, .hang_seconds = params->hang_seconds}};
    vkb_status status = bench_open(dev, shape, &b);
    if (status == VKB_OK)
        status = check_numbers(&b, out);
    if (status == VKB_OK && !*out->fault)
        status = measure(&b, params->enough > 0 ? params->enough : ENOUGH, seconds);
    bench_close(&b);
    return status;
}

// With the notes this process's own.
static vkb_status try_and_note(vkb_device *dev, const op_attention *a, const op_tune_params *params)
{
    const attention_name shape = attention_name_of(a);
    const char *name = attention_coop_name(a->q.type), *chosen;
    tune_result result = {0};
    double seconds[2] = {0};
    vkb_status status = VKB_OK;
    if (gpu_note(dev, GPU_NOTE_FAULT, name))
        return VKB_OK;
    chosen = params->thorough ? NULL : gpu_note(dev, GPU_NOTE_CHOICE, shape.text);
    if (chosen)
        return gpu_note_set(dev, GPU_NOTE_IN_USE, shape.text, chosen);
    BASE_TRY(tune_begin_trial(dev, name, true));
    status = try_coop(dev, a, params, &result, seconds);
    BASE_TRY(tune_end_trial(dev, name, &result, status));
    if (*result.fault) {
        gpu_notes_write(dev, true);
        goto cleanup;
    }
    chosen = families[seconds[1] < seconds[0] * (1 - LEAST_GAIN)];
    vkb_log(gpu_context(dev), VKB_LOG_INFO, "%s: tile %.3g ms, coop %.3g ms, %s is used",
            shape.text, 1e3 * seconds[0], 1e3 * seconds[1], chosen);
    BASE_TRY(gpu_note_set(dev, GPU_NOTE_IN_USE, shape.text, chosen));
    BASE_TRY(gpu_note_set(dev, GPU_NOTE_CHOICE, shape.text, chosen));
    gpu_notes_write(dev, true);
cleanup:
    return status;
}

vkb_status tune_attention(vkb_device *dev, const op_attention *a, const op_tune_params *params)
{
    if (a->q.type == GPU_F32 || !attention_has_coop(vkb_device_get_info(dev), a))
        return VKB_OK;
    vkb_status status = VKB_OK;
    if (gpu_notes_begin(dev, params->max_seconds))
        status = try_and_note(dev, a, params);
    gpu_notes_end(dev);
    if (status != VKB_OUT_OF_MEMORY && status != VKB_FAILED)
        return status;
    vkb_log(gpu_context(dev), VKB_LOG_WARNING, "attention's kernels are not tried: %s",
            vkb_error(gpu_context(dev)));
    return VKB_OK;
}
