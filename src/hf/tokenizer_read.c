// Reading a tokenizer's files. tokenizer.json says everything; without it vocab.txt has the pieces
// and tokenizer_config.json the switches. What stands in neither is BERT's default.
#include "hf/tokenizer_reader.h"

#include "base/file.h"
#include "hf/model_kind.h"

#include <stdlib.h>
#include <string.h>

// ---- tokenizer.json ----

static vkb_status check_type(hf_reader *r, const char *key, const char *expected)
{
    const cJSON *part = hf_json_member(r->json, key), *type = hf_json_member(part, "type");
    if (cJSON_IsString(type) && strcmp(type->valuestring, expected) == 0)
        return VKB_OK;
    return vkb_fail(r->ctx, VKB_BAD_FILE,
                    "%s: %s is %s, but vkbert knows only %s: not a BERT tokenizer", r->json_path,
                    key,
                    cJSON_IsString(type)          ? type->valuestring
                    : !part || cJSON_IsNull(part) ? "missing"
                                                  : "of no type",
                    expected);
}

static vkb_status read_normalizer(hf_reader *r)
{
    const cJSON *normalizer = hf_json_member(r->json, "normalizer"),
                *accents = hf_json_member(normalizer, "strip_accents");
    vkb_status status;
    BASE_TRY(check_type(r, "normalizer", "BertNormalizer"));
    BASE_TRY(hf_json_get_bool(r->ctx, r->json_path, normalizer, "clean_text", &r->tok->clean_text));
    BASE_TRY(hf_json_get_bool(r->ctx, r->json_path, normalizer, "handle_chinese_chars",
                              &r->tok->handle_chinese_chars));
    BASE_TRY(hf_json_get_bool(r->ctx, r->json_path, normalizer, "lowercase", &r->tok->lowercase));
    if (accents && !cJSON_IsNull(accents) && !cJSON_IsBool(accents))
        return hf_json_unexpected(r->ctx, r->json_path, "strip_accents", accents,
                                  "true, false or null");
    r->tok->strip_accents = cJSON_IsBool(accents) ? cJSON_IsTrue(accents) : -1;
cleanup:
    return status;
}

static vkb_status read_model(hf_reader *r)
{
    const char *prefix = "##", *unk = "[UNK]", *path = r->json_path;
    const cJSON *model = hf_json_member(r->json, "model"), *limit;
    uint64_t characters = 100;
    vkb_status status = VKB_OK;
    // Old files name no type: only WordPiece has this member.
    if (hf_json_member(model, "type") || !hf_json_member(model, "max_input_chars_per_word"))
        BASE_TRY(check_type(r, "model", "WordPiece"));
    BASE_TRY(hf_json_get_string(r->ctx, path, model, "continuing_subword_prefix", &prefix));
    if (strcmp(prefix, "##") != 0)
        return vkb_fail(r->ctx, VKB_BAD_FILE,
                        "%s: continuing_subword_prefix is \"%s\", but vkbert knows only \"##\"",
                        path, prefix);
    limit = hf_json_member(model, "max_input_chars_per_word");
    if (limit && (!hf_json_integer(limit, &characters) || characters > UINT32_MAX))
        return hf_json_unexpected(r->ctx, path, "max_input_chars_per_word", limit,
                                  "a whole number of 0 or more");
    r->tok->max_input_chars_per_word = (uint32_t)characters;
    BASE_TRY(hf_json_get_string(r->ctx, path, model, "unk_token", &unk));
    BASE_TRY(hf_reader_copy(r, unk, &r->tok->unk_token));
    BASE_TRY(hf_reader_vocab_object(r, hf_json_member(model, "vocab")));
cleanup:
    return status;
}

// ---- Added tokens ----

static vkb_status read_added_tokens(hf_reader *r)
{
    const cJSON *list = hf_json_member(r->json, "added_tokens"), *item;
    if (list && !cJSON_IsNull(list) && !cJSON_IsArray(list))
        return hf_json_unexpected(r->ctx, r->json_path, "added_tokens", list, "a list");
    cJSON_ArrayForEach(item, list)
    {
        uint64_t id;
        if (!hf_json_integer(hf_json_member(item, "id"), &id))
            return hf_json_unexpected(r->ctx, r->json_path, "id of an added token",
                                      hf_json_member(item, "id"), "a whole number of 0 or more");
        vkb_status status = hf_reader_added_token(r, r->json_path, item, id);
        if (status != VKB_OK)
            return status;
    }
    return VKB_OK;
}

// tokenizer_config.json: {"added_tokens_decoder": {"103": {"content": "[MASK]", ...}}}
static vkb_status read_added_decoder(hf_reader *r)
{
    const cJSON *object = hf_json_member(r->config, "added_tokens_decoder"), *item;
    cJSON_ArrayForEach(item, object)
    {
        char *end;
        unsigned long long id = strtoull(item->string ? item->string : "-", &end, 10);
        if (!item->string || *item->string < '0' || *item->string > '9' || *end)
            return vkb_fail(r->ctx, VKB_BAD_FILE,
                            "%s: added_tokens_decoder: \"%s\" is not the id of a token",
                            r->config_path, item->string ? item->string : "");
        vkb_status status = hf_reader_added_token(r, r->config_path, item, id);
        if (status != VKB_OK)
            return status;
    }
    return VKB_OK;
}

