// TensorFlow's checkpoints ("TensorBundle"), as Google's BERTs and SavedModels have them: two kinds
// of files,
//
//     bert_model.ckpt.index                  an SSTable: name -> dtype, shape, shard, offset, size, checksum
//     bert_model.ckpt.data-00000-of-00001    the tensors' bytes; one file a shard
//
// hf_bundle_weights of weights.h opens the index as one of the formats. Every checksum is checked.
// Of the tensors,
//     .../kernel [in,out]    is the strided [out,in] that everybody else stores
//     the training state     is left out: scalars (global_step), strings, and what stands below the
//                            name of another tensor (.../kernel/adam_m)
#ifndef VKB_HF_BUNDLE_H
#define VKB_HF_BUNDLE_H

#include "base/context.h"

// Whether the path is called as an index is, *.index.
bool hf_bundle_is_index(const char *path);

// The index of the folder's checkpoint, freed with free(); NULL: it has none. The one that the file
// `checkpoint` names, else the only one, else a SavedModel's.
vkb_status hf_bundle_find(vkb_context *ctx, const char *folder, char **index);

#endif
