#include "hf/model_kind.h"

#include "base/file.h"
#include "hf/json.h"

#include <stdlib.h>
#include <string.h>

static bool is_bert_class(const cJSON *name)
{
    const char *class = cJSON_IsString(name) ? name->valuestring : "";
    class += strncmp(class, "TF", 2) == 0 ? 2 : strncmp(class, "Flax", 4) == 0 ? 4 : 0;
    return strncmp(class, "BertFor", 7) == 0 || strcmp(class, "BertModel") == 0 ||
           strcmp(class, "BertLMHeadModel") == 0;
}

// model_type tells, which transformers goes by too. What was saved before there was one has the class
// alone, and the TensorFlow configs of ALBERT, ELECTRA and MobileBERT only embeddings of another size.
static vkb_status refuse_other_models(vkb_context *ctx, const char *path, const cJSON *root)
{
    static const char only[] = "vkbert computes BERT only";
    const char *type = NULL;
    vkb_status status = hf_json_get_string(ctx, path, root, "model_type", &type);
    if (status != VKB_OK)
        return status;
    if (type && strcmp(type, "bert") == 0)
        return VKB_OK;
    if (type)
        return vkb_fail(ctx, VKB_BAD_FILE, "%s: model_type is %s, expected bert: %s", path, type,
                        only);
    const cJSON *class, *classes = hf_json_member(root, "architectures"), *other = NULL;
    cJSON_ArrayForEach(class, classes)
    {
        if (is_bert_class(class))
            return VKB_OK;
        other = cJSON_IsString(class) ? class : other;
    }
    if (other)
        return vkb_fail(ctx, VKB_BAD_FILE,
                        "%s: architectures has %s, expected BertForMaskedLM or another of BERT: %s",
                        path, other->valuestring, only);
    const cJSON *embedding = hf_json_member(root, "embedding_size"),
                *hidden = hf_json_member(root, "hidden_size");
    if (cJSON_IsNumber(embedding) && cJSON_IsNumber(hidden) &&
        embedding->valuedouble != hidden->valuedouble)
        return vkb_fail(
            ctx, VKB_BAD_FILE,
            "%s: embedding_size is %.9g, but hidden_size %.9g, as in ALBERT, ELECTRA and "
            "MobileBERT: %s",
            path, embedding->valuedouble, hidden->valuedouble, only);
    return VKB_OK;
}

vkb_status hf_model_kind_check(vkb_context *ctx, const char *path, const cJSON *root)
{
    const char *positions = "absolute";
    bool decoder = false, cross = false, tied = true;
    vkb_status status;
    BASE_TRY(refuse_other_models(ctx, path, root));
    BASE_TRY(hf_json_get_string(ctx, path, root, "position_embedding_type", &positions));
    BASE_TRY(hf_json_get_bool(ctx, path, root, "is_decoder", &decoder));
    BASE_TRY(hf_json_get_bool(ctx, path, root, "add_cross_attention", &cross));
    BASE_TRY(hf_json_get_bool(ctx, path, root, "tie_word_embeddings", &tied));
    if (strcmp(positions, "absolute") != 0)
        return vkb_fail(ctx, VKB_BAD_FILE, "%s: position_embedding_type is %s, expected absolute",
                        path, positions);
    if (decoder || cross || !tied)
        return vkb_fail(ctx, VKB_BAD_FILE, "%s: %s, which vkbert does not compute", path,
                        decoder ? "is_decoder is true"
                        : cross ? "add_cross_attention is true"
                                : "tie_word_embeddings is false");
cleanup:
    return status;
}

vkb_status hf_model_kind_explain(vkb_context *ctx, const char *folder, vkb_status failure)
{
    char *sentence = strdup(vkb_error(ctx)), *path = path_join(folder, "config.json");
    cJSON *root = NULL;
    vkb_status status = failure;
    if (sentence && path && file_exists(path) && hf_json_read(ctx, path, &root) == VKB_OK &&
        refuse_other_models(ctx, path, root) != VKB_OK)
        status = VKB_BAD_FILE;
    else if (sentence)
        vkb_fail(ctx, failure, "%s", sentence);
    cJSON_Delete(root);
    free(sentence);
    free(path);
    return status;
}
