// libFuzzer: any bytes as a text or a pair, on a vocabulary that has short pieces of several scripts.
// The first byte holds the normaliser's switches, the second truncation, stride and padding. What comes
// out must be ids of the vocabulary, at places inside the text, in rows as long as asked for; the fast
// path must give the ids of the other.
#include "text/encode.h"
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
static void check_row(const vkb_tokenizer *tok, const vkb_tokens *row,
                      const vkb_encode_params *params, size_t first, size_t second)
{
    if (params->max_length && row->count > params->max_length && row->count > params->pad_to)
        abort();
    for (size_t i = 0; i < row->count; i++) {
        const vkb_token *token = &row->at[i];
        const size_t most = token->type ? second : first;
        if (!vkb_tokenizer_piece(tok, token->id))
            abort();
        if (!token->special && (token->begin >= token->end || token->end > most))
            abort();
    }
}

// Both ways through the encoder, and the way back.
static void encode_text(const vkb_tokenizer *tok, text_encoder *encoder, const char *text,
                        size_t bytes, bool skip_special)
{
    vkb_tokens tokens = {0};
    text_ids ids = {0};
    char *decoded = NULL;
    if (vkb_encode(tok, text, bytes, NULL, 0, &(vkb_encode_params){.no_special_tokens = true},
                   &tokens) != VKB_OK ||
        !text_encode_ids(encoder, text, bytes, &ids) || ids.count != tokens.count)
        abort();
    for (size_t i = 0; i < ids.count; i++)
        if (ids.at[i] != tokens.at[i].id)
            abort();
    check_row(tok, &tokens, &(vkb_encode_params){0}, bytes, 0);
    if (vkb_decode(tok, ids.at, ids.count, skip_special, &decoded) != VKB_OK)
        abort();
    free(decoded);
    free(ids.at);
    vkb_tokens_free(&tokens);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static vkb_context *ctx;
    static vkb_tokenizer *tokenizers[256];
    static text_encoder *encoders[256]; // with what they remember of other texts
    if (bytes < 2)
        return 0;
    if (!ctx)
        ctx = vkb_context_create(NULL, NULL);
    vkb_tokenizer **tok = &tokenizers[data[0]];
    if (!*tok) {
        hf_tokenizer files = describe(data[0]);
        if (tokenizer_create(ctx, &files, "fuzz", tok) != VKB_OK)
            abort();
        encoders[data[0]] = text_encoder_create(*tok);
        if (!encoders[data[0]])
            abort();
    }
    const char *text = (const char *)data + 2, *tab = memchr(text, '\t', bytes - 2);
    const size_t first = tab ? (size_t)(tab - text) : bytes - 2;
    const size_t second = tab ? bytes - 3 - first : 0;
    encode_text(*tok, encoders[data[0]], text, first, data[0] & 1);

    const uint8_t p = data[1];
    const vkb_encode_params params = {
        .no_special_tokens = p & 1,
        .max_length = p >> 1 & 7 ? 2u + (p >> 1 & 7) : 0,
        .truncation = (vkb_truncation)((p >> 4 & 3) % 3),
        .stride = p >> 6 & 1,
        .truncate_left = p >> 7,
        .pad_to = p >> 6 & 2 ? 9 : 0,
        .pad_left = p & 2,
    };
    vkb_tokens tokens = {0};
    vkb_status status =
        vkb_encode(*tok, text, first, tab ? tab + 1 : NULL, second, &params, &tokens);
    if (status != VKB_OK && status != VKB_BAD_ARGUMENT)
        abort();
    if (status == VKB_OK)
        check_row(*tok, &tokens, &params, first, second);
    for (size_t i = 0; status == VKB_OK && i < tokens.overflow_count; i++)
        // As long as they like: of a text that has no room at all everything overflows at once.
        check_row(*tok, &tokens.overflow[i], &(vkb_encode_params){0}, first, second);
    vkb_tokens_free(&tokens);
    return 0;
}
