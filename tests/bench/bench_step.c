// Speed of a whole training step, and where its time goes.
//
//     bench_step [DEVICE [LAYERS HIDDEN BATCH LENGTH VOCAB [STEPS]]]      4 256 16 128 30522 10
//
// Random rows without padding, 15 % masked 80/10/10, the head on masked rows only, dropout 0.1,
// gradient norm clipped, AdamW: the work that tools/compare_pytorch.py gives to PyTorch. Prints the
// median step of an untimed stream, then the share of each kernel in a timed one.
#include "bert/bert.h"
#include "train/pace.h"
#include "train/trainer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct bench {
    vkb_context *ctx;
    vkb_device *dev;
    vkb_model *model;
    bert_params grads, exp_avg, exp_avg_sq;
    bert_acts acts;
    gpu_buffer *step, *step_out, *raw_ids, *examples;
    bert_run run;
} bench;

static void must(const bench *b, vkb_status status)
{
    if (status == VKB_OK)
        return;
    fprintf(stderr, "bench_step: %s\n", vkb_error(b->ctx));
    exit(vkb_exit_code(status));
}

static void record_step(gpu_stream *s, void *user)
{
    const bench *b = user;
    const vkb_mask_params masks = {
        .mlm_probability = 0.15, .mask_replace_prob = 0.8, .random_replace_prob = 0.1};
    const train_inputs inputs = {
        .dev = b->dev,
        .acts = &b->acts,
        .step = b->step,
        .raw_ids = b->raw_ids,
        .examples = b->examples,
        .continues = b->examples, // only read for whole words
        .special = {.pad = 0, .cls = 1, .sep = 2, .unk = 3, .mask = 4},
        .vocab_size = b->run.config->vocab_size,
    };
    const bert_adamw adamw = {0.9f, 0.999f, 1e-8f, 0.01f};
    gpu_fill(s, gpu_whole(b->step_out), 0);
    train_draw(s, &inputs, &masks, VKB_OBJECTIVE_MLM, b->run.step_out);
    bert_forward(s, &b->run);
    bert_head_forward(s, &b->run);
    bert_loss(s, &b->run, true);
    bert_backward(s, &b->run);
    bert_update(s, &b->run, &b->model->layout, &b->exp_avg, &b->exp_avg_sq, &adamw);
}

static void upload_words(const bench *b, gpu_view to, uint32_t (*word)(uint32_t i, uint32_t with),
                         uint32_t with)
{
    uint32_t *words = malloc(to.bytes);
    for (uint32_t i = 0; i < to.bytes / 4; i++)
        words[i] = word(i, with);
    must(b, gpu_upload(b->dev, to, words));
    free(words);
}

static uint32_t word_same(uint32_t i, uint32_t with)
{
    (void)i;
    return with;
}

static uint32_t word_position(uint32_t i, uint32_t with)
{
    return i % with;
}

// A Weyl sequence: all ids, none more than another.
static uint32_t word_random(uint32_t i, uint32_t with)
{
    return 5 + (i * 2654435769u >> 7) % (with - 5);
}

static void open_all(bench *b, const char *device, vkb_config *config, bert_shape shape)
{
    const uint64_t tokens = 4ull * shape.rows * shape.length;
    const uint32_t layers = config->num_hidden_layers;
    b->ctx = vkb_context_create(NULL, NULL);
    must(b, vkb_device_open(b->ctx, &(vkb_device_params){.select = device}, &b->dev));
    must(b, vkb_model_create(b->dev, config, &(vkb_init_params){.seed = 1}, &b->model));
    const bert_layout *layout = &b->model->layout;
    must(b, bert_params_create(b->dev, layout, layers, "gradients", &b->grads));
    must(b, bert_params_create(b->dev, layout, layers, "exp_avg", &b->exp_avg));
    must(b, bert_params_create(b->dev, layout, layers, "exp_avg_sq", &b->exp_avg_sq));
    must(b, bert_acts_create(b->dev, config, shape, &b->acts));
    must(b, gpu_buffer_create(b->dev, "step", sizeof(struct step_in), GPU_LOCAL, &b->step));
    must(b, gpu_buffer_create(b->dev, "out", sizeof(struct step_out), GPU_LOCAL, &b->step_out));
    must(b, gpu_buffer_create(b->dev, "raw ids", tokens, GPU_LOCAL, &b->raw_ids));
    must(b, gpu_buffer_create(b->dev, "examples", 4ull * shape.rows, GPU_LOCAL, &b->examples));
    b->run = (bert_run){.config = &b->model->config,
                        .weights = &b->model->weights,
                        .grads = &b->grads,
                        .acts = &b->acts,
                        .step = gpu_whole(b->step),
                        .step_out = gpu_whole(b->step_out),
                        .dropout = true};
    const struct step_in step = {1, 2, 3, 0, 1e-4f, 0.1f, 0.001f, 1.0f};
    must(b, gpu_upload(b->dev, gpu_whole(b->step), &step));
    upload_words(b, gpu_whole(b->raw_ids), word_random, config->vocab_size);
    upload_words(b, gpu_whole(b->examples), word_position, shape.rows);
    upload_words(b, b->acts.types, word_same, 0);
    upload_words(b, b->acts.segments, word_same, 1);
    upload_words(b, b->acts.positions, word_position, shape.length);
}

