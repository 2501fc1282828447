// Trials of ops: see harness.h. The buffer is an array of words: band, tensor, band, tensor, band.
#include "harness.h"

#include "base/half.h"
#include "base/philox.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BAND_WORDS = 64,        // at least, around every tensor
    BAND_BITS = 0x7FC0BAD0, // a quiet NaN that nothing computes
    HALF_NANS = 0x7FC17FC1, // two of them, as fp16 and as bf16
    TENSORS = 24,
    SPARES = 4,
};

struct trial {
    vkb_device *dev;
    char name[96];
    bool wrong;
    random_source random;
    tensor tensors[TENSORS];
    size_t count;
    double *spares[SPARES];
    size_t spare_count;
    gpu_buffer *buffer; // NULL until trial_ready
    size_t words;
    uint32_t *image; // what the buffer holds before a run
    uint32_t *after; // and after
};

// ---- Random numbers ----

static uint32_t random_bits(random_source *r)
{
    return philox(r->key, (philox4){{(uint32_t)r->next++, 0, 0, 0}}).v[0];
}

uint32_t random_below(random_source *r, uint32_t bound)
{
    return (uint32_t)(((uint64_t)random_bits(r) * bound) >> 32);
}

double random_uniform(random_source *r)
{
    return philox_uniform(random_bits(r));
}

double random_normal(random_source *r) // Box and Muller
{
    double radius = sqrt(-2 * log(1 - random_uniform(r)));
    return radius * cos(6.283185307179586 * random_uniform(r));
}

random_source *trial_random(trial *t)
{
    return &t->random;
}

// ---- Tensors ----

static void *must_have(void *memory)
{
    if (!memory) {
        fprintf(stderr, "out of memory\n");
        abort();
    }
    return memory;
}

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

float tensor_seen(const tensor *x, size_t i)
{
    return float_of(x->seen[i]);
}

static tensor *tensor_add(trial *t, const char *name, size_t count, tensor_role role)
{
    if (t->count == TENSORS || t->buffer) {
        fprintf(stderr, "%s: no room for tensor %s\n", t->name, name);
        abort();
    }
    tensor *x = &t->tensors[t->count++];
    *x = (tensor){.name = name, .role = role, .count = count, .limit = LIMIT_EXACT};
    x->start = must_have(calloc(count + 1, sizeof *x->start));
    x->ref = must_have(calloc(count + 1, sizeof *x->ref));
    x->seen = must_have(calloc(count + 1, sizeof *x->seen));
    return x;
}

static double draw(random_source *r, values kind)
{
    switch (kind) {
    case VALUES_NORMAL:
        return random_normal(r);
    case VALUES_FAR:
        return 300 + random_normal(r);
    case VALUES_WIDE:
        return 30 * random_normal(r);
    case VALUES_SMALL:
        return 0.02 * random_normal(r);
    default:
        return 0;
    }
}

static void tensor_draw(trial *t, tensor *x, values kind)
{
    for (size_t i = 0; i < x->count; i++) {
        x->start[i] = (float)draw(&t->random, kind);
        x->ref[i] = x->start[i];
    }
}

static void tensor_words(tensor *x, const void *start)
{
    x->words = true;
    for (size_t i = 0; i < x->count; i++)
        x->start[i] = float_of(BAND_BITS);
    if (start)
        memcpy(x->start, start, x->count * 4);
}

tensor *trial_input(trial *t, const char *name, size_t count, values kind)
{
    tensor *x = tensor_add(t, name, count, TENSOR_INPUT);
    tensor_draw(t, x, kind);
    return x;
}

tensor *trial_output(trial *t, const char *name, size_t count, double limit)
{
    tensor *x = tensor_add(t, name, count, TENSOR_OUTPUT);
    x->limit = limit;
    for (size_t i = 0; i < count; i++) {
        x->start[i] = float_of(BAND_BITS);
        x->ref[i] = NAN; // a reference that leaves an element out fails too
    }
    return x;
}

