// A fixture of tools/make_fixtures.py: a small model, a batch, and what transformers and torch say of it.
#ifndef VKB_TESTS_BERT_GOLDEN_H
#define VKB_TESTS_BERT_GOLDEN_H

#include "bert/model_trial.h"
#include "check.h"
#include "hf/safetensors.h"

#include <stdlib.h>

static vkb_device *device;

#define CHECK_OK(expr)                                                                             \
    do {                                                                                           \
        if ((expr) != VKB_OK)                                                                      \
            CHECK_FAILED("%s: %s", #expr, vkb_error(gpu_context(device)));                         \
    } while (0)

// ---- What transformers says ----

typedef struct golden {
    hf_safetensors file;
    model_batch batch;
    char folder[64];
} golden;

static inline const hf_tensor *golden_tensor(const golden *g, const char *prefix, const char *name)
{
    char full[160];
    snprintf(full, sizeof(full), "%s%s", prefix, name);
    const hf_tensor *tensor = hf_safetensors_find(&g->file, full);
    if (!tensor)
        CHECK_FAILED("%s is not in the fixture", full);
    return tensor;
}

// Malloced values of a tensor; 32 bits an element.
static inline void *golden_values(const golden *g, const char *prefix, const char *name,
                                  size_t *count)
{
    const hf_tensor *tensor = golden_tensor(g, prefix, name);
    if (!tensor)
        return NULL;
    void *values = malloc(tensor->bytes);
    memcpy(values, tensor->data, tensor->bytes);
    if (count)
        *count = tensor->count;
    return values;
}

static inline bool golden_open(const char *name, const char *file, golden *g)
{
    char path[96];
    *g = (golden){0};
    snprintf(g->folder, sizeof(g->folder), "fixtures/%s", name);
    snprintf(path, sizeof(path), "%s/%s", g->folder, file);
    vkb_context *ctx = gpu_context(device);
    if (hf_safetensors_open(ctx, path, &g->file) != VKB_OK) {
        CHECK_FAILED("%s", vkb_error(ctx));
        return false;
    }
    const hf_tensor *ids = golden_tensor(g, "", "input_ids");
    g->batch = (model_batch){
        .rows = (uint32_t)ids->shape[0],
        .length = (uint32_t)ids->shape[1],
        .ids = golden_values(g, "", "input_ids", NULL),
        .types = golden_values(g, "", "token_type_ids", NULL),
        .attention_mask = golden_values(g, "", "attention_mask", NULL),
        .labels = golden_values(g, "", "labels", NULL),
    };
    if (hf_safetensors_find(&g->file, "next_sentence_label")) {
        g->batch.next_sentence = golden_values(g, "", "next_sentence_label", NULL);
        g->batch.objective =
            hf_safetensors_find(&g->file, "logits") ? VKB_OBJECTIVE_MLM_NSP : VKB_OBJECTIVE_NSP;
    }
    return true;
}

static inline void golden_close(golden *g)
{
    free((void *)g->batch.ids);
    free((void *)g->batch.types);
    free((void *)g->batch.attention_mask);
    free((void *)g->batch.labels);
    free((void *)g->batch.next_sentence);
    hf_safetensors_close(&g->file);
}

// The rows of the first or the second half of the batch, which has an even number of them.
static inline model_batch golden_half(const golden *g, uint32_t half)
{
    model_batch b = g->batch;
    b.rows /= 2;
    const size_t row = (size_t)half * b.rows, at = row * b.length;
    b.ids += at;
    b.types += at;
    b.attention_mask += at;
    b.labels += at;
    b.next_sentence = b.next_sentence ? b.next_sentence + row : NULL;
    return b;
}

// Rows that count for next-sentence prediction.
static inline uint32_t golden_pairs(const model_batch *b)
{
    uint32_t pairs = 0;
    for (uint32_t row = 0; b->next_sentence && row < b->rows; row++)
        pairs += b->next_sentence[row] >= 0;
    return pairs;
}

// ---- Comparisons ----

// |seen * scale - expected| / |expected|, Euclidean norms.
static inline double relative_error(const float *seen, const float *expected, size_t count,
                                    double scale)
{
    double difference = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        double d = seen[i] * scale - expected[i];
        difference += d * d;
        size += (double)expected[i] * expected[i];
    }
    return sqrt(difference / (size > 0 ? size : 1));
}

static inline double largest_difference(const float *seen, const float *expected, size_t count)
{
    double largest = 0;
    for (size_t i = 0; i < count; i++)
        largest = fmax(largest, isnan(seen[i]) ? INFINITY : fabs(seen[i] - expected[i]));
    return largest;
}

// The gradient of a key's bias is zero but for rounding: softmax does not see a constant added to all
// scores of a row. It is compared absolutely, and AdamW's steps with it, which follow its noise, not
// at all.
static inline bool is_key_bias(const char *name)
{
    return strstr(name, "attention.self.key.bias") != NULL;
}

// Every tensor of params, times scale, against the fixture's prefix + name.
static inline void params_compare(const golden *g, const model_trial *t, const bert_params *params,
                                  const char *prefix, double scale)
{
    double worst = 0;
    for (uint32_t i = 0; i < t->model->layout.tensor_count; i++) {
        const bert_tensor *tensor = &t->model->layout.tensors[i];
        size_t count = 0;
        char full[160];
        snprintf(full, sizeof(full), "%s%s", prefix, tensor->name);
        if (!hf_safetensors_find(&g->file, full)) { // the objective does not train it
            CHECK(tensor->part == BERT_MLM_HEAD && g->batch.objective == VKB_OBJECTIVE_NSP);
            continue;
        }
        float *expected = golden_values(g, prefix, tensor->name, &count);
        float *seen = malloc(tensor->bytes);
        check_case = tensor->name;
        CHECK_INT(count * 4, tensor->bytes);
        CHECK_OK(gpu_download(device, bert_params_view(params, tensor), seen));
        if (!is_key_bias(tensor->name)) {
            double error = relative_error(seen, expected, count, scale);
            worst = fmax(worst, error);
            CHECK_NEAR(error, 0, 1e-4);
        } else if (strcmp(prefix, "after10.") != 0) {
            for (size_t k = 0; k < count; k++)
                CHECK_NEAR(seen[k] * scale, expected[k], 1e-5);
        }
        free(expected);
        free(seen);
    }
    check_case = "";
    printf("  %s %s largest relative error %.2g\n", g->folder, prefix, worst);
}

#endif
