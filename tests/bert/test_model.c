// Models to and from folders: both heads are kept, or added where they are missing, on every device.
#include "bert/bert.h"
#include "devices.h"
#include "fixture_copy.h"

#include <math.h>

static vkb_device *device;
static char *folder;

#define CHECK_OK(expr)                                                                             \
    do {                                                                                           \
        if ((expr) != VKB_OK) {                                                                    \
            CHECK_FAILED("%s: %s", #expr, vkb_error(gpu_context(device)));                         \
            return;                                                                                \
        }                                                                                          \
    } while (0)

// ---- Files ----

// Does the file have the tensor, with these bytes?
static bool same_tensor(const hf_safetensors *file, const hf_tensor *tensor)
{
    const hf_tensor *other = hf_safetensors_find(file, tensor->name);
    return other && other->bytes == tensor->bytes &&
           memcmp(other->data, tensor->data, tensor->bytes) == 0;
}

// How many tensors the model file at `path` has, and how many of them the fixture has too, to the bit.
static void count_tensors(const char *path, const char *fixture, size_t *count, size_t *same)
{
    hf_safetensors seen = {0}, expected = {0};
    *count = *same = 0;
    CHECK_OK(hf_safetensors_open(gpu_context(device), path, &seen));
    CHECK_OK(hf_safetensors_open(gpu_context(device), fixture, &expected));
    *count = seen.tensor_count;
    for (size_t i = 0; i < seen.tensor_count; i++)
        *same += same_tensor(&expected, &seen.tensors[i]);
    hf_safetensors_close(&seen);
    hf_safetensors_close(&expected);
}

// Copies a fixture into the folder, without the tensors whose name begins with `left_out`.
static const char *left_out;

static bool leave_out(hf_tensor *tensor, char *name)
{
    (void)tensor;
    return !fixture_starts(name, left_out);
}

static void copy_fixture(const char *fixture, const char *without)
{
    left_out = without;
    fixture_copy(gpu_context(device), fixture, folder, leave_out);
}

// The weights of one tensor of the model, freed with free().
static float *weights_of(const vkb_model *model, const char *name, size_t *count)
{
    for (uint32_t i = 0; i < model->layout.tensor_count; i++) {
        const bert_tensor *t = &model->layout.tensors[i];
        if (strcmp(t->name, name) != 0)
            continue;
        float *values = malloc(t->bytes);
        *count = t->bytes / 4;
        CHECK_INT(gpu_download(device, bert_params_view(&model->weights, t), values), VKB_OK);
        return values;
    }
    CHECK_FAILED("the model has no %s", name);
    *count = 0;
    return NULL;
}

static bool same_weights(const vkb_model *a, const vkb_model *b, const char *name)
{
    size_t count_a, count_b;
    float *values_a = weights_of(a, name, &count_a), *values_b = weights_of(b, name, &count_b);
    bool same = count_a == count_b && memcmp(values_a, values_b, 4 * count_a) == 0;
    free(values_a);
    free(values_b);
    return same;
}

static const char *const pair_names[] = {"bert.pooler.dense.weight", "bert.pooler.dense.bias",
                                         "cls.seq_relationship.weight",
                                         "cls.seq_relationship.bias"};

// ---- Tests ----

// Asked for or not.
TEST(both_heads_come_back_to_the_bit)
{
    const vkb_load_params asked[] = {{0}, {.next_sentence = true, .seed = 5}};
    for (size_t i = 0; i < BASE_COUNT(asked); i++) {
        vkb_model *model = NULL;
        size_t count, same;
        temp_empty(folder);
        CHECK_OK(vkb_model_load(device, "fixtures/pairs", i ? &asked[i] : NULL, &model));
        CHECK(vkb_model_config(model)->next_sentence);
        CHECK_OK(vkb_model_save(model, folder, NULL));
        vkb_model_destroy(&model);
        count_tensors(temp_path(folder, "model.safetensors"), "fixtures/pairs/model.safetensors",
                      &count, &same);
        CHECK_INT(count, 5 + 2 * 16 + 5 + 4);
        CHECK_INT(same, count);
        char *config = temp_read(folder, "config.json", NULL);
        CHECK_HAS(config, "\"BertForPreTraining\"");
        free(config);
    }
}

TEST(a_model_without_the_head_stays_one)
{
    vkb_model *model = NULL;
    size_t count, same;
    temp_empty(folder);
    CHECK_OK(vkb_model_load(device, "fixtures/erf", NULL, &model));
    CHECK(!vkb_model_config(model)->next_sentence);
    CHECK_OK(vkb_model_save(model, folder, NULL));
    vkb_model_destroy(&model);
    count_tensors(temp_path(folder, "model.safetensors"), "fixtures/erf/model.safetensors", &count,
                  &same);
    CHECK_INT(count, 5 + 2 * 16 + 5);
    CHECK_INT(same, count);
    char *config = temp_read(folder, "config.json", NULL);
    CHECK_HAS(config, "\"BertForMaskedLM\"");
    free(config);
}

// Weights N(0, initializer_range), biases 0, by the seed; all else as in the folder.
TEST(a_missing_head_starts_at_random_by_the_seed)
{
    vkb_model *first = NULL, *again = NULL, *other = NULL;
    size_t count, same;
    CHECK_OK(vkb_model_load(device, "fixtures/erf", &(vkb_load_params){true, 7}, &first));
    CHECK_OK(vkb_model_load(device, "fixtures/erf", &(vkb_load_params){true, 7}, &again));
    CHECK_OK(vkb_model_load(device, "fixtures/erf", &(vkb_load_params){true, 8}, &other));
    for (size_t i = 0; i < BASE_COUNT(pair_names); i++) {
        const bool is_bias = strstr(pair_names[i], "bias") != NULL;
        double squares = 0, range = vkb_model_config(first)->initializer_range;
        float *values = weights_of(first, pair_names[i], &count);
        for (size_t k = 0; k < count; k++)
            squares += (double)values[k] * values[k];
        free(values);
        // 64 draws at least: their deviation is within 1 / sqrt(2 * 64) of the true one, by a sigma
        CHECK(is_bias ? squares == 0 : fabs(sqrt(squares / (double)count) / range - 1) < 0.4);
        CHECK(same_weights(first, again, pair_names[i]));
        CHECK(same_weights(first, other, pair_names[i]) == is_bias);
    }
    CHECK_OK(vkb_model_save(first, folder, NULL));
    count_tensors(temp_path(folder, "model.safetensors"), "fixtures/erf/model.safetensors", &count,
                  &same);
    CHECK_INT(same, count - BASE_COUNT(pair_names));
    vkb_model_destroy(&first);
    vkb_model_destroy(&again);
    vkb_model_destroy(&other);
}

// A pooler without its head is nothing to MLM, and half of what next-sentence prediction needs.
TEST(a_pooler_without_its_head_is_kept_when_asked_for)
{
    vkb_model *model = NULL, *whole = NULL;
    copy_fixture("fixtures/pairs", "cls.seq_relationship.");
    CHECK_OK(vkb_model_load(device, folder, NULL, &model));
    CHECK(!vkb_model_config(model)->next_sentence);
    vkb_model_destroy(&model);
    CHECK_OK(vkb_model_load(device, folder, &(vkb_load_params){true, 3}, &model));
    CHECK_OK(vkb_model_load(device, "fixtures/pairs", NULL, &whole));
    for (size_t i = 0; i < BASE_COUNT(pair_names); i++)
        CHECK(same_weights(model, whole, pair_names[i]) == (i < 2));
    vkb_model_destroy(&model);
    vkb_model_destroy(&whole);
}

TEST(a_head_does_not_stand_in_for_what_else_is_missing)
{
    static const char *const fixtures[] = {"fixtures/pairs", "fixtures/erf"};
    for (size_t i = 0; i < BASE_COUNT(fixtures); i++) {
        vkb_model *model = NULL;
        copy_fixture(fixtures[i], "cls.predictions.transform.dense.");
        CHECK_INT(vkb_model_load(device, folder, &(vkb_load_params){true, 3}, &model),
                  VKB_BAD_FILE);
        CHECK_HAS(vkb_error(gpu_context(device)), "2 of the model's 46 tensors are missing: "
                                                  "cls.predictions.transform.dense.weight, "
                                                  "cls.predictions.transform.dense.bias");
        CHECK(!model);
        vkb_model_destroy(&model);
    }
}

// The same seed gives the encoder and the MLM head the same weights, with the other head or without.
TEST(the_other_head_changes_no_draw)
{
    vkb_model *without = NULL, *with = NULL;
    vkb_config config = {0};
    CHECK_OK(vkb_config_read(gpu_context(device), "fixtures/erf/config.json", &config));
    CHECK_OK(vkb_model_create(device, &config, &(vkb_init_params){.seed = 4}, &without));
    config.next_sentence = true;
    CHECK_OK(vkb_model_create(device, &config, &(vkb_init_params){.seed = 4}, &with));
    for (uint32_t i = 0; i < without->layout.tensor_count; i++)
        CHECK(same_weights(without, with, without->layout.tensors[i].name));
    CHECK(vkb_model_parameters(with) - vkb_model_parameters(without) ==
          (config.hidden_size + 3) * (uint64_t)config.hidden_size + 2);
    vkb_model_destroy(&without);
    vkb_model_destroy(&with);
}

// Positions are sinusoids, keys the queries, both as much larger as vkbert.h says.
TEST(a_near_start_is_sinusoids_and_equal_queries_and_keys)
{
    enum { POSITIONS = 8, HIDDEN = 16 };
    vkb_config config = {0};
    CHECK_OK(vkb_config_preset(gpu_context(device), "tiny", &config));
    config.hidden_size = HIDDEN, config.max_position_embeddings = POSITIONS;
    config.num_hidden_layers = 1, config.vocab_size = 60;
    static const struct {
        vkb_init_params params;
        double base, positions, queries;
        bool equal;
    } starts[] = {
        {{.seed = 5}, 0, 1, 1, false},
        {{5, VKB_POSITION_SINUSOIDAL, VKB_KEY_QUERY}, 10000, 1, 1, true},
        {{5, VKB_POSITION_NEAR, VKB_KEY_NEAR}, 100, 2, 1.5, true},
    };
    float *usual = NULL;
    for (size_t s = 0; s < BASE_COUNT(starts); s++) {
        vkb_model *model = NULL;
        size_t count, positions;
        CHECK_OK(vkb_model_create(device, &config, &starts[s].params, &model));
        float *query =
            weights_of(model, "bert.encoder.layer.0.attention.self.query.weight", &count);
        float *key = weights_of(model, "bert.encoder.layer.0.attention.self.key.weight", &count);
        float *position =
            weights_of(model, "bert.embeddings.position_embeddings.weight", &positions);
        if (!usual)
            usual = weights_of(model, "bert.encoder.layer.0.attention.self.query.weight", &count);
        CHECK_INT(count, HIDDEN * HIDDEN);
        CHECK_INT(positions, POSITIONS * HIDDEN);
        CHECK((memcmp(query, key, count * sizeof(*key)) == 0) == starts[s].equal);
        for (size_t i = 0; i < count; i++)
            CHECK_NEAR(query[i], starts[s].queries * usual[i], 1e-6);
        for (size_t i = 0; starts[s].base > 0 && i < positions; i++) {
            const size_t p = i / HIDDEN, d = i % HIDDEN;
            const double angle = (double)p / pow(starts[s].base, (double)(d - d % 2) / HIDDEN);
            CHECK_NEAR(position[i],
                       starts[s].positions * config.initializer_range * sqrt(2) *
                           (d % 2 ? cos(angle) : sin(angle)),
                       1e-6);
        }
        free(query);
        free(key);
        free(position);
        vkb_model_destroy(&model);
    }
    free(usual);
}

// ---- What a model does not use ----

static bool lone_pooler(hf_tensor *tensor, char *name)
{
    (void)tensor;
    return !fixture_starts(name, "cls.seq_relationship.");
}

static bool lone_relation(hf_tensor *tensor, char *name)
{
    (void)tensor;
    return !fixture_starts(name, "bert.pooler.") && strcmp(name, "cls.seq_relationship.bias") != 0;
}

// Half a pair of heads, to the bit, through two folders.
TEST(half_of_the_pair_heads_is_saved_again)
{
    const fixture_edit edits[] = {lone_pooler, lone_relation};
    for (size_t i = 0; i < BASE_COUNT(edits); i++)
        for (int again = 0; again < 2; again++) {
            vkb_model *model = NULL;
            size_t count, same;
            if (!again)
                fixture_copy(gpu_context(device), "fixtures/pairs", folder, edits[i]);
            CHECK_OK(vkb_model_load(device, folder, NULL, &model));
            CHECK_OK(vkb_model_save(model, folder, NULL));
            vkb_model_destroy(&model);
            count_tensors(temp_path(folder, "model.safetensors"),
                          "fixtures/pairs/model.safetensors", &count, &same);
            CHECK_INT(count, 5 + 2 * 16 + 5 + (i ? 1 : 2));
            CHECK_INT(same, count);
            char *config = temp_read(folder, "config.json", NULL);
            CHECK_HAS(config, "\"BertForMaskedLM\"");
            CHECK_HAS(config, "\"transformers_version\""); // not a key of ours
            free(config);
        }
}

// ---- Rounded ----

// Half the bytes, each value that of hf_tensor_from_f32; and the folder opens again.
TEST(saves_in_another_precision)
{
    static const struct {
        vkb_precision precision;
        hf_dtype dtype;
        const char *name;
    } kinds[] = {{VKB_FP16, HF_F16, "\"float16\""}, {VKB_BF16, HF_BF16, "\"bfloat16\""}};
    for (size_t k = 0; k < BASE_COUNT(kinds); k++) {
        vkb_model *model = NULL;
        hf_safetensors seen = {0}, whole = {0};
        fixture_copy(gpu_context(device), "fixtures/pairs", folder, lone_pooler);
        CHECK_OK(vkb_model_load(device, folder, NULL, &model));
        CHECK_OK(vkb_model_save(model, folder, &(vkb_save_params){kinds[k].precision}));
        vkb_model_destroy(&model);
        CHECK_OK(hf_safetensors_open(gpu_context(device), temp_path(folder, "model.safetensors"),
                                     &seen));
        CHECK_OK(
            hf_safetensors_open(gpu_context(device), "fixtures/pairs/model.safetensors", &whole));
        CHECK_INT(seen.tensor_count, 5 + 2 * 16 + 5 + 2);
        for (size_t i = 0; i < seen.tensor_count; i++) {
            const hf_tensor *from = hf_safetensors_find(&whole, seen.tensors[i].name);
            float *values = malloc(from->bytes);
            hf_tensor_to_f32(from, 0, from->count, values);
            CHECK_INT(hf_tensor_from_f32(kinds[k].dtype, values, from->count, values), 0);
            CHECK_INT(seen.tensors[i].dtype, kinds[k].dtype);
            CHECK_INT(seen.tensors[i].bytes, 2 * from->count);
            CHECK(memcmp(seen.tensors[i].data, values, 2 * from->count) == 0);
            free(values);
        }
        hf_safetensors_close(&seen);
        hf_safetensors_close(&whole);
        char *config = temp_read(folder, "config.json", NULL);
        CHECK_HAS(config, kinds[k].name);
        free(config);
        CHECK_OK(vkb_model_load(device, folder, NULL, &model));
        vkb_model_destroy(&model);
    }
}

// ---- A vocabulary that grows ----

// Mean, and mean square about `around` (NULL: about the mean), of a column of the rows first .. last-1.
static double column_mean(const float *rows, uint32_t cols, uint32_t first, uint32_t last,
                          uint32_t c, const double *around)
{
    double sum = 0;
    for (uint32_t r = first; r < last; r++) {
        const double value = rows[(size_t)r * cols + c];
        sum += around ? (value - *around) * (value - *around) : value;
    }
    return sum / (last - first);
}

TEST(new_rows_start_beside_the_mean_of_the_old_ones)
{
    static const char words[] = "bert.embeddings.word_embeddings.weight",
                      bias[] = "cls.predictions.bias";
    enum { OLD = 67, NEW = 400, COLS = 32 };
    vkb_model *model = NULL, *before = NULL, *again = NULL, *other = NULL;
    size_t count;
    CHECK_OK(vkb_model_load(device, "fixtures/erf", NULL, &before));
    CHECK_OK(vkb_model_load(device, "fixtures/erf",
                            &(vkb_load_params){.seed = 3, .vocab_size = OLD + NEW}, &model));
    CHECK_OK(vkb_model_load(device, "fixtures/erf",
                            &(vkb_load_params){.seed = 3, .vocab_size = OLD + NEW}, &again));
    CHECK_OK(vkb_model_load(device, "fixtures/erf",
                            &(vkb_load_params){.seed = 4, .vocab_size = OLD + NEW}, &other));
    CHECK_INT(vkb_model_config(model)->vocab_size, OLD + NEW);
    for (uint32_t i = 0; i < model->layout.tensor_count; i++) {
        const char *name = model->layout.tensors[i].name;
        const bool grown = strcmp(name, words) == 0 || strcmp(name, bias) == 0;
        CHECK(same_weights(model, again, name));
        CHECK(grown || same_weights(model, before, name));
    }
    CHECK(!same_weights(model, other, words));
    float *old_rows = weights_of(before, words, &count), *rows = weights_of(model, words, &count);
    CHECK_INT(count, (OLD + NEW) * COLS);
    CHECK(memcmp(rows, old_rows, OLD * COLS * sizeof(float)) == 0);
    double share = 0;
    for (uint32_t c = 0; c < COLS; c++) {
        const double mean = column_mean(rows, COLS, 0, OLD, c, NULL);
        const double variance = column_mean(rows, COLS, 0, OLD, c, &mean);
        const double distance = column_mean(rows, COLS, OLD, OLD + NEW, c, NULL) - mean;
        CHECK(fabs(distance) < 5 * sqrt(1e-9 * variance / NEW) + 1e-7); // and fp32's rounding
        share += column_mean(rows, COLS, OLD, OLD + NEW, c, &mean) / variance / COLS;
    }
    CHECK(fabs(share / 1e-9 - 1) < 0.2); // 12,800 squares, of which some depend on each other
    float *biases = weights_of(model, bias, &count), *old_biases = weights_of(before, bias, &count);
    CHECK(memcmp(biases, old_biases, OLD * sizeof(float)) == 0);
    for (uint32_t i = OLD; i < OLD + NEW; i++)
        CHECK(biases[i] == 0);
    free(rows);
    free(old_rows);
    free(biases);
    free(old_biases);
    CHECK_OK(vkb_model_save(model, folder, NULL));
    vkb_model_destroy(&model);
    CHECK_OK(vkb_model_load(device, folder, &(vkb_load_params){.vocab_size = 5}, &model));
    CHECK_INT(vkb_model_config(model)->vocab_size, OLD + NEW); // fewer: as it is
    CHECK(same_weights(model, again, words) && same_weights(model, again, bias));
    vkb_model_destroy(&model);
    vkb_model_destroy(&before);
    vkb_model_destroy(&again);
    vkb_model_destroy(&other);
}

// ---- A bare BertModel ----

TEST(a_bare_model_is_refused_unless_a_head_is_asked_for)
{
    static const char *const head[] = {
        "cls.predictions.transform.dense.weight", "cls.predictions.transform.dense.bias",
        "cls.predictions.transform.LayerNorm.weight", "cls.predictions.transform.LayerNorm.bias",
        "cls.predictions.bias"};
    const vkb_load_params asked = {.masked_lm = true, .seed = 3};
    vkb_model *model = NULL, *again = NULL, *whole = NULL;
    fixture_copy(gpu_context(device), "fixtures/pairs", folder, fixture_bare);
    CHECK_INT(vkb_model_load(device, folder, NULL, &model), VKB_BAD_FILE);
    CHECK_HAS(vkb_error(gpu_context(device)), "model.safetensors: has no MLM head");
    CHECK(!model);
    CHECK_OK(vkb_model_load(device, folder, &asked, &model));
    CHECK_OK(vkb_model_load(device, folder, &asked, &again));
    CHECK_OK(vkb_model_load(device, "fixtures/pairs", NULL, &whole));
    CHECK(!vkb_model_config(model)->next_sentence); // its pooler has no head
    for (uint32_t i = 0; i < model->layout.tensor_count; i++) {
        const char *name = model->layout.tensors[i].name;
        bool of_head = false;
        for (size_t k = 0; k < BASE_COUNT(head); k++)
            of_head = of_head || strcmp(name, head[k]) == 0;
        CHECK(same_weights(model, again, name));
        CHECK(of_head || same_weights(model, whole, name));
    }
    size_t count;
    float *drawn = weights_of(model, head[0], &count), *gain = weights_of(model, head[2], &count);
    CHECK(drawn[0] != 0 && drawn[0] != drawn[1]);
    CHECK(gain[0] == 1);
    free(drawn);
    free(gain);
    vkb_model_destroy(&model);
    vkb_model_destroy(&again);
    vkb_model_destroy(&whole);
}

static void run_all(vkb_device *dev)
{
    device = dev;
    RUN(both_heads_come_back_to_the_bit);
    RUN(a_model_without_the_head_stays_one);
    RUN(a_missing_head_starts_at_random_by_the_seed);
    RUN(a_pooler_without_its_head_is_kept_when_asked_for);
    RUN(a_head_does_not_stand_in_for_what_else_is_missing);
    RUN(the_other_head_changes_no_draw);
    RUN(a_near_start_is_sinusoids_and_equal_queries_and_keys);
    RUN(half_of_the_pair_heads_is_saved_again);
    RUN(saves_in_another_precision);
    RUN(new_rows_start_beside_the_mean_of_the_old_ones);
    RUN(a_bare_model_is_refused_unless_a_head_is_asked_for);
}

int main(void)
{
    folder = temp_folder();
    int devices = devices_run(run_all);
    temp_remove(folder);
    return devices ? check_report() : 77;
}