tensor *trial_inout(trial *t, const char *name, size_t count, values kind, double limit)
{
    tensor *x = tensor_add(t, name, count, TENSOR_INOUT);
    x->limit = limit;
    tensor_draw(t, x, kind);
    return x;
}

tensor *trial_words(trial *t, const char *name, size_t count, const void *data)
{
    tensor *x = tensor_add(t, name, count, TENSOR_INPUT);
    tensor_words(x, data);
    return x;
}

tensor *trial_words_out(trial *t, const char *name, size_t count, const void *start,
                        const void *expected)
{
    tensor *x = tensor_add(t, name, count, TENSOR_OUTPUT);
    tensor_words(x, start);
    x->expected_words = must_have(malloc(count * 4 + 4));
    memcpy(x->expected_words, expected, count * 4);
    return x;
}

tensor *trial_free_words(trial *t, const char *name, size_t count, const void *start)
{
    tensor *x = tensor_add(t, name, count, TENSOR_FREE);
    tensor_words(x, start);
    return x;
}

void tensor_start_from_ref(tensor *x)
{
    for (size_t i = 0; i < x->count; i++)
        x->ref[i] = x->start[i] = (float)x->ref[i];
}

void tensor_start_packed(tensor *x, uint32_t rows, uint32_t cols, uint32_t panel)
{
    float *from = malloc(x->count * sizeof(*from));
    memcpy(from, x->start, x->count * sizeof(*from));
    for (uint32_t first = 0; first < rows; first += panel) {
        const size_t at = (size_t)first * cols;
        op_pack(from + at, rows - first < panel ? rows - first : panel, cols, x->start + at);
    }
    free(from);
}

static float half_value(gpu_type type, uint16_t half)
{
    return type == GPU_F16 ? half_to_float(half) : bfloat_to_float(half);
}

static uint16_t half_of(gpu_type type, float value)
{
    return type == GPU_F16 ? half_from_float(value) : bfloat_from_float(value);
}

void tensor_as(tensor *x, gpu_type type)
{
    if (type == GPU_F32)
        return;
    if (x->count % 4 || x->words)
        abort();
    x->type = type;
    x->limit = fmax(x->limit, type == GPU_F16 ? LIMIT_F16 : LIMIT_BF16);
    for (size_t i = 0; i < x->count && x->role != TENSOR_OUTPUT; i++)
        x->ref[i] = x->start[i] = half_value(type, half_of(type, x->start[i]));
}

static size_t tensor_words_count(const tensor *x)
{
    return x->count * gpu_type_bytes(x->type) / 4;
}

// The tensor as the device has it, two halves a word.
static void image_put(const tensor *x, uint32_t *image)
{
    if (x->type == GPU_F32) {
        memcpy(image, x->start, x->count * 4);
        return;
    }
    for (size_t i = 0; i < x->count / 2; i++)
        image[i] = x->role == TENSOR_OUTPUT
                       ? HALF_NANS
                       : (uint32_t)half_of(x->type, x->start[2 * i]) |
                             (uint32_t)half_of(x->type, x->start[2 * i + 1]) << 16;
}

// What the device left of it, as fp32.
static void image_take(tensor *x, const uint32_t *image)
{
    if (x->type == GPU_F32)
        memcpy(x->seen, image, x->count * 4);
    for (size_t i = 0; i < x->count && x->type != GPU_F32; i++) {
        const float value = half_value(x->type, (uint16_t)(image[i / 2] >> i % 2 * 16));
        memcpy(&x->seen[i], &value, 4);
    }
}

double *trial_spare(trial *t, size_t count)
{
    if (t->spare_count == SPARES)
        abort();
    return t->spares[t->spare_count++] = must_have(calloc(count + 1, sizeof(double)));
}

// ---- Trials ----

