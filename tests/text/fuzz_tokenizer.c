// libFuzzer: any bytes as a text (the first byte holds the normaliser's switches), on a vocabulary
// that has short pieces of several scripts. What comes out must be ids of the vocabulary, at places
// inside the text, in order.
#include "text/tokenizer.h"

#include <stdlib.h>

static char *const pieces[] = {
    "[PAD]", "[UNK]", "[CLS]", "[SEP]",    "[MASK]",     "a",     "##a",          "ab",
    "##b",   "b",     "'",     "\xC3\xA9", "##\xC3\xA9", "added", "\xE5\x8D\x9A", "##\xCC\x81",
};

static hf_tokenizer describe(uint8_t switches)
{
    uint32_t count = BASE_COUNT(pieces);
    hf_tokenizer files = {
        .pieces = calloc(count, sizeof(char *)),
        .piece_count = count,
        .added = calloc(6, sizeof(hf_added_token)),
        .added_count = 6,
        .lowercase = switches & 1,
        .clean_text = switches & 2,
        .handle_chinese_chars = switches & 4,
        .strip_accents = (switches & 8) != 0,
        .max_input_chars_per_word = 100,
        .unk_token = strdup("[UNK]"),
        .cls_token = strdup("[CLS]"),
        .sep_token = strdup("[SEP]"),
        .pad_token = strdup("[PAD]"),
        .mask_token = strdup("[MASK]"),
    };
    for (uint32_t id = 0; id < count; id++)
        files.pieces[id] = strdup(pieces[id]);
    for (uint32_t id = 0; id < 5; id++)
        files.added[id] = (hf_added_token){strdup(pieces[id]), id, .special = true};
    files.added[5] = (hf_added_token){.content = strdup("added"),
                                      .id = 13,
                                      .single_word = switches & 16,
                                      .lstrip = switches & 32,
                                      .rstrip = switches & 64,
                                      .normalized = switches & 128};
    return files;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static vkb_context *ctx;
    static vkb_tokenizer *tokenizers[256];
    if (bytes == 0)
        return 0;
    if (!ctx)
        ctx = vkb_context_create(NULL, NULL);
    vkb_tokenizer **tok = &tokenizers[data[0]];
    if (!*tok) {
        hf_tokenizer files = describe(data[0]);
        if (tokenizer_create(ctx, &files, "fuzz", tok) != VKB_OK)
            abort();
    }
    vkb_tokens tokens = {0};
    if (vkb_encode(*tok, (const char *)data + 1, bytes - 1, NULL, 0, &(vkb_encode_params){.no_special_tokens = true}, &tokens) != VKB_OK)
        abort();
    uint32_t *ids = malloc((tokens.count + 1) * sizeof(*ids));
    for (size_t i = 0; i < tokens.count; i++) {
        const vkb_token *token = &tokens.at[i];
        if (!vkb_tokenizer_piece(*tok, token->id) || token->begin >= token->end ||
            token->end > bytes - 1)
            abort();
        ids[i] = token->id;
    }
    char *text = NULL;
    if (vkb_decode(*tok, ids, tokens.count, data[0] & 1, &text) != VKB_OK)
        abort();
    free(text);
    free(ids);
    vkb_tokens_free(&tokens);
    return 0;
}
