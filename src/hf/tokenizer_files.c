// The parts that reading and writing share: freeing, ids by piece, the post-processor.
#include "hf/tokenizer_parts.h"

#include <stdlib.h>
#include <string.h>

void hf_tokenizer_free(hf_tokenizer *tok)
{
    for (uint32_t id = 0; id < tok->piece_count; id++)
        free(tok->pieces[id]);
    for (size_t i = 0; i < tok->added_count; i++)
        free(tok->added[i].content);
    free(tok->pieces);
    free(tok->added);
    free(tok->unk_token);
    free(tok->cls_token);
    free(tok->sep_token);
    free(tok->pad_token);
    free(tok->mask_token);
    cJSON_Delete(tok->json);
    cJSON_Delete(tok->config);
    cJSON_Delete(tok->map);
    *tok = (hf_tokenizer){0};
}

// ---- Ids by piece ----

typedef struct index_entry {
    const char *piece;
    uint32_t id;
} index_entry;

static int compare_entries(const void *a_, const void *b_)
{
    const index_entry *a = a_, *b = b_;
    int order = strcmp(a->piece, b->piece);
    return order ? order : a->id < b->id ? -1 : a->id > b->id;
}

vkb_status hf_index_build(vkb_context *ctx, const hf_tokenizer *tok, hf_index *out)
{
    size_t room = (size_t)tok->piece_count + 1;
    index_entry *entries = malloc(room * sizeof(*entries));
    hf_index index = {.tok = tok, .ids = malloc(room * sizeof(*index.ids))};
    if (!entries || !index.ids) {
        free(entries);
        free(index.ids);
        return vkb_fail_memory(ctx, room * sizeof(*entries), "a vocabulary's index");
    }
    for (uint32_t id = 0; id < tok->piece_count; id++)
        if (tok->pieces[id])
            entries[index.count++] = (index_entry){tok->pieces[id], id};
    qsort(entries, index.count, sizeof(*entries), compare_entries);
    for (uint32_t i = 0; i < index.count; i++)
        index.ids[i] = entries[i].id;
    free(entries);
    *out = index;
    return VKB_OK;
}

bool hf_index_find(const hf_index *index, const char *piece, uint32_t *id)
{
    // The first place behind every piece that is not greater.
    uint32_t low = 0, high = index->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (strcmp(index->tok->pieces[index->ids[middle]], piece) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || strcmp(index->tok->pieces[index->ids[low - 1]], piece) != 0)
        return false;
    *id = index->ids[low - 1];
    return true;
}

void hf_index_free(hf_index *index)
{
    free(index->ids);
    *index = (hf_index){0};
}

// ---- The post-processor ----

// {kind: {"id": id, "type_id": type}}
static bool add_step(cJSON *list, const char *kind, const char *id, int type)
{
    cJSON *step = cJSON_CreateObject(), *inner = cJSON_AddObjectToObject(step, kind);
    return cJSON_AddItemToArray(list, step) && cJSON_AddStringToObject(inner, "id", id) &&
           cJSON_AddNumberToObject(inner, "type_id", type);
}

static bool add_special(cJSON *object, const char *token, uint32_t id)
{
    cJSON *entry = cJSON_AddObjectToObject(object, token);
    cJSON *ids = cJSON_AddArrayToObject(entry, "ids"), *tokens;
    bool ok = cJSON_AddStringToObject(entry, "id", token) &&
              cJSON_AddItemToArray(ids, cJSON_CreateNumber(id));
    tokens = cJSON_AddArrayToObject(entry, "tokens");
    return ok && cJSON_AddItemToArray(tokens, cJSON_CreateString(token));
}

cJSON *hf_processor_create(const hf_tokenizer *tok, uint32_t cls_id, uint32_t sep_id)
{
    cJSON *root = cJSON_CreateObject();
    bool ok = cJSON_AddStringToObject(root, "type", "TemplateProcessing");
    const char *names[] = {"single", "pair"};
    for (int pair = 0; pair < 2; pair++) {
        cJSON *list = cJSON_AddArrayToObject(root, names[pair]);
        ok = ok && add_step(list, "SpecialToken", tok->cls_token, 0) &&
             add_step(list, "Sequence", "A", 0) &&
             add_step(list, "SpecialToken", tok->sep_token, 0);
        if (pair)
            ok = ok && add_step(list, "Sequence", "B", 1) &&
                 add_step(list, "SpecialToken", tok->sep_token, 1);
    }
    cJSON *special = cJSON_AddObjectToObject(root, "special_tokens");
    ok = ok && add_special(special, tok->cls_token, cls_id) &&
         (strcmp(tok->cls_token, tok->sep_token) == 0 ||
          add_special(special, tok->sep_token, sep_id));
    if (!ok) {
        cJSON_Delete(root);
        root = NULL;
    }
    return root;
}

// BertProcessing: "cls": ["[CLS]", 101]
static bool names_token(const cJSON *processor, const char *key, const char *token)
{
    const cJSON *pair = hf_json_member(processor, key);
    return cJSON_IsArray(pair) && cJSON_IsString(pair->child) &&
           strcmp(pair->child->valuestring, token) == 0;
}

static bool same_member(const cJSON *a, const cJSON *b, const char *key)
{
    return cJSON_Compare(hf_json_member(a, key), hf_json_member(b, key), true);
}

vkb_status hf_processor_check(vkb_context *ctx, const char *path, const cJSON *processor,
                              const hf_tokenizer *tok)
{
    const cJSON *type = hf_json_member(processor, "type");
    bool fine = false;
    if (!processor || cJSON_IsNull(processor)) {
        vkb_log(ctx, VKB_LOG_WARNING, "%s: has no post_processor; %s and %s are added all the same",
                path, tok->cls_token, tok->sep_token);
        return VKB_OK;
    }
    if (cJSON_IsString(type) && strcmp(type->valuestring, "BertProcessing") == 0) {
        fine = names_token(processor, "cls", tok->cls_token) &&
               names_token(processor, "sep", tok->sep_token);
    } else if (cJSON_IsString(type) && strcmp(type->valuestring, "TemplateProcessing") == 0) {
        cJSON *expected = hf_processor_create(tok, 0, 0);
        if (!expected)
            return vkb_fail_memory(ctx, 0, "a post-processor");
        fine =
            same_member(processor, expected, "single") && same_member(processor, expected, "pair");
        cJSON_Delete(expected);
    } else {
        return hf_json_unexpected(ctx, path, "type of post_processor", type,
                                  "BertProcessing or TemplateProcessing");
    }
    return fine ? VKB_OK
                : vkb_fail(ctx, VKB_BAD_FILE,
                           "%s: post_processor is not BERT's: expected %s A %s, and %s A %s B %s "
                           "with types 0 0 0 1 1",
                           path, tok->cls_token, tok->sep_token, tok->cls_token, tok->sep_token,
                           tok->sep_token);
}
