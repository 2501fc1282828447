// The whole model against transformers: logits, loss, every gradient, ten steps of AdamW, of the
// fixtures that tools/make_fixtures.py writes.
#include "bert/model_trial.h"
#include "check.h"
#include "devices.h"
#include "hf/safetensors.h"

#include <stdlib.h>

static vkb_device *device;

// ---- What transformers says ----

typedef struct golden {
    hf_safetensors file;
    model_batch batch;
    char folder[64];
} golden;

static const hf_tensor *golden_tensor(const golden *g, const char *prefix, const char *name)
{
    char full[160];
    snprintf(full, sizeof(full), "%s%s", prefix, name);
    const hf_tensor *tensor = hf_safetensors_find(&g->file, full);
    if (!tensor)
        CHECK_FAILED("%s is not in the fixture", full);
    return tensor;
}

// Malloced values of a tensor; 32 bits an element.
static void *golden_values(const golden *g, const char *prefix, const char *name, size_t *count)
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

static bool golden_open(const char *name, const char *file, golden *g)
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
        g->batch.objective = hf_safetensors_find(&g->file, "logits") ? VKB_OBJECTIVE_MLM_NSP
                                                                     : VKB_OBJECTIVE_NSP;
    }
    return true;
}

static void golden_close(golden *g)
{
    free((void *)g->batch.ids);
    free((void *)g->batch.types);
    free((void *)g->batch.attention_mask);
    free((void *)g->batch.labels);
    free((void *)g->batch.next_sentence);
    hf_safetensors_close(&g->file);
}

// ---- Comparisons ----

#define CHECK_OK(expr)                                                                             \
    do {                                                                                           \
        if ((expr) != VKB_OK)                                                                      \
            CHECK_FAILED("%s: %s", #expr, vkb_error(gpu_context(device)));                         \
    } while (0)

// |seen * scale - expected| / |expected|, Euclidean norms.
static double relative_error(const float *seen, const float *expected, size_t count, double scale)
{
    double difference = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        double d = seen[i] * scale - expected[i];
        difference += d * d;
        size += (double)expected[i] * expected[i];
    }
    return sqrt(difference / (size > 0 ? size : 1));
}

static double largest_difference(const float *seen, const float *expected, size_t count)
{
    double largest = 0;
    for (size_t i = 0; i < count; i++)
        largest = fmax(largest, isnan(seen[i]) ? INFINITY : fabs(seen[i] - expected[i]));
    return largest;
}

// The gradient of a key's bias is zero but for rounding: softmax does not see a constant added to all
// scores of a row. It is compared absolutely, and AdamW's steps with it, which follow its noise, not
// at all.
static bool is_key_bias(const char *name)
{
    return strstr(name, "attention.self.key.bias") != NULL;
}

// Every tensor of params, times scale, against the fixture's prefix + name.
static void params_compare(const golden *g, const model_trial *t, const bert_params *params,
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
        } else if (strcmp(prefix, "grad.") == 0) {
            for (size_t k = 0; k < count; k++)
                CHECK_NEAR(seen[k] * scale, expected[k], 1e-5);
        }
        free(expected);
        free(seen);
    }
    check_case = "";
    printf("  %s %s largest relative error %.2g\n", g->folder, prefix, worst);
}

// ---- Tests ----

static void logits_and_loss(const char *name)
{
    golden g;
    model_trial t;
    if (!golden_open(name, "expected.safetensors", &g))
        return;
    size_t count = 0;
    double loss = NAN;
    float *expected = golden_values(&g, "", "logits", &count);
    float *expected_loss = golden_values(&g, "", "loss", NULL), *seen = malloc(count * 4);
    CHECK_OK(model_trial_open(device, g.folder, &g.batch, false, &t));
    CHECK_OK(model_trial_forward(&t, seen, &loss));
    printf("  %s logits: largest difference %.2g, loss off by %.2g\n", name,
           largest_difference(seen, expected, count), fabs(loss - *expected_loss));
    CHECK_NEAR(largest_difference(seen, expected, count), 0, 1e-4);
    CHECK_NEAR(loss, *expected_loss, 1e-5);
    model_trial_close(&t);
    free(expected);
    free(expected_loss);
    free(seen);
    golden_close(&g);
}

