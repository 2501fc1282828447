// TensorFlow's names of BERT's tensors, as Google's run_pretraining.py gives them.
#ifndef VKB_HF_NAMES_TENSORFLOW_H
#define VKB_HF_NAMES_TENSORFLOW_H

// The PyTorch name of a tensor with '/' in its name, freed with free(); NULL when memory is
// exhausted. Scopes before bert/ and cls/ fall away:
//     module/bert/encoder/layer_0/output/dense/kernel    bert.encoder.layer.0.output.dense.weight
//     bert/embeddings/word_embeddings                    bert.embeddings.word_embeddings.weight
//     cls/predictions/output_bias                        cls.predictions.bias
//     cls/seq_relationship/output_weights                cls.seq_relationship.weight
// LayerNorm's gamma and beta stay: hf_canonical_name knows them.
char *hf_tensorflow_name(const char *name);

#endif
