// The tutorial's lesson on the real bert-base-uncased: the loss of its sentence with every token as
// a label, and what stands at each [MASK], against transformers.
//
// VKBERT_BERT_BASE names the model's Hugging Face folder.
#include "bert/model_trial.h"
#include "check.h"
#include "devices.h"
#include "temp.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

static vkb_device *device;
static cJSON *expected;

static int32_t *numbers(const char *key, uint32_t *count)
{
    const cJSON *list = cJSON_GetObjectItem(expected, key), *item;
    int32_t *values = calloc((size_t)cJSON_GetArraySize(list), sizeof(*values));
    *count = 0;
    cJSON_ArrayForEach(item, list) values[(*count)++] = item->valueint;
    return values;
}

// Softmax of one row at one id, and the id of the largest logit.
static double softmax_at(const float *logits, uint32_t vocab_size, uint32_t id)
{
    double sum = 0;
    for (uint32_t i = 0; i < vocab_size; i++)
        sum += exp((double)logits[i] - logits[id]);
    return 1 / sum;
}

static uint32_t argmax(const float *logits, uint32_t vocab_size)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < vocab_size; i++)
        best = logits[i] > logits[best] ? i : best;
    return best;
}

static void masks_check(const float *logits, uint32_t vocab_size)
{
    const cJSON *mask, *answer;
    int masks = 0;
    cJSON_ArrayForEach(mask, cJSON_GetObjectItem(expected, "masks"))
    {
        const uint32_t position = (uint32_t)cJSON_GetObjectItem(mask, "position")->valueint;
        const float *row = logits + (size_t)position * vocab_size;
        masks++;
        CHECK_INT(argmax(row, vocab_size), cJSON_GetObjectItem(mask, "argmax")->valueint);
        cJSON_ArrayForEach(answer, cJSON_GetObjectItem(mask, "top5"))
        {
            const uint32_t id = (uint32_t)cJSON_GetObjectItem(answer, "token")->valueint;
            CHECK_NEAR(softmax_at(row, vocab_size, id),
                       cJSON_GetObjectItem(answer, "score")->valuedouble, 1e-4);
        }
    }
    CHECK_INT(masks, 6);
}

TEST(the_lincoln_sentence_has_the_tutorials_loss_and_answers)
{
    const char *folder = getenv("VKBERT_BERT_BASE");
    if (!folder)
        SKIP("VKBERT_BERT_BASE does not name a folder with bert-base-uncased");
    uint32_t length, labels_count;
    int32_t *ids = numbers("input_ids", &length), *labels = numbers("labels", &labels_count);
    CHECK_INT(length, 62);
    CHECK_INT(labels_count, 62);
    int32_t types[62] = {0}, mask[62];
    for (int i = 0; i < 62; i++)
        mask[i] = 1;
    const model_batch batch = {1, length, ids, types, mask, labels, NULL, VKB_OBJECTIVE_MLM};
    model_trial t;
    if (model_trial_open(device, folder, &batch, false, &t) != VKB_OK) {
        CHECK_FAILED("%s", vkb_error(gpu_context(device)));
    } else {
        const uint32_t V = t.model->config.vocab_size;
        float *logits = malloc((size_t)length * V * sizeof(*logits));
        struct step_out out = {0};
        CHECK_INT(model_trial_forward(&t, logits, &out), VKB_OK);
        const double loss = (double)out.loss_sum / length;
        printf("  loss %.6f, transformers %.6f\n", loss,
               cJSON_GetObjectItem(expected, "loss")->valuedouble);
        CHECK_NEAR(loss, 0.7898, 5e-5); // as the tutorial prints it
        CHECK_NEAR(loss, cJSON_GetObjectItem(expected, "loss")->valuedouble, 1e-5);
        masks_check(logits, V);
        free(logits);
        model_trial_close(&t);
    }
    free(ids);
    free(labels);
}

static void run_all(vkb_device *dev)
{
    device = dev;
    RUN(the_lincoln_sentence_has_the_tutorials_loss_and_answers);
}

int main(void)
{
    char *text = temp_read("fixtures", "lincoln.json", NULL);
    expected = cJSON_Parse(text);
    free(text);
    int devices = devices_run(run_all);
    cJSON_Delete(expected);
    return devices ? check_report() : 77;
}