// ---- tokenizer_config.json and special_tokens_map.json ----

// A token's name stands there as a string or as an object with "content".
static const char *token_name(const cJSON *object, const char *key)
{
    const cJSON *item = hf_json_member(object, key);
    if (cJSON_IsObject(item))
        item = hf_json_member(item, "content");
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

static vkb_status read_special_name(hf_reader *r, const char *key, const char *standard,
                                    char **name)
{
    const char *found = token_name(r->config, key);
    if (*name) // tokenizer.json has named it
        return VKB_OK;
    if (!found)
        found = token_name(r->map, key);
    return hf_reader_copy(r, found ? found : standard, name);
}

static vkb_status read_special_names(hf_reader *r)
{
    hf_tokenizer *tok = r->tok;
    vkb_status status;
    BASE_TRY(read_special_name(r, "unk_token", "[UNK]", &tok->unk_token));
    BASE_TRY(read_special_name(r, "cls_token", "[CLS]", &tok->cls_token));
    BASE_TRY(read_special_name(r, "sep_token", "[SEP]", &tok->sep_token));
    BASE_TRY(read_special_name(r, "pad_token", "[PAD]", &tok->pad_token));
    BASE_TRY(read_special_name(r, "mask_token", "[MASK]", &tok->mask_token));
cleanup:
    return status;
}

// "Unset" is written as 1000000000000000019884624838656.
static vkb_status read_model_max_length(hf_reader *r)
{
    const cJSON *item = hf_json_member(r->config, "model_max_length");
    if (!item || cJSON_IsNull(item))
        return VKB_OK;
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0))
        return hf_json_unexpected(r->ctx, r->config_path, "model_max_length", item,
                                  "a number of 0 or more");
    r->tok->model_max_length = item->valuedouble < 1e15 ? (uint64_t)item->valuedouble : 0;
    return VKB_OK;
}

// A folder that does not say gets what transformers 4.57 gives it: true for a bare vocab.txt.
static vkb_status read_clean_up(hf_reader *r, bool has_json)
{
    const cJSON *item = hf_json_member(r->config, "clean_up_tokenization_spaces");
    r->tok->clean_up_spaces = !has_json;
    if (!item || cJSON_IsNull(item))
        return VKB_OK;
    if (!cJSON_IsBool(item))
        return hf_json_unexpected(r->ctx, r->config_path, "clean_up_tokenization_spaces", item,
                                  "true or false");
    r->tok->clean_up_spaces = cJSON_IsTrue(item);
    return VKB_OK;
}

// transformers' BertTokenizerFast applies these over what tokenizer.json says, and so do we, aloud.
static vkb_status read_switches(hf_reader *r)
{
    hf_tokenizer *tok = r->tok;
    hf_tokenizer before = *tok;
    const char *class_name = "BertTokenizer", *path = r->config_path;
    const cJSON *accents = hf_json_member(r->config, "strip_accents");
    vkb_status status;
    BASE_TRY(hf_json_get_string(r->ctx, path, r->config, "tokenizer_class", &class_name));
    if (r->json && strncmp(class_name, "Bert", 4) != 0)
        return VKB_OK;
    BASE_TRY(hf_json_get_bool(r->ctx, path, r->config, "do_lower_case", &tok->lowercase));
    BASE_TRY(hf_json_get_bool(r->ctx, path, r->config, "tokenize_chinese_chars",
                              &tok->handle_chinese_chars));
    if (cJSON_IsBool(accents))
        tok->strip_accents = cJSON_IsTrue(accents);
    if (r->json &&
        (tok->lowercase != before.lowercase || tok->strip_accents != before.strip_accents ||
         tok->handle_chinese_chars != before.handle_chinese_chars))
        vkb_log(r->ctx, VKB_LOG_WARNING,
                "%s and %s disagree on lower case, accents or Chinese characters; the first is "
                "followed, as transformers does",
                r->config_path, r->json_path);
cleanup:
    return status;
}

