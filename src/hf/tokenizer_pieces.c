// Filling the table of pieces and the list of added tokens, with what may not be: two tokens at one
// id, one token at two, one of BERT's five missing.
#include "hf/tokenizer_reader.h"

#include "base/array.h"
#include "base/file.h"

#include <stdlib.h>
#include <string.h>

#define PIECE_LIMIT (1u << 24) // a hostile id must not make us allocate its table

vkb_status hf_reader_copy(hf_reader *r, const char *text, char **out)
{
    char *copy = strdup(text);
    if (!copy)
        return vkb_fail_memory(r->ctx, strlen(text), "a token");
    free(*out);
    *out = copy;
    return VKB_OK;
}

// ---- The vocabulary ----

static vkb_status grow_pieces(hf_reader *r, uint32_t count)
{
    hf_tokenizer *tok = r->tok;
    struct {
        char **at;
        size_t count, capacity;
    } pieces = {tok->pieces, tok->piece_count, r->piece_capacity};
    if (count <= tok->piece_count)
        return VKB_OK;
    if (!array_reserve(&pieces, count))
        return vkb_fail_memory(r->ctx, count * sizeof(char *), "a vocabulary");
    memset(pieces.at + tok->piece_count, 0, (count - tok->piece_count) * sizeof(char *));
    tok->pieces = pieces.at;
    tok->piece_count = count;
    r->piece_capacity = pieces.capacity;
    return VKB_OK;
}

static vkb_status add_piece(hf_reader *r, const char *path, const char *piece, uint64_t id)
{
    if (id >= PIECE_LIMIT)
        return vkb_fail(r->ctx, VKB_BAD_FILE, "%s: token %s has id %llu, expected one below %u",
                        path, piece, (unsigned long long)id, PIECE_LIMIT);
    vkb_status status = grow_pieces(r, (uint32_t)id + 1);
    if (status != VKB_OK)
        return status;
    if (r->tok->pieces[id])
        return vkb_fail(r->ctx, VKB_BAD_FILE, "%s: tokens %s and %s both have id %llu", path,
                        r->tok->pieces[id], piece, (unsigned long long)id);
    return hf_reader_copy(r, piece, &r->tok->pieces[id]);
}

vkb_status hf_reader_vocab_object(hf_reader *r, const cJSON *vocab)
{
    const cJSON *item;
    if (!cJSON_IsObject(vocab))
        return hf_json_unexpected(r->ctx, r->json_path, "model.vocab", vocab,
                                  "an object of tokens and ids");
    cJSON_ArrayForEach(item, vocab)
    {
        uint64_t id;
        if (!hf_json_integer(item, &id))
            return vkb_fail(r->ctx, VKB_BAD_FILE,
                            "%s: the id of token %s is not a whole number of 0 or more",
                            r->json_path, item->string);
        vkb_status status = add_piece(r, r->json_path, item->string, id);
        if (status != VKB_OK)
            return status;
    }
    return VKB_OK;
}

// A token a line; the id is the number of the line, so that blank lines count and a token that
// stands twice keeps both rows.
vkb_status hf_reader_vocab_lines(hf_reader *r)
{
    vkb_status status;
    char *text = NULL;
    size_t bytes = 0;
    uint64_t id = 0;
    BASE_TRY(file_read(r->ctx, r->vocab_path, &text, &bytes));
    for (char *line = text, *end = text + bytes, *next; line < end; line = next, id++) {
        char *stop = memchr(line, '\n', (size_t)(end - line));
        next = stop ? stop + 1 : end;
        stop = stop ? stop : end;
        if (stop > line && stop[-1] == '\r')
            stop--;
        *stop = 0;
        if (strlen(line) != (size_t)(stop - line) ||
            hf_utf8_valid(line, (size_t)(stop - line)) != (size_t)(stop - line)) {
            status = vkb_fail(r->ctx, VKB_BAD_FILE, "%s: line %llu is not UTF-8 text",
                              r->vocab_path, (unsigned long long)id + 1);
            goto cleanup;
        }
        BASE_TRY(add_piece(r, r->vocab_path, line, id));
    }
    if (id == 0)
        status =
            vkb_fail(r->ctx, VKB_BAD_FILE, "%s: is empty, expected a token a line", r->vocab_path);
cleanup:
    free(text);
    return status;
}

// ---- Added tokens ----

