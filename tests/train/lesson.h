// A small lesson: a text, its tokenizer and data set, and a model of it on a device.
#ifndef VKB_TESTS_TRAIN_LESSON_H
#define VKB_TESTS_TRAIN_LESSON_H

#include "bert/bert.h"
#include "check.h"
#include "devices.h"
#include "temp.h"
#include "text/dataset.h"
#include "train/trainer.h"

#include <stdlib.h>

static vkb_device *device;

#define CHECK_OK(expr)                                                                             \
    do {                                                                                           \
        if ((expr) != VKB_OK) {                                                                    \
            CHECK_FAILED("%s: %s", #expr, vkb_error(gpu_context(device)));                         \
            exit(check_report());                                                                  \
        }                                                                                          \
    } while (0)

typedef struct lesson {
    char *folder;
    vkb_tokenizer *tok;
    vkb_dataset *data;
    vkb_config config;
    vkb_model *model;
} lesson;

// Sentences in which words follow from others: the sound from the animal.
static inline void lesson_text(char *text, size_t room, int lines)
{
    static const char *const animals[] = {"cat", "dog", "horse", "mouse", "eagle", "salmon", "bee"};
    static const char *const sounds[] = {"purrs",   "barks",    "neighs", "squeaks",
                                         "screams", "splashes", "hums"};
    static const char *const places[] = {"garden", "kitchen", "forest", "river", "house"};
    size_t used = 0;
    for (int i = 0; i < lines; i++) {
        int animal = (i * 5 + i / 7) % 7, place = (i * 3 + i / 5) % 5;
        used += (size_t)snprintf(text + used, room - used, "the %s in the %s %s when it is %d.\n",
                                 animals[animal], places[place], sounds[animal], i % 13);
    }
}

// A tokenizer and rows of a text, and a small config for them.
static inline lesson lesson_of(const char *text, uint32_t length, vkb_rows kind)
{
    lesson l = {.folder = temp_folder()};
    temp_write_text(l.folder, "text.txt", text);
    const char *file = temp_path(l.folder, "text.txt");
    const vkb_vocab_params vocab = {.vocab_size = 400};
    const vkb_text_source source = {.paths = &file, .path_count = 1};
    const vkb_dataset_params rows = {
        .max_seq_length = length,
        .rows = kind,
        .seed = 5,
        .cache_folder = l.folder,
    };
    CHECK_OK(vkb_tokenizer_train(gpu_context(device), &source, &vocab, &l.tok));
    CHECK_OK(vkb_dataset_load(l.tok, &source, &rows, &l.data, NULL));
    CHECK_OK(vkb_config_preset(gpu_context(device), "tiny", &l.config));
    l.config.vocab_size = vkb_tokenizer_size(l.tok);
    l.config.hidden_size = 32;
    l.config.intermediate_size = 64;
    l.config.num_attention_heads = 2;
    l.config.max_position_embeddings = 64;
    l.config.hidden_dropout_prob = l.config.attention_probs_dropout_prob = 0;
    return l;
}

static inline lesson lesson_open(uint32_t length, bool line_by_line, int lines)
{
    static char text[1 << 16];
    lesson_text(text, sizeof(text), lines);
    return lesson_of(text, length, line_by_line ? VKB_ROWS_LINES : VKB_ROWS_GROUPED);
}

static inline void lesson_model(lesson *l)
{
    vkb_model_destroy(&l->model);
    CHECK_OK(vkb_model_create(device, &l->config, &(vkb_init_params){.seed = 7}, &l->model));
}

static inline void lesson_close(lesson *l)
{
    vkb_model_destroy(&l->model);
    vkb_dataset_destroy(&l->data);
    vkb_tokenizer_destroy(&l->tok);
    temp_remove(l->folder);
}

static inline vkb_trainer *lesson_trainer(lesson *l, const vkb_train_params *params)
{
    vkb_trainer *trainer = NULL;
    CHECK_OK(vkb_trainer_create(l->model, l->tok, l->data, params, &trainer));
    return trainer;
}

// Steps until `steps` are done in all, or the run ends; metrics of the last.
static inline vkb_metrics lesson_steps(vkb_trainer *trainer, uint64_t steps)
{
    vkb_metrics metrics = {0};
    bool done = false;
    for (uint64_t i = trainer->at.step; i < steps && !done; i++)
        CHECK_OK(vkb_train_step(trainer, NULL, &done));
    CHECK_OK(vkb_trainer_finish(trainer, &metrics));
    return metrics;
}

// All weights, [model->layout.elements], freed with free().
static inline float *lesson_weights(const lesson *l)
{
    float *all = malloc(l->model->layout.elements * sizeof(*all)), *at = all;
    for (uint32_t i = 0; i < l->model->layout.tensor_count; i++) {
        const bert_tensor *t = &l->model->layout.tensors[i];
        CHECK_OK(gpu_download(device, bert_params_view(&l->model->weights, t), at));
        at += t->bytes / 4;
    }
    return all;
}

// The weights of a fresh model after so many steps.
static inline float *lesson_weights_after(lesson *l, const vkb_train_params *params, uint64_t steps)
{
    lesson_model(l);
    vkb_trainer *trainer = lesson_trainer(l, params);
    lesson_steps(trainer, steps);
    vkb_trainer_destroy(&trainer);
    return lesson_weights(l);
}

// The same of a run that is saved after `saved` steps, and resumed from what was saved.
static inline float *lesson_weights_resumed(lesson *l, const vkb_train_params *params,
                                            uint64_t saved, uint64_t steps)
{
    lesson_model(l);
    vkb_trainer *trainer = lesson_trainer(l, params);
    lesson_steps(trainer, saved);
    CHECK_OK(vkb_model_save(l->model, l->folder, NULL));
    CHECK_OK(vkb_trainer_save(trainer, l->folder));
    vkb_trainer_destroy(&trainer);
    vkb_model_destroy(&l->model);
    CHECK_OK(vkb_model_load(device, l->folder, NULL, &l->model));
    trainer = lesson_trainer(l, params);
    CHECK_OK(vkb_trainer_resume(trainer, l->folder));
    CHECK_INT(lesson_steps(trainer, steps).step, steps);
    vkb_trainer_destroy(&trainer);
    return lesson_weights(l);
}

static inline double lesson_loss(const lesson *l, double probability)
{
    vkb_eval_result result;
    const vkb_eval_params params = {
        .mask = {.mlm_probability = probability, .mask_replace_prob = 1, .random_replace_prob = -1},
        .seed = 3,
    };
    CHECK_OK(vkb_evaluate(l->model, l->tok, l->data, &params, &result));
    return result.loss;
}

#endif
