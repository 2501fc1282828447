// Vocabularies that were padded for speed: NVIDIA's and Megatron's BERTs have 30528 word embeddings
// for 30522 tokens, and config.json tells either number.
#ifndef VKB_HF_VOCAB_PADDING_H
#define VKB_HF_VOCAB_PADDING_H

#include "hf/folder.h"

enum { HF_TOKEN_TENSORS = 3 }; // that have a row for each token: embeddings, output bias, decoder

// Cuts the tensors that have rows for more tokens than the vocabulary, and config's vocab_size to
// the output bias where that is the shorter one, and logs a line. Only rows are cut that padding to
// a multiple of 8, 16, 32, 64 or 128 explains. The entries then point into cut[], whose data is the
// file's.
void hf_vocab_padding_cut(vkb_context *ctx, const char *path, vkb_config *config, hf_entry *entries,
                          size_t entry_count, hf_tensor cut[HF_TOKEN_TENSORS]);

#endif
