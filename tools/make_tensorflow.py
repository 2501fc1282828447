#!/usr/bin/env python3
"""Writes tests/fixtures/tensorflow: the model of tests/fixtures/erf as Google's run_pretraining.py would have left it,
in two shards, with a step counter and with what the optimiser knows of two variables. It needs numpy and safetensors.

    tools/make_tensorflow.py
"""
import json
import os

import numpy as np
from safetensors.numpy import load_file

from tensor_bundle import tensorflow_tensors, write_bundle

FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "fixtures")
GOOGLES_KEYS = ("attention_probs_dropout_prob", "hidden_act", "hidden_dropout_prob", "hidden_size", "initializer_range",
                "intermediate_size", "max_position_embeddings", "num_attention_heads", "num_hidden_layers",
                "type_vocab_size", "vocab_size")


def main():
    folder = os.path.join(FIXTURES, "tensorflow")
    os.makedirs(folder, exist_ok=True)
    tensors = tensorflow_tensors(load_file(os.path.join(FIXTURES, "erf", "model.safetensors")))
    for name in ("bert/embeddings/LayerNorm/gamma", "bert/encoder/layer_0/attention/self/query/kernel"):
        tensors[name + "/adam_m"] = np.zeros_like(tensors[name])
        tensors[name + "/adam_v"] = np.ones_like(tensors[name])
    tensors["global_step"] = np.int64(1000)
    write_bundle(os.path.join(folder, "bert_model.ckpt"), tensors, shards=2)
    with open(os.path.join(FIXTURES, "erf", "config.json")) as file:
        config = json.load(file)
    with open(os.path.join(folder, "bert_config.json"), "w") as file:
        json.dump({key: config[key] for key in GOOGLES_KEYS}, file, indent=2)
        file.write("\n")
    print(f"{len(tensors)} tensors, {sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder))} bytes")


if __name__ == "__main__":
    main()