// Gives an added token its place among the pieces, unless the vocabulary has it there.
static vkb_status place_added_token(hf_reader *r, const char *path, const char *content,
                                    uint64_t id)
{
    uint32_t known;
    if (hf_index_find(&r->vocab, content, &known) && known != id)
        return vkb_fail(r->ctx, VKB_BAD_FILE,
                        "%s: added token %s has id %llu, but %u in the vocabulary", path, content,
                        (unsigned long long)id, known);
    if (id < r->tok->piece_count && r->tok->pieces[id] && strcmp(r->tok->pieces[id], content) == 0)
        return VKB_OK;
    return add_piece(r, path, content, id);
}

// entry holds content and the switches; the same in tokenizer.json and tokenizer_config.json.
vkb_status hf_reader_added_token(hf_reader *r, const char *path, const cJSON *entry, uint64_t id)
{
    const char *content = NULL;
    vkb_status status;
    hf_added_token added = {0};
    BASE_TRY(hf_json_get_string(r->ctx, path, entry, "content", &content));
    if (!content || !*content)
        return hf_json_unexpected(r->ctx, path, "content of an added token",
                                  hf_json_member(entry, "content"), "a token");
    BASE_TRY(hf_json_get_bool(r->ctx, path, entry, "special", &added.special));
    BASE_TRY(hf_json_get_bool(r->ctx, path, entry, "single_word", &added.single_word));
    BASE_TRY(hf_json_get_bool(r->ctx, path, entry, "lstrip", &added.lstrip));
    BASE_TRY(hf_json_get_bool(r->ctx, path, entry, "rstrip", &added.rstrip));
    added.normalized = !added.special; // as tokenizers does when the file is silent
    BASE_TRY(hf_json_get_bool(r->ctx, path, entry, "normalized", &added.normalized));
    BASE_TRY(place_added_token(r, path, content, id));
    if (!array_reserve(&r->added, r->added.count + 1))
        return vkb_fail_memory(r->ctx, sizeof(added), "an added token");
    added.id = (uint32_t)id;
    added.only_added = !hf_index_find(&r->vocab, content, &(uint32_t){0});
    BASE_TRY(hf_reader_copy(r, content, &added.content));
    r->added.at[r->added.count++] = added;
cleanup:
    return status;
}

// ---- The whole ----

static vkb_status check_special(hf_reader *r, const hf_index *index, const char *name)
{
    const char *path = r->json ? r->json_path : r->vocab_path;
    uint32_t id;
    if (!hf_index_find(index, name, &id))
        return vkb_fail(r->ctx, VKB_BAD_FILE,
                        "%s: the vocabulary has no %s, which a BERT tokenizer needs", path, name);
    for (size_t i = 0; i < r->added.count; i++)
        if (strcmp(r->added.at[i].content, name) == 0)
            return VKB_OK;
    // transformers matches the five in a text whether or not a file lists them as added.
    if (!array_reserve(&r->added, r->added.count + 1))
        return vkb_fail_memory(r->ctx, sizeof(*r->added.at), "an added token");
    hf_added_token added = {.id = id, .special = true};
    vkb_status status = hf_reader_copy(r, name, &added.content);
    if (status == VKB_OK)
        r->added.at[r->added.count++] = added;
    return status;
}

static int compare_added(const void *a, const void *b)
{
    uint32_t x = ((const hf_added_token *)a)->id, y = ((const hf_added_token *)b)->id;
    return x < y ? -1 : x > y;
}

vkb_status hf_reader_finish(hf_reader *r)
{
    hf_tokenizer *tok = r->tok;
    hf_index index = {0};
    vkb_status status;
    BASE_TRY(hf_index_build(r->ctx, tok, &index));
    for (size_t i = 0; i < r->added.count; i++) {
        const hf_added_token *added = &r->added.at[i];
        uint32_t id = added->id;
        if (hf_index_find(&index, added->content, &id) && id != added->id) {
            status =
                vkb_fail(r->ctx, VKB_BAD_FILE, "%s: added token %s has two ids, %u and %u",
                         r->json ? r->json_path : r->config_path, added->content, added->id, id);
            goto cleanup;
        }
    }
    BASE_TRY(check_special(r, &index, tok->pad_token));
    BASE_TRY(check_special(r, &index, tok->unk_token));
    BASE_TRY(check_special(r, &index, tok->cls_token));
    BASE_TRY(check_special(r, &index, tok->sep_token));
    BASE_TRY(check_special(r, &index, tok->mask_token));
    qsort(r->added.at, r->added.count, sizeof(*r->added.at), compare_added);
cleanup:
    hf_index_free(&index);
    return status;
}
