// The whole model against transformers, for every objective: logits, losses, every gradient, ten steps
// of AdamW, micro-batches, of the fixtures that tools/make_fixtures.py writes.
#include "bert/golden.h"
#include "devices.h"

// ---- Tests ----

static void logits_compare(const golden *g, const char *what, const float *seen)
{
    size_t count = 0;
    float *expected = golden_values(g, "", what, &count);
    double worst = largest_difference(seen, expected, count);
    printf("  %s %s: largest difference %.2g\n", g->folder, what, worst);
    CHECK_NEAR(worst, 0, 1e-4);
    free(expected);
}

// Of the rows that count, those whose larger logit is the label's.
static uint32_t pairs_right(const model_batch *b, const float *pair_logits)
{
    uint32_t right = 0;
    for (uint32_t row = 0; row < b->rows; row++) {
        const int32_t label = b->next_sentence[row];
        right += label >= 0 && pair_logits[2 * row + label] > pair_logits[2 * row + 1 - label];
    }
    return right;
}

// What evaluation does: the losses without a gradient.
static void logits_and_losses(const char *name, const char *file)
{
    golden g;
    model_trial t;
    struct step_out out = {0};
    if (!golden_open(name, file, &g))
        return;
    const vkb_objective objective = g.batch.objective;
    const size_t logits = (size_t)g.batch.rows * g.batch.length;
    float *expected = golden_values(&g, "", "loss", NULL);
    double loss = 0;
    CHECK_OK(model_trial_open(device, g.folder, &g.batch, false, &t));
    float *seen = malloc(4 * logits * t.model->config.vocab_size);
    CHECK_OK(model_trial_forward(&t, seen, &out));
    if (objective != VKB_OBJECTIVE_NSP) {
        logits_compare(&g, "logits", seen);
        loss += (double)out.loss_sum / t.labelled;
    }
    if (objective != VKB_OBJECTIVE_MLM) {
        float *pair_loss = golden_values(&g, "", "next_sentence_loss", NULL);
        CHECK_OK(gpu_download(device, t.acts.pair_logits, seen));
        logits_compare(&g, "pair_logits", seen);
        CHECK_INT(out.pairs, golden_pairs(&g.batch));
        CHECK_INT(out.pairs_right, pairs_right(&g.batch, seen));
        CHECK_NEAR((double)out.pair_loss_sum / out.pairs, *pair_loss, 1e-5);
        loss += (double)out.pair_loss_sum / out.pairs;
        free(pair_loss);
    } else {
        CHECK_INT(out.pairs, 0);
    }
    CHECK_NEAR(loss, *expected, 1e-5);
    model_trial_close(&t);
    free(expected);
    free(seen);
    golden_close(&g);
}

// The objective's mean loss of a step: MLM and NSP each have their own mean.
static double mean_loss(const golden *g, const model_trial *t, const struct step_out *out)
{
    const vkb_objective objective = g->batch.objective;
    double loss = objective == VKB_OBJECTIVE_NSP ? 0 : out->loss_sum / t->labelled;
    if (objective != VKB_OBJECTIVE_MLM)
        loss += out->pair_loss_sum / golden_pairs(&g->batch);
    return loss;
}

// What the gradients are divided by: they are of sums.
static double loss_count(const golden *g, const model_trial *t)
{
    return g->batch.objective == VKB_OBJECTIVE_NSP ? golden_pairs(&g->batch) : t->labelled;
}

// Hidden sizes are 32, 20 and 24: one product gives queries, keys and values in erf and pairs, three in tanh.
static void check_qkv(const model_trial *t)
{
    const bool together = 2 * t->model->config.hidden_size % gpu_alignment(device) == 0;
    CHECK_INT(t->model->weights.layers[0].qkv.buffer != NULL, together);
}

// What stands behind the vocabulary is never learnt: weight, bias, gradients.
static void check_rooms(const model_trial *t)
{
    const vkb_config *c = &t->model->config;
    const struct {
        gpu_view view;
        uint32_t cols;
    } of[] = {{t->model->weights.word, c->hidden_size},
              {t->model->weights.output_bias, 1},
              {t->grads.word, c->hidden_size},
              {t->grads.output_bias, 1}};
    CHECK(bert_vocab_room(c) > c->vocab_size); // the fixtures' vocabularies are no whole steps
    for (size_t i = 0; i < BASE_COUNT(of); i++) {
        const uint64_t own = 4ull * c->vocab_size * of[i].cols;
        const uint64_t behind = 4ull * bert_vocab_room(c) * of[i].cols - own;
        float *values = malloc(behind);
        CHECK_INT(of[i].view.bytes, own + behind);
        CHECK_OK(gpu_download(device, gpu_part(of[i].view, own, behind), values));
        for (uint64_t k = 0; k < behind / 4; k++)
            CHECK(values[k] == 0);
        free(values);
    }
}