trial *trial_open(vkb_device *dev, const char *name, ...)
{
    trial *t = must_have(calloc(1, sizeof *t));
    t->dev = dev;
    va_list arguments;
    va_start(arguments, name);
    vsnprintf(t->name, sizeof t->name, name, arguments);
    va_end(arguments);
    for (const char *c = t->name; *c; c++)
        t->random.key = t->random.key * 1099511628211u + (uint8_t)*c;
    return t;
}

bool trial_close(trial **t)
{
    bool right = !(*t)->wrong;
    for (size_t i = 0; i < (*t)->count; i++) {
        free((*t)->tensors[i].start);
        free((*t)->tensors[i].ref);
        free((*t)->tensors[i].seen);
        free((*t)->tensors[i].expected_words);
    }
    for (size_t i = 0; i < (*t)->spare_count; i++)
        free((*t)->spares[i]);
    gpu_buffer_destroy(&(*t)->buffer);
    free((*t)->image);
    free((*t)->after);
    free(*t);
    *t = NULL;
    return right;
}

void trial_wrong(trial *t, const char *sentence, ...)
{
    va_list arguments;
    va_start(arguments, sentence);
    printf("%s: ", t->name);
    vprintf(sentence, arguments);
    printf("\n");
    va_end(arguments);
    t->wrong = true;
}

static bool succeeded(trial *t, vkb_status status)
{
    if (status != VKB_OK)
        trial_wrong(t, "%s", vkb_error(gpu_context(t->dev)));
    return status == VKB_OK;
}

bool trial_ready(trial *t)
{
    if (t->buffer)
        return true;
    size_t align = gpu_alignment(t->dev) / 4, end = 0;
    for (size_t i = 0; i < t->count; i++) {
        tensor *x = &t->tensors[i];
        x->first = (end + BAND_WORDS + align - 1) / align * align;
        end = x->first + tensor_words_count(x);
    }
    t->words = end + BAND_WORDS;
    t->image = must_have(malloc(t->words * 4));
    t->after = must_have(malloc(t->words * 4));
    for (size_t i = 0; i < t->words; i++)
        t->image[i] = BAND_BITS;
    if (!succeeded(t, gpu_buffer_create(t->dev, t->name, t->words * 4, GPU_LOCAL, &t->buffer)))
        return false;
    for (size_t i = 0; i < t->count; i++) {
        tensor *x = &t->tensors[i];
        image_put(x, t->image + x->first);
        x->view = gpu_typed(gpu_part(gpu_whole(t->buffer), x->first * 4, 4 * tensor_words_count(x)),
                            x->type);
    }
    return true;
}

// ---- Checks of a run ----

static void check_bands(trial *t)
{
    size_t at = 0;
    for (size_t i = 0; i <= t->count; i++) {
        const tensor *x = i < t->count ? &t->tensors[i] : NULL;
        for (size_t end = x ? x->first : t->words; at < end; at++)
            if (t->after[at] != BAND_BITS) {
                trial_wrong(t, "the band %s %s was written to", x ? "before" : "behind",
                            x ? x->name : "the last tensor");
                break;
            }
        if (x)
            at = x->first + tensor_words_count(x);
    }
}

static void check_words(trial *t, const tensor *x)
{
    const void *words = x->role == TENSOR_INPUT ? (void *)x->start : (void *)x->expected_words;
    for (size_t i = 0; i < x->count; i++) {
        uint32_t expected;
        memcpy(&expected, (const char *)words + 4 * i, 4);
        if (x->seen[i] != expected) {
            trial_wrong(t, "%s[%zu] has the bits of %u, expected %u%s", x->name, i, x->seen[i],
                        expected, x->role == TENSOR_INPUT ? ": an input was written to" : "");
            return;
        }
    }
}