static void close_all(bench *b)
{
    bert_params_free(&b->grads);
    bert_params_free(&b->exp_avg);
    bert_params_free(&b->exp_avg_sq);
    bert_acts_free(&b->acts);
    gpu_buffer_destroy(&b->step);
    gpu_buffer_destroy(&b->step_out);
    gpu_buffer_destroy(&b->raw_ids);
    gpu_buffer_destroy(&b->examples);
    vkb_model_destroy(&b->model);
    vkb_device_close(&b->dev);
    vkb_context_destroy(&b->ctx);
}

static double submit_and_wait(const bench *b, gpu_stream *stream)
{
    uint64_t ticket;
    const double start = train_clock();
    must(b, gpu_submit(b->dev, &stream, 1, &ticket));
    must(b, gpu_wait(b->dev, ticket));
    return train_clock() - start;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef struct share {
    double seconds, flops;
    uint32_t runs;
    gpu_kernel kernel;
} share;

static int by_seconds(const void *a, const void *b)
{
    return by_value(&((const share *)b)->seconds, &((const share *)a)->seconds);
}

static void print_shares(const bench *b, gpu_stream *timed)
{
    const gpu_time *times;
    size_t count;
    double total = 0;
    share shares[GPU_KERNEL_COUNT] = {0};
    submit_and_wait(b, timed);
    submit_and_wait(b, timed);
    must(b, gpu_times(timed, &times, &count));
    for (size_t i = 0; i < count; i++) {
        share *s = &shares[times[i].kernel];
        s->kernel = times[i].kernel;
        s->seconds += times[i].seconds;
        s->flops += times[i].flops;
        s->runs++;
        total += times[i].seconds;
    }
    qsort(shares, GPU_KERNEL_COUNT, sizeof(*shares), by_seconds);
    for (size_t i = 0; i < GPU_KERNEL_COUNT && shares[i].runs; i++)
        printf("  %-20s %5u runs  %9.3f ms  %5.1f %%  %8.1f GFLOP/s\n",
               gpu_kernel_name(shares[i].kernel), shares[i].runs, 1e3 * shares[i].seconds,
               100 * shares[i].seconds / total, 1e-9 * shares[i].flops / shares[i].seconds);
}

int main(int argc, char **argv)
{
    uint32_t numbers[] = {4, 256, 16, 128, 30522, 10};
    for (int i = 2; i < argc && i - 2 < (int)BASE_COUNT(numbers); i++)
        numbers[i - 2] = (uint32_t)strtoul(argv[i], NULL, 10);
    const uint32_t layers = numbers[0], hidden = numbers[1], rows = numbers[2];
    const uint32_t length = numbers[3], steps = numbers[5];
    vkb_config config = {
        .vocab_size = numbers[4],
        .hidden_size = hidden,
        .num_hidden_layers = layers,
        .num_attention_heads = hidden / 64 ? hidden / 64 : 1,
        .intermediate_size = 4 * hidden,
        .max_position_embeddings = 512,
        .type_vocab_size = 2,
        .hidden_dropout_prob = 0.1f,
        .attention_probs_dropout_prob = 0.1f,
        .initializer_range = 0.02f,
        .layer_norm_eps = 1e-12f,
    };
    const bert_shape shape = {rows, length, op_mask_capacity(rows * length, 0.15, false), true};

    bench b = {0};
    gpu_stream *stream = NULL, *timed = NULL;
    open_all(&b, argc > 1 ? argv[1] : NULL, &config, shape);
    must(&b, gpu_record(b.dev, "step", false, record_step, &b, &stream));
    must(&b, gpu_record(b.dev, "timed step", true, record_step, &b, &timed));
    submit_and_wait(&b, stream);
    double *seconds = calloc(steps, sizeof(*seconds));
    for (uint32_t i = 0; i < steps; i++)
        seconds[i] = submit_and_wait(&b, stream);
    qsort(seconds, steps, sizeof(*seconds), by_value);
    const vkb_device_info *info = vkb_device_get_info(b.dev);
    printf("%s, %s\n", info->name, info->driver);
    printf("%u layers, hidden %u, batch %u x %u, vocabulary %u\n", layers, hidden, rows, length,
           config.vocab_size);
    printf("step %.1f ms (median of %u), %.2f sequences/s\n", 1e3 * seconds[steps / 2], steps,
           rows / seconds[steps / 2]);
    print_shares(&b, timed);
    free(seconds);
    gpu_stream_destroy(&stream);
    gpu_stream_destroy(&timed);
    close_all(&b);
    return 0;
}
