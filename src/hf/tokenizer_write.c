// Writing a tokenizer's files. tokenizer.json is complete in itself; vocab.txt and the two small
// files are for the programs that read those.
#include "hf/tokenizer_parts.h"

#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool has_line_break(const char *piece)
{
    return strpbrk(piece, "\r\n") != NULL;
}

// ---- vocab.txt ----

static vkb_status write_vocab(vkb_context *ctx, const char *folder, const hf_tokenizer *tok)
{
    vkb_status status = VKB_OK;
    file_writer *file = NULL;
    size_t bytes = 0, used = 0;
    for (uint32_t id = 0; id < tok->piece_count; id++)
        bytes += (tok->pieces[id] ? strlen(tok->pieces[id]) : 0) + 1;
    char *path = path_join(folder, "vocab.txt"), *text = malloc(bytes + 1);
    if (!path || !text) {
        status = vkb_fail_memory(ctx, bytes, "vocab.txt");
        goto cleanup;
    }
    for (uint32_t id = 0; id < tok->piece_count; id++) {
        const char *piece = tok->pieces[id] ? tok->pieces[id] : "";
        if (has_line_break(piece)) { // a blank line keeps the ids behind it
            vkb_log(ctx, VKB_LOG_WARNING,
                    "%s: token %u has a line break and is only in tokenizer.json", path, id);
            piece = "";
        }
        used += (size_t)sprintf(text + used, "%s\n", piece);
    }
    BASE_TRY(file_create(ctx, path, &file));
    BASE_TRY(file_write(file, text, used));
    BASE_TRY(file_commit(&file));
cleanup:
    file_abandon(&file);
    free(path);
    free(text);
    return status;
}

// ---- tokenizer.json ----

static bool add_switch_or_null(cJSON *object, const char *key, int value)
{
    return value < 0 ? cJSON_AddNullToObject(object, key) != NULL
                     : cJSON_AddBoolToObject(object, key, value) != NULL;
}

static bool add_token_switches(cJSON *object, const hf_added_token *added)
{
    return cJSON_AddStringToObject(object, "content", added->content) &&
           cJSON_AddBoolToObject(object, "single_word", added->single_word) &&
           cJSON_AddBoolToObject(object, "lstrip", added->lstrip) &&
           cJSON_AddBoolToObject(object, "rstrip", added->rstrip) &&
           cJSON_AddBoolToObject(object, "normalized", added->normalized) &&
           cJSON_AddBoolToObject(object, "special", added->special);
}

static bool add_added_tokens(cJSON *root, const hf_tokenizer *tok)
{
    cJSON *list = cJSON_AddArrayToObject(root, "added_tokens");
    for (size_t i = 0; i < tok->added_count; i++) {
        cJSON *object = cJSON_CreateObject();
        if (!cJSON_AddItemToArray(list, object) ||
            !cJSON_AddNumberToObject(object, "id", tok->added[i].id) ||
            !add_token_switches(object, &tok->added[i]))
            return false;
    }
    return list != NULL;
}

static bool add_normalizer(cJSON *root, const hf_tokenizer *tok)
{
    cJSON *object = cJSON_AddObjectToObject(root, "normalizer");
    return cJSON_AddStringToObject(object, "type", "BertNormalizer") &&
           cJSON_AddBoolToObject(object, "clean_text", tok->clean_text) &&
           cJSON_AddBoolToObject(object, "handle_chinese_chars", tok->handle_chinese_chars) &&
           add_switch_or_null(object, "strip_accents", tok->strip_accents) &&
           cJSON_AddBoolToObject(object, "lowercase", tok->lowercase);
}

static bool add_model(cJSON *root, const hf_tokenizer *tok, const hf_index *index)
{
    cJSON *object = cJSON_AddObjectToObject(root, "model");
    bool ok =
        cJSON_AddStringToObject(object, "type", "WordPiece") &&
        cJSON_AddStringToObject(object, "unk_token", tok->unk_token) &&
        cJSON_AddStringToObject(object, "continuing_subword_prefix", "##") &&
        cJSON_AddNumberToObject(object, "max_input_chars_per_word", tok->max_input_chars_per_word);
    cJSON *vocab = cJSON_AddObjectToObject(object, "vocab");
    for (uint32_t id = 0; id < tok->piece_count && ok; id++) {
        uint32_t found; // of a piece that stands twice only the id that a lookup finds
        if (tok->pieces[id] && hf_index_find(index, tok->pieces[id], &found) && found == id)
            ok = cJSON_AddNumberToObject(vocab, tok->pieces[id], id);
    }
    return ok && vocab;
}

static bool add_decoder(cJSON *root)
{
    cJSON *object = cJSON_AddObjectToObject(root, "decoder");
    return cJSON_AddStringToObject(object, "type", "WordPiece") &&
           cJSON_AddStringToObject(object, "prefix", "##") &&
           cJSON_AddBoolToObject(object, "cleanup", true);
}

static bool add_typed(cJSON *root, const char *key, const char *type)
{
    return cJSON_AddStringToObject(cJSON_AddObjectToObject(root, key), "type", type);
}

