// libFuzzer: any bytes as a file of each format (the first byte chooses it, and the size of a batch).
// Texts come out inside their batch, in the order of their lines, or one sentence says why not.
#include "base/file.h"
#include "text/corpus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const names[] = {"text.txt", "text.csv", "text.tsv", "text.jsonl", "text.json"};

// In memory where the system has such a folder.
static const char *path_of(size_t format)
{
    static char paths[BASE_COUNT(names)][128];
    if (!paths[format][0])
        snprintf(paths[format], sizeof(paths[format]), "%s/vkbert-fuzz-%ld-%s",
                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (long)getpid(),
                 names[format]);
    return paths[format];
}

static void remove_files(void)
{
    for (size_t i = 0; i < BASE_COUNT(names); i++)
        unlink(path_of(i));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static vkb_context *ctx;
    if (bytes == 0)
        return 0;
    if (!ctx) {
        ctx = vkb_context_create(NULL, NULL);
        atexit(remove_files);
    }
    const char *path = path_of(data[0] % BASE_COUNT(names));
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data + 1, 1, bytes - 1, file) != bytes - 1 || fclose(file) != 0)
        abort();
    const vkb_text_source source = {
        .paths = &path,
        .path_count = 1,
        .text_column = data[0] & 64 ? "b" : NULL,
        .drop_duplicates = data[0] & 128,
    };
    corpus *c = NULL;
    corpus_batch batch = {0};
    uint64_t line = 0;
    vkb_status status = corpus_open(ctx, &source, &c);
    do {
        if (status == VKB_OK)
            status = corpus_read(c, data[0] & 32 ? 1 : 1 << 16, &batch);
        for (size_t i = 0; status == VKB_OK && i < batch.count; i++) {
            const corpus_text *text = &batch.at[i];
            if (text->at < batch.bytes || text->at + text->bytes > batch.bytes + batch.used ||
                text->line < line)
                abort();
            line = text->line;
        }
    } while (status == VKB_OK && batch.count);
    if (status != VKB_OK && status != VKB_BAD_FILE)
        abort();
    corpus_batch_free(&batch);
    corpus_close(&c);
    return 0;
}
