// What each objective trains and what it leaves alone, on the model with both heads.
#include "bert/golden.h"
#include "devices.h"

// All parameters of one copy, in the order of the layout.
static float *params_read(const model_trial *t, const bert_params *params)
{
    float *values = malloc(t->model->layout.elements * sizeof(*values)), *at = values;
    for (uint32_t i = 0; i < t->model->layout.tensor_count; i++) {
        const bert_tensor *tensor = &t->model->layout.tensors[i];
        CHECK_OK(gpu_download(device, bert_params_view(params, tensor), at));
        at += tensor->bytes / 4;
    }
    return values;
}

// A step with weight decay, at a high rate: tensors of the part `left` stay to the bit, and all
// others change.
static void leaves(vkb_objective objective, bert_part left)
{
    golden g;
    model_trial t;
    struct step_out out = {0};
    if (!golden_open("pairs", "expected.safetensors", &g))
        return;
    g.batch.objective = objective;
    CHECK_OK(model_trial_open(device, g.folder, &g.batch, true, &t));
    float *before = params_read(&t, &t.model->weights);
    CHECK_OK(model_trial_backward(&t, &out));
    CHECK_OK(model_trial_update(&t, 1, 1e-2f, &out));
    float *after = params_read(&t, &t.model->weights);
    const float *was = before, *is = after;
    for (uint32_t i = 0; i < t.model->layout.tensor_count; i++) {
        const bert_tensor *tensor = &t.model->layout.tensors[i];
        const bool same = memcmp(was, is, tensor->bytes) == 0;
        check_case = tensor->name;
        if (!is_key_bias(tensor->name)) // which has no gradient but rounding
            CHECK(same == (tensor->part == left));
        was += tensor->bytes / 4;
        is += tensor->bytes / 4;
    }
    check_case = "";
    free(before);
    free(after);
    model_trial_close(&t);
    golden_close(&g);
}

TEST(masked_tokens_alone_leave_pooler_and_next_sentence_head)
{
    leaves(VKB_OBJECTIVE_MLM, BERT_PAIR_HEAD);
}

TEST(next_sentence_alone_leaves_the_mlm_head)
{
    leaves(VKB_OBJECTIVE_NSP, BERT_MLM_HEAD);
}

TEST(both_leave_nothing)
{
    leaves(VKB_OBJECTIVE_MLM_NSP, BERT_PARTS);
}

// MLM alone on a model with both heads is what a model without the other head learns: its gradients
// are those of both together less the NSP loss's, which are those of NSP alone.
TEST(gradients_of_both_are_the_sum_of_each)
{
    static const vkb_objective objectives[] = {VKB_OBJECTIVE_MLM, VKB_OBJECTIVE_NSP,
                                               VKB_OBJECTIVE_MLM_NSP};
    float *grads[3] = {NULL};
    golden g;
    model_trial t;
    struct step_out out = {0};
    if (!golden_open("pairs", "expected.safetensors", &g))
        return;
    size_t count = 0;
    double weight = 0, difference = 0, size = 0;
    for (size_t i = 0; i < BASE_COUNT(objectives); i++) {
        g.batch.objective = objectives[i];
        CHECK_OK(model_trial_open(device, g.folder, &g.batch, true, &t));
        CHECK_OK(model_trial_backward(&t, &out));
        grads[i] = params_read(&t, &t.grads); // zeros where there is none
        count = t.model->layout.elements;
        weight = (double)t.labelled / golden_pairs(&g.batch);
        model_trial_close(&t);
    }
    for (size_t i = 0; i < count; i++) {
        double sum = grads[0][i] + weight * grads[1][i];
        difference += (sum - grads[2][i]) * (sum - grads[2][i]);
        size += sum * sum;
    }
    CHECK_NEAR(sqrt(difference / size), 0, 1e-6); // some roundings of 6e-8
    for (size_t i = 0; i < BASE_COUNT(objectives); i++)
        free(grads[i]);
    golden_close(&g);
}

// Its weight in the step's mean is that of its predictions: none. Its pairs still count as pairs.
TEST(a_micro_batch_without_predictions_adds_nothing)
{
    golden g;
    model_trial t;
    struct step_out out = {0};
    if (!golden_open("pairs", "expected.safetensors", &g))
        return;
    const model_batch first = golden_half(&g, 0);
    model_batch second = golden_half(&g, 1);
    int32_t labels[64];
    for (uint32_t i = 0; i < second.rows * second.length; i++)
        labels[i] = -100;
    second.labels = labels;
    CHECK_OK(model_trial_open(device, g.folder, &first, true, &t));
    CHECK_OK(model_trial_backward(&t, &out));
    const uint32_t pairs = out.pairs;
    float *before = params_read(&t, &t.grads);
    CHECK_OK(model_trial_more(&t, &second, &out));
    CHECK_INT(out.pairs, pairs + golden_pairs(&second));
    float *after = params_read(&t, &t.grads);
    size_t changed = 0;
    for (uint64_t i = 0; i < t.model->layout.elements; i++)
        changed += before[i] != after[i];
    CHECK_INT(changed, 0);
    free(before);
    free(after);
    model_trial_close(&t);
    golden_close(&g);
}

static void run_all(vkb_device *dev)
{
    device = dev;
    RUN(masked_tokens_alone_leave_pooler_and_next_sentence_head);
    RUN(next_sentence_alone_leaves_the_mlm_head);
    RUN(both_leave_nothing);
    RUN(gradients_of_both_are_the_sum_of_each);
    RUN(a_micro_batch_without_predictions_adds_nothing);
}

int main(void)
{
    return devices_run(run_all) ? check_report() : 77;
}