// The vocabulary of a cased model has capitals outside of [MASK] and its like.
static bool has_capitals(const hf_tokenizer *tok)
{
    for (uint32_t id = 0; id < tok->piece_count; id++) {
        const char *piece = tok->pieces[id];
        if (piece && *piece != '[' && piece[strcspn(piece, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")])
            return true;
    }
    return false;
}

// ---- All together ----

static vkb_status read_json_file(hf_reader *r)
{
    const cJSON *version = hf_json_member(r->json, "version");
    vkb_status status;
    if (!cJSON_IsString(version) || strcmp(version->valuestring, "1.0") != 0)
        return hf_json_unexpected(r->ctx, r->json_path, "version", version, "\"1.0\"");
    BASE_TRY(read_model(r));
    BASE_TRY(hf_index_build(r->ctx, r->tok, &r->vocab));
    BASE_TRY(read_normalizer(r));
    BASE_TRY(check_type(r, "pre_tokenizer", "BertPreTokenizer"));
    BASE_TRY(read_added_tokens(r));
    BASE_TRY(read_special_names(r));
    BASE_TRY(hf_processor_check(r->ctx, r->json_path, hf_json_member(r->json, "post_processor"),
                                r->tok));
    BASE_TRY(read_switches(r));
cleanup:
    return status;
}

static vkb_status read_vocab_file(hf_reader *r)
{
    vkb_status status;
    BASE_TRY(hf_reader_vocab_lines(r));
    BASE_TRY(hf_index_build(r->ctx, r->tok, &r->vocab));
    BASE_TRY(read_added_decoder(r));
    BASE_TRY(read_special_names(r));
    r->tok->lowercase = !has_capitals(r->tok);
    if (!cJSON_IsBool(hf_json_member(r->config, "do_lower_case")))
        vkb_log(r->ctx, VKB_LOG_WARNING,
                "%s: nothing beside it says whether text is lower-cased; taken as %s, by its "
                "tokens' letters",
                r->vocab_path, r->tok->lowercase ? "uncased" : "cased");
    BASE_TRY(read_switches(r));
cleanup:
    return status;
}

static vkb_status read_folder(hf_reader *r, const char *folder)
{
    vkb_status status = VKB_OK;
    if (!file_is_folder(folder))
        return vkb_fail(r->ctx, VKB_BAD_FILE, "%s: there is no such folder", folder);
    bool has_json = file_exists(r->json_path);
    if (!has_json && !file_exists(r->vocab_path))
        return vkb_fail(r->ctx, VKB_BAD_FILE,
                        "%s: has neither tokenizer.json nor vocab.txt, expected a tokenizer",
                        folder);
    if (file_exists(r->config_path))
        BASE_TRY(hf_json_read(r->ctx, r->config_path, &r->config));
    if (file_exists(r->map_path))
        BASE_TRY(hf_json_read(r->ctx, r->map_path, &r->map));
    BASE_TRY(read_model_max_length(r));
    BASE_TRY(read_clean_up(r, has_json));
    if (has_json) {
        BASE_TRY(hf_json_read(r->ctx, r->json_path, &r->json));
        BASE_TRY(read_json_file(r));
    } else {
        BASE_TRY(read_vocab_file(r));
    }
    BASE_TRY(hf_reader_finish(r));
cleanup:
    return status;
}

// Leaves the member its place, for ours alone.
static void empty_member(cJSON *object, const char *key)
{
    cJSON *member = cJSON_GetObjectItemCaseSensitive(object, key);
    while (member && member->child)
        cJSON_Delete(cJSON_DetachItemViaPointer(member, member->child));
}

// What is saved again with the tokenizer; what we say anew in other words goes.
static void keep_files(hf_reader *r)
{
    empty_member(cJSON_GetObjectItemCaseSensitive(r->json, "model"), "vocab");
    empty_member(r->config, "added_tokens_decoder");
    if (!r->tok->model_max_length)
        cJSON_DeleteItemFromObjectCaseSensitive(r->config, "model_max_length");
    r->tok->json = r->json;
    r->tok->config = r->config;
    r->tok->map = r->map;
    r->json = r->config = r->map = NULL;
}

vkb_status hf_tokenizer_read(vkb_context *ctx, const char *folder, hf_tokenizer *out)
{
    hf_tokenizer tok = {.lowercase = true,
                        .clean_text = true,
                        .handle_chinese_chars = true,
                        .strip_accents = -1,
                        .max_input_chars_per_word = 100};
    hf_reader r = {.ctx = ctx,
                   .tok = &tok,
                   .json_path = path_join(folder, "tokenizer.json"),
                   .vocab_path = path_join(folder, "vocab.txt"),
                   .config_path = path_join(folder, "tokenizer_config.json"),
                   .map_path = path_join(folder, "special_tokens_map.json")};
    vkb_status status = r.json_path && r.vocab_path && r.config_path && r.map_path
                            ? read_folder(&r, folder)
                            : vkb_fail_memory(ctx, strlen(folder), "a path");
    if (status == VKB_OK)
        keep_files(&r);
    hf_index_free(&r.vocab);
    tok.added = r.added.at;
    tok.added_count = r.added.count;
    free(r.json_path);
    free(r.vocab_path);
    free(r.config_path);
    free(r.map_path);
    cJSON_Delete(r.json);
    cJSON_Delete(r.config);
    cJSON_Delete(r.map);
    if (status == VKB_OK) {
        *out = tok;
        return VKB_OK;
    }
    hf_tokenizer_free(&tok);
    return hf_model_kind_explain(ctx, folder, status);
}