static void gradients_and_steps(const char *name, const char *file)
{
    golden g;
    model_trial t;
    if (!golden_open(name, file, &g))
        return;
    float *losses = golden_values(&g, "", "losses", NULL);
    float *norms = golden_values(&g, "", "grad_norms", NULL);
    CHECK_OK(model_trial_open(device, g.folder, &g.batch, true, &t));
    check_qkv(&t);
    for (uint32_t n = 1; n <= 10; n++) {
        struct step_out out;
        CHECK_OK(model_trial_backward(&t, &out));
        if (n == 1)
            params_compare(&g, &t, &t.grads, "grad.", 1 / loss_count(&g, &t));
        CHECK_OK(model_trial_update(&t, n, 1e-3f, &out));
        CHECK_NEAR(mean_loss(&g, &t, &out), losses[n - 1], 1e-4 * losses[n - 1]);
        CHECK_NEAR(out.grad_norm, norms[n - 1], 1e-4 * norms[n - 1]);
    }
    params_compare(&g, &t, &t.model->weights, "after10.", 1);
    check_rooms(&t);
    model_trial_close(&t);
    free(losses);
    free(norms);
    golden_close(&g);
}

// The Euclidean norm of all the fixture's tensors of a prefix.
static double golden_norm(const golden *g, const char *prefix)
{
    double sum = 0;
    for (size_t i = 0; i < g->file.tensor_count; i++) {
        const hf_tensor *tensor = &g->file.tensors[i];
        const float *values = (const float *)tensor->data;
        for (size_t k = 0; strncmp(tensor->name, prefix, strlen(prefix)) == 0 && k < tensor->count;
             k++)
            sum += (double)values[k] * values[k];
    }
    return sqrt(sum);
}

// The batch in two micro-batches, of which the second is added to the first.
static void micro_batches(const char *name, const char *file, const char *prefix)
{
    golden g;
    model_trial t;
    struct step_out out = {0};
    if (!golden_open(name, file, &g))
        return;
    const model_batch first = golden_half(&g, 0), second = golden_half(&g, 1);
    CHECK_OK(model_trial_open(device, g.folder, &first, true, &t));
    CHECK_OK(model_trial_backward(&t, &out));
    CHECK_OK(model_trial_more(&t, &second, &out));
    params_compare(&g, &t, &t.grads, prefix, 1 / loss_count(&g, &t));
    if (g.batch.objective != VKB_OBJECTIVE_MLM)
        CHECK_INT(out.pairs, golden_pairs(&g.batch));
    CHECK_OK(model_trial_update(&t, 1, 1e-3f, &out));
    CHECK_NEAR(out.grad_norm, golden_norm(&g, prefix), 1e-4 * golden_norm(&g, prefix));
    model_trial_close(&t);
    golden_close(&g);
}

static const char mlm[] = "expected.safetensors", nsp[] = "expected_nsp.safetensors";

TEST(masked_tokens_have_transformers_logits_and_loss)
{
    logits_and_losses("erf", mlm);
    logits_and_losses("tanh", mlm);
}

TEST(masked_tokens_have_torchs_gradients_and_steps)
{
    gradients_and_steps("erf", mlm);
    gradients_and_steps("tanh", mlm);
}

TEST(pairs_have_transformers_logits_and_losses)
{
    logits_and_losses("pairs", mlm);
    logits_and_losses("pairs", nsp);
}

TEST(pairs_have_torchs_gradients_and_steps)
{
    gradients_and_steps("pairs", mlm);
}

TEST(next_sentence_alone_has_torchs_gradients_and_steps)
{
    gradients_and_steps("pairs", nsp);
}

TEST(micro_batches_add_up_as_torchs)
{
    micro_batches("tanh", mlm, "grad.");
    micro_batches("pairs", mlm, "accumulated.");
    micro_batches("pairs", nsp, "grad.");
}

static void run_each(void)
{
    RUN(masked_tokens_have_transformers_logits_and_loss);
    RUN(masked_tokens_have_torchs_gradients_and_steps);
    RUN(pairs_have_transformers_logits_and_losses);
    RUN(pairs_have_torchs_gradients_and_steps);
    RUN(next_sentence_alone_has_torchs_gradients_and_steps);
    RUN(micro_batches_add_up_as_torchs);
}

static void run_all(vkb_device *dev)
{
    device = dev;
    model_trial_variants(dev, run_each);
}

int main(void)
{
    if (devices_run(run_all) == 0) {
        printf("skipped: no Vulkan device\n");
        return 77;
    }
    return check_report();
}
