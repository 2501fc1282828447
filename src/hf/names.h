// What a tensor is called: the name in a file, the canonical one, and what needs it.
#ifndef VKB_HF_NAMES_H
#define VKB_HF_NAMES_H

#include <stdbool.h>

// The canonical name that a tensor's name in a file stands for, freed with free(); NULL when memory
// is exhausted:
//     module.                         nothing: DistributedDataParallel puts it before every name
//     ....LayerNorm.gamma, .beta      ....LayerNorm.weight, .bias
//     embeddings. encoder. pooler.    with bert. before it
//     cls.predictions.decoder.bias    cls.predictions.bias
//     bert/... cls/...                see names_tensorflow.h
char *hf_canonical_name(const char *name);

// Why masked-language modelling does not need the tensor of a canonical name; NULL: it may.
const char *hf_name_unused(const char *canonical_name);

// Whether it is of pooler or next-sentence head, which outlive a model that does not use them.
bool hf_name_of_pair(const char *canonical_name);

#endif
