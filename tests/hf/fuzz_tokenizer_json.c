// libFuzzer: any bytes as tokenizer.json. What is read can be written, and is then read as the
// same. Built and run as fuzz_safetensors.
#include "tests/temp.h"

#include "hf/tokenizer_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same_piece(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : !a && !b;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static vkb_context *ctx;
    static char *folder;
    if (!ctx) {
        ctx = vkb_context_create(NULL, NULL);
        folder = temp_folder();
    }
    hf_tokenizer tok, again;
    temp_empty(folder);
    temp_write(folder, "tokenizer.json", data, size);
    if (hf_tokenizer_read(ctx, folder, &tok) != VKB_OK)
        return 0;
    if (hf_tokenizer_write(ctx, folder, &tok) != VKB_OK ||
        hf_tokenizer_read(ctx, folder, &again) != VKB_OK) {
        fprintf(stderr, "%s\n", vkb_error(ctx));
        abort();
    }
    bool same = tok.piece_count == again.piece_count && tok.added_count == again.added_count;
    for (uint32_t id = 0; id < tok.piece_count && same; id++)
        same = same_piece(tok.pieces[id], again.pieces[id]);
    if (!same)
        abort();
    hf_tokenizer_free(&tok);
    hf_tokenizer_free(&again);
    return 0;
}