static vkb_status write_json(vkb_context *ctx, const char *folder, const hf_tokenizer *tok,
                             const hf_index *index)
{
    uint32_t cls = 0, sep = 0;
    if (!hf_index_find(index, tok->cls_token, &cls) || !hf_index_find(index, tok->sep_token, &sep))
        return vkb_fail(ctx, VKB_BAD_ARGUMENT, "%s: the vocabulary to write lacks %s or %s", folder,
                        tok->cls_token, tok->sep_token);
    cJSON *root = cJSON_CreateObject();
    bool ok = cJSON_AddStringToObject(root, "version", "1.0") &&
              cJSON_AddNullToObject(root, "truncation") && cJSON_AddNullToObject(root, "padding") &&
              add_added_tokens(root, tok) && add_normalizer(root, tok) &&
              add_typed(root, "pre_tokenizer", "BertPreTokenizer") &&
              cJSON_AddItemToObject(root, "post_processor", hf_processor_create(tok, cls, sep)) &&
              add_decoder(root) && add_model(root, tok, index);
    if (ok)
        root = hf_json_complete(root, tok->json);
    vkb_status status = hf_json_write(ctx, folder, "tokenizer.json", ok ? root : NULL);
    cJSON_Delete(root);
    return status;
}

// ---- tokenizer_config.json, special_tokens_map.json ----

// Special tokens beyond the five, so that transformers' all_special_tokens lists them.
static bool add_additional(cJSON *root, const hf_tokenizer *tok)
{
    const char *const five[] = {tok->unk_token, tok->cls_token, tok->sep_token, tok->pad_token,
                                tok->mask_token};
    cJSON *list = NULL;
    for (size_t i = 0; i < tok->added_count; i++) {
        bool named = !tok->added[i].special;
        for (size_t k = 0; k < BASE_COUNT(five); k++)
            named = named || strcmp(five[k], tok->added[i].content) == 0;
        if (named)
            continue;
        if (!list)
            list = cJSON_AddArrayToObject(root, "additional_special_tokens");
        if (!cJSON_AddItemToArray(list, cJSON_CreateString(tok->added[i].content)))
            return false;
    }
    return true;
}

static bool add_special_names(cJSON *root, const hf_tokenizer *tok)
{
    return cJSON_AddStringToObject(root, "cls_token", tok->cls_token) &&
           cJSON_AddStringToObject(root, "mask_token", tok->mask_token) &&
           cJSON_AddStringToObject(root, "pad_token", tok->pad_token) &&
           cJSON_AddStringToObject(root, "sep_token", tok->sep_token) &&
           cJSON_AddStringToObject(root, "unk_token", tok->unk_token) && add_additional(root, tok);
}

static bool add_added_decoder(cJSON *root, const hf_tokenizer *tok)
{
    cJSON *decoder = cJSON_AddObjectToObject(root, "added_tokens_decoder");
    for (size_t i = 0; i < tok->added_count; i++) {
        char id[16];
        snprintf(id, sizeof(id), "%u", tok->added[i].id);
        if (!add_token_switches(cJSON_AddObjectToObject(decoder, id), &tok->added[i]))
            return false;
    }
    return decoder != NULL;
}

static vkb_status write_config(vkb_context *ctx, const char *folder, const hf_tokenizer *tok)
{
    cJSON *root = cJSON_CreateObject();
    bool ok = add_added_decoder(root, tok) &&
              cJSON_AddBoolToObject(root, "clean_up_tokenization_spaces", tok->clean_up_spaces) &&
              cJSON_AddBoolToObject(root, "do_lower_case", tok->lowercase) &&
              add_switch_or_null(root, "strip_accents", tok->strip_accents) &&
              cJSON_AddBoolToObject(root, "tokenize_chinese_chars", tok->handle_chinese_chars) &&
              cJSON_AddStringToObject(root, "tokenizer_class", "BertTokenizer") &&
              add_special_names(root, tok);
    if (ok && tok->model_max_length)
        ok = cJSON_AddNumberToObject(root, "model_max_length", (double)tok->model_max_length);
    if (ok)
        root = hf_json_complete(root, tok->config);
    vkb_status status = hf_json_write(ctx, folder, "tokenizer_config.json", ok ? root : NULL);
    cJSON_Delete(root);
    return status;
}

static vkb_status write_special_map(vkb_context *ctx, const char *folder, const hf_tokenizer *tok)
{
    cJSON *root = cJSON_CreateObject();
    bool ok = add_special_names(root, tok);
    if (ok)
        root = hf_json_complete(root, tok->map);
    vkb_status status = hf_json_write(ctx, folder, "special_tokens_map.json", ok ? root : NULL);
    cJSON_Delete(root);
    return status;
}

vkb_status hf_tokenizer_write(vkb_context *ctx, const char *folder, const hf_tokenizer *tok)
{
    hf_index index = {0};
    vkb_status status;
    BASE_TRY(hf_index_build(ctx, tok, &index));
    BASE_TRY(write_vocab(ctx, folder, tok));
    BASE_TRY(write_json(ctx, folder, tok, &index));
    BASE_TRY(write_config(ctx, folder, tok));
    BASE_TRY(write_special_map(ctx, folder, tok));
cleanup:
    hf_index_free(&index);
    return status;
}
