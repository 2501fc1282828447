// libFuzzer: any bytes as a token cache whose checksums are right, so that what lies behind them is
// reached: tables out of order, ids beyond the vocabulary, numbers that cannot be. Everything is read, or
// refused with a sentence.
#include "text/token_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { VOCAB = 40 };

static char path[128];

static void remove_file(void)
{
    unlink(path);
}

// Puts the sums right when the end's numbers fit the size.
static void mend(uint8_t *data, size_t bytes)
{
    token_store_end end;
    token_store_parts at;
    memcpy(&end, data + bytes - sizeof(end), sizeof(end));
    memcpy(end.magic, TOKEN_STORE_MAGIC, sizeof(end.magic));
    end.endian = TOKEN_STORE_ENDIAN;
    end.vocab_size = VOCAB;
    end.zero = 0;
    if (token_store_lay_out(&end, &at) && at.bytes == bytes) {
        memset(data + at.sums, 0, at.end - at.sums);
        for (uint64_t b = 0; b * TOKEN_STORE_BLOCK < at.sums; b++) {
            const uint64_t rest = at.sums - b * TOKEN_STORE_BLOCK;
            const uint32_t sum =
                (uint32_t)crc32(crc32(0, NULL, 0), data + b * TOKEN_STORE_BLOCK,
                                (uInt)(rest < TOKEN_STORE_BLOCK ? rest : TOKEN_STORE_BLOCK));
            memcpy(data + at.sums + 4 * b, &sum, 4);
        }
        const uint64_t sums = (at.sums + TOKEN_STORE_BLOCK - 1) / TOKEN_STORE_BLOCK * 4;
        uLong sum = crc32(crc32(0, NULL, 0), data + at.sums, (uInt)sums);
        end.sum = (uint32_t)crc32(sum, (const Bytef *)&end, offsetof(token_store_end, sum));
    }
    memcpy(data + bytes - sizeof(end), &end, sizeof(end));
}

static vkb_status read_all(token_store *store)
{
    vkb_status status = VKB_OK;
    for (uint64_t t = 0; t < token_store_texts(store) && status == VKB_OK; t++) {
        uint64_t begin, count;
        uint32_t ids[16];
        status = token_store_text(store, t, &begin, &count);
        if (status == VKB_OK)
            status = token_store_read(store, begin, count < 16 ? count : 16, ids);
        for (uint64_t i = 0; status == VKB_OK && i < count && i < 16; i++)
            if (ids[i] >= VOCAB)
                abort();
    }
    for (uint64_t d = 0; d < token_store_documents(store) && status == VKB_OK; d++) {
        uint64_t begin, end;
        status = token_store_document(store, d, &begin, &end);
        if (status == VKB_OK && (begin > end || end > token_store_texts(store)))
            abort();
    }
    for (uint32_t id = 0; id < VOCAB && status == VKB_OK; id++)
        status = token_store_count_of(store, id, &(uint64_t){0});
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static vkb_context *ctx;
    if (!ctx) {
        ctx = vkb_context_create(NULL, NULL);
        snprintf(path, sizeof(path), "%s/vkbert-fuzz-%ld.tokens",
                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (long)getpid());
        atexit(remove_file);
    }
    uint8_t *copy = malloc(bytes + 1);
    memcpy(copy, data, bytes);
    if (bytes >= sizeof(token_store_end))
        mend(copy, bytes);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(copy, 1, bytes, file) != bytes || fclose(file) != 0)
        abort();
    free(copy);
    token_store *store = NULL;
    vkb_status status = token_store_open(ctx, path, NULL, VOCAB, &store);
    if (status == VKB_OK)
        status = read_all(store);
    if (status != VKB_OK && status != VKB_BAD_FILE)
        abort();
    token_store_close(&store);
    return 0;
}