// The objective's mean loss of a step: MLM and NSP each have their own mean.
static double mean_loss(const golden *g, const model_trial *t, const struct step_out *out)
{
    const vkb_objective objective = g->batch.objective;
    double loss = objective == VKB_OBJECTIVE_NSP ? 0 : out->loss_sum / t->labelled;
    if (objective != VKB_OBJECTIVE_MLM) {
        CHECK_INT(out->pairs, g->batch.rows);
        loss += out->pair_loss_sum / out->pairs;
    }
    return loss;
}

static void gradients_and_steps(const char *name, const char *file)
{
    golden g;
    model_trial t;
    if (!golden_open(name, file, &g))
        return;
    const bool nsp_alone = g.batch.objective == VKB_OBJECTIVE_NSP;
    float *losses = golden_values(&g, "", "losses", NULL);
    float *norms = golden_values(&g, "", "grad_norms", NULL);
    CHECK_OK(model_trial_open(device, g.folder, &g.batch, true, &t));
    for (uint32_t n = 1; n <= 10; n++) {
        struct step_out out;
        CHECK_OK(model_trial_backward(&t, &out));
        if (n == 1)
            params_compare(&g, &t, &t.grads, "grad.",
                           1.0 / (nsp_alone ? g.batch.rows : t.labelled));
        CHECK_OK(model_trial_update(&t, n, 1e-3f, &out));
        CHECK_NEAR(mean_loss(&g, &t, &out), losses[n - 1], 1e-4 * losses[n - 1]);
        CHECK_NEAR(out.grad_norm, norms[n - 1], 1e-4 * norms[n - 1]);
    }
    params_compare(&g, &t, &t.model->weights, "after10.", 1);
    model_trial_close(&t);
    free(losses);
    free(norms);
    golden_close(&g);
}

TEST(erf_model_has_transformers_logits_and_loss)
{
    logits_and_loss("erf");
}

TEST(tanh_model_has_transformers_logits_and_loss)
{
    logits_and_loss("tanh");
}

TEST(erf_model_has_torchs_gradients_and_steps)
{
    gradients_and_steps("erf", "expected.safetensors");
}

TEST(tanh_model_has_torchs_gradients_and_steps)
{
    gradients_and_steps("tanh", "expected.safetensors");
}

TEST(pairs_have_torchs_gradients_and_steps)
{
    gradients_and_steps("pairs", "expected.safetensors");
}

TEST(next_sentence_alone_has_torchs_gradients_and_steps)
{
    gradients_and_steps("pairs", "expected_nsp.safetensors");
}

// What the objective does not train stays to the bit, weight decay or not.
TEST(next_sentence_alone_leaves_the_mlm_head)
{
    golden g;
    model_trial t;
    if (!golden_open("pairs", "expected_nsp.safetensors", &g))
        return;
    CHECK_OK(model_trial_open(device, g.folder, &g.batch, true, &t));
    for (int after = 0; after < 2; after++) {
        static float before[1 << 12], now[1 << 12];
        struct step_out out;
        for (uint32_t i = 0; i < t.model->layout.tensor_count; i++) {
            const bert_tensor *tensor = &t.model->layout.tensors[i];
            if (strcmp(tensor->name, "cls.predictions.transform.dense.weight") != 0)
                continue;
            CHECK(tensor->bytes <= sizeof(now));
            CHECK_OK(gpu_download(device, bert_params_view(&t.model->weights, tensor), now));
            if (after)
                CHECK(memcmp(before, now, tensor->bytes) == 0);
            memcpy(before, now, tensor->bytes);
        }
        CHECK_OK(model_trial_backward(&t, &out));
        CHECK_OK(model_trial_update(&t, 1, 1e-2f, &out));
    }
    model_trial_close(&t);
    golden_close(&g);
}

static void run_all(vkb_device *dev)
{
    device = dev;
    RUN(erf_model_has_transformers_logits_and_loss);
    RUN(tanh_model_has_transformers_logits_and_loss);
    RUN(erf_model_has_torchs_gradients_and_steps);
    RUN(tanh_model_has_torchs_gradients_and_steps);
    RUN(pairs_have_torchs_gradients_and_steps);
    RUN(next_sentence_alone_has_torchs_gradients_and_steps);
    RUN(next_sentence_alone_leaves_the_mlm_head);
}

int main(void)
{
    if (devices_run(run_all) == 0) {
        printf("skipped: no Vulkan device\n");
        return 77;
    }
    return check_report();
}
