// Text -> ids. The order is the fast tokenizer's: added tokens of the raw text, then stretch by
// stretch the normaliser, added tokens of the normalised text, words, WordPiece.
#include "text/tokenizer.h"

#include "base/array.h"
#include "text/encode.h"
#include "text/wordpiece.h"

#include <stdlib.h>

static bool push(vkb_tokens *out, vkb_token token)
{
    if (!array_reserve(out, out->count + 1))
        return false;
    out->at[out->count++] = token;
    return true;
}

static bool append_words(const vkb_tokenizer *tok, const text_normal *normal, size_t at,
                         size_t limit, uint32_t type, vkb_tokens *out)
{
    for (size_t begin, end; text_next_word(normal, limit, &at, &begin, &end);)
        if (!text_wordpiece(&tok->vocabulary, tok->special.unk, tok->files.max_input_chars_per_word,
                            normal, begin, end, type, out))
            return false;
    return true;
}

// The character that starts at or after a byte of normal->utf8.
static size_t char_at(const text_normal *normal, size_t byte)
{
    size_t low = 0, high = normal->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (normal->at[middle].byte < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// text[begin .. end), which holds no added token of the raw text.
static bool append_stretch(const vkb_tokenizer *tok, text_normal *normal, const char *text,
                           size_t begin, size_t end, uint32_t type, vkb_tokens *out)
{
    if (begin == end)
        return true;
    if (!text_normalise(&tok->normaliser, text, begin, end, normal))
        return false;
    size_t at = 0, byte = 0, bytes = normal->at[normal->count].byte;
    text_match match;
    while (tok->normal.count && added_next(&tok->normal, normal->utf8, byte, bytes, &match)) {
        size_t first = char_at(normal, match.begin), behind = char_at(normal, match.end);
        if (!append_words(tok, normal, at, first, type, out))
            return false;
        vkb_token token = {match.id, type, normal->at[first].begin, normal->at[behind - 1].end,
                           false};
        if (!push(out, token))
            return false;
        at = behind;
        byte = match.end;
    }
    return append_words(tok, normal, at, normal->count, type, out);
}

bool tokenizer_append(const vkb_tokenizer *tok, text_normal *scratch, const char *text,
                      size_t bytes, uint32_t type, vkb_tokens *out)
{
    size_t at = 0;
    for (text_match match; added_next(&tok->raw, text, at, bytes, &match); at = match.end) {
        if (!append_stretch(tok, scratch, text, at, match.begin, type, out))
            return false;
        vkb_token token = {match.id, type, (uint32_t)match.begin, (uint32_t)match.end, false};
        if (!push(out, token))
            return false;
    }
    return append_stretch(tok, scratch, text, at, bytes, type, out);
}

vkb_status vkb_encode(const vkb_tokenizer *tok, const char *text, size_t bytes, const char *pair,
                      size_t pair_bytes, bool add_special, vkb_tokens *out)
{
    // A character may become four of UTF-8's longest, and their places are 32 bits wide.
    const size_t most = UINT32_MAX / 16;
    if (bytes > most || (pair && pair_bytes > most))
        return vkb_fail(tok->ctx, VKB_BAD_ARGUMENT, "a text of %zu bytes is too long, at most %zu",
                        bytes > most ? bytes : pair_bytes, most);
    text_normal scratch = {0};
    const vkb_token cls = {.id = tok->special.cls, .special = true};
    const vkb_token sep = {.id = tok->special.sep, .special = true};
    const vkb_token sep_of_pair = {.id = tok->special.sep, .type = 1, .special = true};

    out->count = 0;
    bool ok = (!add_special || push(out, cls)) &&
              tokenizer_append(tok, &scratch, text, bytes, 0, out) &&
              (!add_special || push(out, sep));
    if (ok && pair)
        ok = tokenizer_append(tok, &scratch, pair, pair_bytes, 1, out) &&
             (!add_special || push(out, sep_of_pair));
    text_normal_free(&scratch);
    return ok ? VKB_OK : vkb_fail_memory(tok->ctx, bytes + pair_bytes, "the tokens of a text");
}

void vkb_tokens_free(vkb_tokens *tokens)
{
    if (!tokens)
        return;
    free(tokens->at);
    *tokens = (vkb_tokens){0};
}

// ---- Ids alone ----

struct text_encoder {
    const vkb_tokenizer *tok;
    text_normal normal;
    vkb_tokens tokens;
};

text_encoder *text_encoder_create(const vkb_tokenizer *tok)
{
    text_encoder *encoder = calloc(1, sizeof(*encoder));
    if (encoder)
        encoder->tok = tok;
    return encoder;
}

void text_encoder_destroy(text_encoder **encoder)
{
    if (!encoder || !*encoder)
        return;
    text_normal_free(&(*encoder)->normal);
    vkb_tokens_free(&(*encoder)->tokens);
    free(*encoder);
    *encoder = NULL;
}

bool text_encode_ids(text_encoder *encoder, const char *text, size_t bytes, text_ids *out)
{
    encoder->tokens.count = 0;
    if (!tokenizer_append(encoder->tok, &encoder->normal, text, bytes, 0, &encoder->tokens) ||
        !array_reserve(out, out->count + encoder->tokens.count))
        return false;
    for (size_t i = 0; i < encoder->tokens.count; i++)
        out->at[out->count++] = encoder->tokens.at[i].id;
    return true;
}
