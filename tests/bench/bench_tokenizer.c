// Throughput of the tokenizer on text that is in memory, a text a line.
//
//     bench_tokenizer MODEL TEXT... [--threads N]
//
// A line a figure: what, threads, MB/s (10^6 bytes of text, the median of the repetitions), tokens.
//   ids     vkb_encode_batch: ids with special tokens
//   tokens  vkb_encode: ids, types, places, words; one thread
#include "vkbert.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { REPETITIONS = 5 };

typedef struct texts {
    char *data;
    size_t bytes;
    const char **at;
    size_t *lengths, count;
} texts;

static double now(void)
{
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *seconds)
{
    qsort(seconds, REPETITIONS, sizeof(*seconds), ascending);
    return seconds[REPETITIONS / 2];
}

static void must(vkb_context *ctx, vkb_status status)
{
    if (status == VKB_OK)
        return;
    fprintf(stderr, "bench_tokenizer: %s\n", vkb_error(ctx));
    exit(1);
}

static void *grown(void *memory, size_t bytes)
{
    memory = realloc(memory, bytes);
    if (!memory) {
        fprintf(stderr, "bench_tokenizer: out of memory\n");
        exit(1);
    }
    return memory;
}

static void read_file(texts *t, const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        fprintf(stderr, "bench_tokenizer: %s cannot be read\n", path);
        exit(1);
    }
    for (size_t got = 1; got;) {
        t->data = grown(t->data, t->bytes + (1 << 20) + 1);
        got = fread(t->data + t->bytes, 1, 1 << 20, file);
        t->bytes += got;
    }
    fclose(file);
}

static void split(texts *t)
{
    size_t room = 0;
    for (size_t at = 0; at < t->bytes;) {
        if (t->count == room) {
            room = room ? room * 2 : 4096;
            t->at = grown(t->at, room * sizeof(*t->at));
            t->lengths = grown(t->lengths, room * sizeof(*t->lengths));
        }
        const char *end = memchr(t->data + at, '\n', t->bytes - at);
        const size_t length = end ? (size_t)(end - t->data) - at : t->bytes - at;
        t->at[t->count] = t->data + at;
        t->lengths[t->count++] = length;
        at += length + 1;
    }
}

static void ids_report(vkb_context *ctx, const vkb_tokenizer *tok, const texts *t, uint32_t threads)
{
    double seconds[REPETITIONS];
    size_t tokens = 0;
    for (int r = 0; r < REPETITIONS; r++) {
        uint32_t *ids;
        size_t *starts;
        const double from = now();
        must(ctx,
             vkb_encode_batch(tok, t->at, t->lengths, t->count, false, threads, &ids, &starts));
        seconds[r] = now() - from;
        tokens = starts[t->count];
        free(ids);
        free(starts);
    }
    printf("ids %" PRIu32 " %.2f %zu\n", threads, 1e-6 * (double)t->bytes / median(seconds),
           tokens);
}

static void tokens_report(vkb_context *ctx, const vkb_tokenizer *tok, const texts *t)
{
    double seconds[REPETITIONS];
    size_t count = 0;
    vkb_tokens tokens = {0};
    for (int r = 0; r < REPETITIONS; r++) {
        const double from = now();
        count = 0;
        for (size_t i = 0; i < t->count; i++) {
            must(ctx, vkb_encode(tok, t->at[i], t->lengths[i], NULL, 0, NULL, &tokens));
            count += tokens.count;
        }
        seconds[r] = now() - from;
    }
    vkb_tokens_free(&tokens);
    printf("tokens 1 %.2f %zu\n", 1e-6 * (double)t->bytes / median(seconds), count);
}

int main(int argc, char **argv)
{
    uint32_t threads = 0;
    texts t = {0};
    vkb_context *ctx = vkb_context_create(NULL, NULL);
    vkb_tokenizer *tok = NULL;
    if (argc < 3) {
        fprintf(stderr, "usage: bench_tokenizer MODEL TEXT... [--threads N]\n");
        return 2;
    }
    must(ctx, vkb_tokenizer_load(ctx, argv[1], &tok));
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc)
            threads = (uint32_t)strtoul(argv[++i], NULL, 10);
        else
            read_file(&t, argv[i]);
    }
    split(&t);
    ids_report(ctx, tok, &t, 1);
    if (threads > 1)
        ids_report(ctx, tok, &t, threads);
    tokens_report(ctx, tok, &t);
    free(t.data);
    free(t.at);
    free(t.lengths);
    vkb_tokenizer_destroy(&tok);
    vkb_context_destroy(&ctx);
    return 0;
}
