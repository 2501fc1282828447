// Tensors that share bytes, and layers that are computed again: neither changes a bit.
#include "bert/golden.h"
#include "devices.h"

// Makes whatever is read before it is written not a number.
static void record_poison(gpu_stream *s, void *user)
{
    const bert_acts *acts = user;
    for (uint32_t i = 0; i < acts->buffer_count; i++) {
        const gpu_view whole = gpu_whole(acts->buffers[i]);
        gpu_fill(s, gpu_part(whole, 0, whole.bytes / 4 * 4), 0xFFFFFFFF);
    }
}

static void grads_read(const model_trial *t, float *to)
{
    for (uint32_t i = 0; i < t->model->layout.tensor_count; i++) {
        const bert_tensor *tensor = &t->model->layout.tensors[i];
        CHECK_OK(gpu_download(device, bert_params_view(&t->grads, tensor), to));
        to += tensor->bytes / 4;
    }
}

// With dropout: the gradients of a batch, of it and another one, and of that alone; then the losses.
static float *values_of(golden *g, bool recompute, bool apart, size_t *count)
{
    model_trial t;
    struct step_out out = {0};
    model_batch first = golden_half(g, 0), second = golden_half(g, 1);
    first.dropout = 0.1f;
    first.recompute = recompute;
    first.apart = apart;
    CHECK_OK(model_trial_open(device, g->folder, &first, true, &t));
    CHECK_OK(gpu_run_once(device, "poison", record_poison, &t.acts));
    const size_t elements = t.model->layout.elements;
    *count = 3 * elements + 2;
    float *values = malloc(*count * sizeof(*values));
    CHECK_OK(model_trial_more(&t, &first, &out)); // to zeros; the poison is on the inputs, too
    grads_read(&t, values);
    CHECK_OK(model_trial_more(&t, &second, &out));
    grads_read(&t, values + elements);
    CHECK_OK(model_trial_backward(&t, &out));
    grads_read(&t, values + 2 * elements);
    values[3 * elements] = out.loss_sum;
    values[3 * elements + 1] = out.pair_loss_sum;
    model_trial_close(&t);
    return values;
}

TEST(neither_changes_a_bit)
{
    golden g;
    if (!golden_open("pairs", "expected.safetensors", &g))
        return;
    size_t count;
    float *apart = values_of(&g, false, true, &count);
    for (size_t i = 0; i < count; i++)
        if (!isfinite(apart[i])) {
            CHECK_FAILED("value %zu is none", i);
            break;
        }
    for (int i = 0; i < 3; i++) {
        float *other = values_of(&g, i > 0, i == 2, &count);
        check_case = i == 0 ? "sharing" : i == 1 ? "sharing, layers again" : "layers again";
        CHECK(memcmp(apart, other, count * sizeof(*apart)) == 0);
        free(other);
    }
    check_case = "";
    free(apart);
    golden_close(&g);
}

// The test above is not of the same streams three times.
TEST(what_is_not_kept_takes_no_room_and_runs_again)
{
    golden g;
    uint64_t runs[3], bytes[3];
    if (!golden_open("pairs", "expected.safetensors", &g))
        return;
    for (int i = 0; i < 3; i++) {
        model_trial t;
        g.batch.apart = i == 0;
        g.batch.recompute = i == 2;
        const gpu_counters before = gpu_count(device);
        CHECK_OK(model_trial_open(device, g.folder, &g.batch, true, &t));
        runs[i] = gpu_count(device).recorded_runs - before.recorded_runs;
        bytes[i] = 0;
        for (uint32_t k = 0; k < t.acts.buffer_count; k++)
            bytes[i] += gpu_whole(t.acts.buffers[k]).bytes;
        model_trial_close(&t);
    }
    CHECK(bytes[1] < bytes[0]);
    CHECK(bytes[2] < bytes[1]);
    CHECK_INT(runs[1], runs[0]);
    CHECK(runs[2] > runs[1] + 2 * 2 * 6); // two streams, two layers, more than six runs each
    golden_close(&g);
}

static void run_each(void)
{
    RUN(neither_changes_a_bit);
    RUN(what_is_not_kept_takes_no_room_and_runs_again);
}

static void run_all(vkb_device *dev)
{
    device = dev;
    model_trial_variants(dev, run_each);
}

int main(void)
{
    return devices_run(run_all) ? check_report() : 77;
}