static void check_values(trial *t, const tensor *x)
{
    double error = 0, size = 0, worst = 0, largest = 0;
    size_t at = 0;
    for (size_t i = 0; i < x->count; i++) {
        double off = fabs(tensor_seen(x, i) - x->ref[i]);
        error += off * off;
        size += x->ref[i] * x->ref[i];
        largest = fmax(largest, fabs(x->ref[i]));
        if (!(off <= worst)) { // NaN is the worst
            worst = isnan(off) ? INFINITY : off;
            at = i;
        }
    }
    // One element may be off by more than the mean, but not by an order of magnitude or two: that
    // would be an edge of the shape that the mean of a large tensor hides.
    if (!(error <= x->limit * size) || worst > 50 * sqrt(x->limit) * largest)
        trial_wrong(t, "%s: error %.2g, limit %.2g; worst at [%zu]: %.9g, expected %.9g", x->name,
                    error / size, x->limit, at, tensor_seen(x, at), x->ref[at]);
}

static void check_tensors(trial *t)
{
    for (size_t i = 0; i < t->count; i++) {
        tensor *x = &t->tensors[i];
        image_take(x, t->after + x->first);
        if (x->role == TENSOR_INPUT || x->expected_words)
            check_words(t, x);
        else if (x->role != TENSOR_FREE)
            check_values(t, x);
    }
}

static bool run(trial *t, gpu_stream *s, uint32_t *after)
{
    uint64_t ticket = 0;
    return succeeded(t, gpu_upload(t->dev, gpu_whole(t->buffer), t->image)) &&
           succeeded(t, gpu_submit(t->dev, &s, 1, &ticket)) &&
           succeeded(t, gpu_wait(t->dev, ticket)) &&
           succeeded(t, gpu_download(t->dev, gpu_whole(t->buffer), after));
}

void trial_run(trial *t, gpu_record_fn record, void *user)
{
    gpu_stream *s = NULL;
    uint32_t *again = NULL;
    if (!trial_ready(t) || !succeeded(t, gpu_record(t->dev, t->name, false, record, user, &s)))
        goto cleanup;
    again = must_have(malloc(t->words * 4));
    if (!run(t, s, t->after) || !run(t, s, again))
        goto cleanup;
    check_bands(t);
    check_tensors(t);
    if (memcmp(t->after, again, t->words * 4) != 0)
        trial_wrong(t, "a second run gave other bits");
cleanup:
    gpu_stream_destroy(&s);
    free(again);
}

void trial_refuses(trial *t, const char *part, gpu_record_fn record, void *user)
{
    gpu_stream *s = NULL;
    if (!trial_ready(t))
        return;
    vkb_status status = gpu_record(t->dev, t->name, false, record, user, &s);
    const char *sentence = vkb_error(gpu_context(t->dev));
    if (status != VKB_BAD_ARGUMENT)
        trial_wrong(t, "expected a refusal that says \"%s\", found status \"%s\"", part,
                    vkb_status_text(status));
    else if (!strstr(sentence, part))
        trial_wrong(t, "expected a refusal that says \"%s\", found \"%s\"", part, sentence);
    gpu_stream_destroy(&s);
}

void trial_needs(trial *t, tensor *x, gpu_record_fn record, void *user)
{
    if (!trial_ready(t))
        return;
    gpu_view whole = x->view;
    x->view = (gpu_view){.type = whole.type};
    trial_refuses(t, x->name, record, user);
    x->view = whole;
}

void trial_needs_all(trial *t, tensor *x, gpu_record_fn record, void *user)
{
    if (!trial_ready(t))
        return;
    trial_needs(t, x, record, user);
    x->view.bytes -= 4;
    trial_refuses(t, x->name, record, user);
    x->view.bytes += 4;
}

static device_test_fn trials; // what both_variants runs

static void both_variants(vkb_device *dev)
{
    for (op_variant variant = OP_VARIANT_GPU; variant <= OP_VARIANT_SOFTWARE; variant++) {
        printf("kernels for %s\n", variant == OP_VARIANT_GPU ? "GPUs" : "software drivers");
        op_force_variant(variant);
        trials(dev);
    }
    op_force_variant(OP_VARIANT_CHOSEN);
}

int trial_devices(device_test_fn fn)
{
    trials = fn;
    return devices_run(both_variants);
}
