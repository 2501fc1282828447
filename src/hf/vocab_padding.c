#include "hf/vocab_padding.h"

#include <string.h>

static const char *const token_tensors[HF_TOKEN_TENSORS] = {
    "bert.embeddings.word_embeddings.weight", "cls.predictions.bias",
    "cls.predictions.decoder.weight"};

static bool is_padded(uint64_t rows, uint64_t tokens)
{
    for (uint64_t multiple = 8; multiple <= 128; multiple *= 2)
        if (rows > tokens && rows == (tokens + multiple - 1) / multiple * multiple)
            return true;
    return false;
}

static hf_entry *find_entry(hf_entry *entries, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(entries[i].name, name) == 0 && entries[i].tensor->rank > 0)
            return &entries[i];
    return NULL;
}

void hf_vocab_padding_cut(vkb_context *ctx, const char *path, vkb_config *config, hf_entry *entries,
                          size_t entry_count, hf_tensor cut[HF_TOKEN_TENSORS])
{
    uint64_t most = config->vocab_size;
    const hf_entry *bias = find_entry(entries, entry_count, "cls.predictions.bias");
    if (bias && is_padded(config->vocab_size, bias->tensor->shape[0]) &&
        config->pad_token_id < bias->tensor->shape[0])
        config->vocab_size = (uint32_t)bias->tensor->shape[0];
    for (size_t i = 0; i < HF_TOKEN_TENSORS; i++) {
        hf_entry *entry = find_entry(entries, entry_count, token_tensors[i]);
        if (!entry || !is_padded(entry->tensor->shape[0], config->vocab_size))
            continue;
        most = entry->tensor->shape[0] > most ? entry->tensor->shape[0] : most;
        cut[i] = *entry->tensor;
        cut[i].shape[0] = config->vocab_size;
        hf_tensor_measure(&cut[i]);
        entry->tensor = &cut[i];
    }
    if (most > config->vocab_size)
        vkb_log(
            ctx, VKB_LOG_INFO,
            "%s: its vocabulary is padded to %llu tokens; the first %u, which are real, are used",
            path, (unsigned long long)most, config->vocab_size);
}
