#!/usr/bin/env python3
"""Holds vkbert and tools/tensor_bundle.py against TensorFlow, both ways:

    V/bin/python tools/check_tensorflow.py build/vkbert        python3 -m venv V && V/bin/pip install tensorflow-cpu safetensors

1. TensorFlow reads what tensor_bundle.py writes, tests/fixtures/tensorflow too: every name, dtype, shape and value.
2. vkbert reads what TensorFlow's Saver writes of the model in tests/fixtures/erf, whole and in pieces of 1, 2 and 4 bytes a
   number, with an optimiser's state, and as a SavedModel, and fills masks with the same scores as from its safetensors.
3. vkbert refuses what it does not read, with a sentence: TensorFlow 2's object-based checkpoints, partitioned variables.
"""
import os
import shutil
import subprocess
import sys
import tempfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np
import tensorflow as tf
from safetensors.numpy import load_file, save_file

from tensor_bundle import tensorflow_tensors, write_bundle

FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "fixtures")
v1 = tf.compat.v1


def check(condition, what):
    print(("ok    " if condition else "WRONG ") + what)
    if not condition:
        sys.exit(1)


def vkbert(program, *arguments):
    done = subprocess.run([program, *arguments], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def read_all(prefix):
    reader = tf.train.load_checkpoint(prefix)
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def equal(a, b):
    return a.keys() == b.keys() and all(np.asarray(a[k]).dtype == np.asarray(b[k]).dtype and
                                        np.array_equal(a[k], b[k]) for k in a)


def make_folder(path):
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "king", "sees"] + [f"word{i}" for i in range(8, 67)]
    with open(os.path.join(path, "vocab.txt"), "w") as file:
        file.write("\n".join(words) + "\n")
    shutil.copy(os.path.join(FIXTURES, "tensorflow", "bert_config.json"), path)
    return path


def save_with_tensorflow(prefix, tensors, **saver):
    """As variables of a graph, by the Saver that run_pretraining.py uses."""
    with tf.Graph().as_default(), v1.Session() as session:
        variables = [v1.get_variable(name, initializer=tf.constant(value), use_resource=False)
                     for name, value in tensors.items()]
        session.run(v1.global_variables_initializer())
        v1.train.Saver(variables, **saver).save(session, prefix, write_meta_graph=False)


def save_as_saved_model(folder, tensors):
    with tf.Graph().as_default(), v1.Session() as session:
        for name, value in tensors.items():
            v1.get_variable("module/" + name, initializer=tf.constant(value), use_resource=False)
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(folder)
        builder.add_meta_graph_and_variables(session, ["serve"])
        builder.save()


def fill(program, folder):
    code, out, err = vkbert(program, "fill-mask", "-m", folder, "--json", "--top-k", "67",
                            "the [MASK] sees word9 [MASK]")
    check(code == 0, f"fill-mask opens {os.path.basename(folder)} {err if code else ''}")
    return out


def check_refused(program, folder, part):
    code, _, err = vkbert(program, "info", "-m", folder)
    check(code == 3 and part in err, f"refused: {err.strip()}")


def main(program):
    work = tempfile.mkdtemp()
    state = load_file(os.path.join(FIXTURES, "erf", "model.safetensors"))
    tensors = tensorflow_tensors(state)
    trained = dict(tensors, global_step=np.int64(7))
    for name, value in tensors.items():
        trained[name + "/adam_m"], trained[name + "/adam_v"] = value * 2, value * value

    # ---- 1 ----
    kinds = {f"x/{dtype}/{shape}": np.arange(np.prod(shape)).astype(dtype).reshape(shape)
             for dtype in ("float32", "float64", "float16", "int32", "int64") for shape in ((), (0,), (3,), (2, 0, 4), (5, 7))}
    for shards in (1, 3):
        for what, written in (("kinds", kinds), ("trained", trained)):
            prefix = os.path.join(work, what)
            write_bundle(prefix, written, shards)
            check(equal(read_all(prefix), written), f"TensorFlow {tf.__version__} reads {len(written)} tensors, {what}, "
                                                    f"in {shards} shards of tensor_bundle.py")
    fixture = read_all(os.path.join(FIXTURES, "tensorflow", "bert_model.ckpt"))
    check(all(np.array_equal(fixture[k], tensors[k]) for k in tensors), "TensorFlow reads tests/fixtures/tensorflow")

    # ---- 2 ----
    def torch_folder(dtype):
        folder = make_folder(os.path.join(work, "torch"))
        save_file({k: v.astype(dtype) for k, v in state.items()}, os.path.join(folder, "model.safetensors"),
                  metadata={"format": "pt"})
        return fill(program, folder)

    expected = torch_folder(np.float32)
    for what, saver in (("ckpt", {}), ("sharded", {"sharded": True})):
        folder = make_folder(os.path.join(work, what))
        save_with_tensorflow(os.path.join(folder, "bert_model.ckpt"), trained, **saver)
        check(fill(program, folder) == expected, f"the same answers from a {what} of TensorFlow's Saver")
    folder = make_folder(os.path.join(work, "saved_model"))
    os.rename(folder, folder + "_extra")
    save_as_saved_model(folder, tensors)
    shutil.copytree(folder + "_extra", folder, dirs_exist_ok=True)
    check(fill(program, folder) == expected, "the same answers from a SavedModel")
    for dtype in (np.float16, np.float64):
        folder = make_folder(os.path.join(work, np.dtype(dtype).name))
        save_with_tensorflow(os.path.join(folder, "model.ckpt-1000"), {k: v.astype(dtype) for k, v in tensors.items()})
        check(fill(program, folder) == torch_folder(dtype), f"the same answers from {np.dtype(dtype).name}")
    folder = make_folder(os.path.join(work, "bfloat16"))
    save_with_tensorflow(os.path.join(folder, "bert_model.ckpt"),
                         {k: tf.cast(v, tf.bfloat16).numpy() for k, v in tensors.items()})
    rounded = {k: tf.cast(tf.cast(v, tf.bfloat16), tf.float32).numpy() for k, v in state.items()}
    torch = make_folder(os.path.join(work, "torch"))
    save_file(rounded, os.path.join(torch, "model.safetensors"), metadata={"format": "pt"})
    check(fill(program, folder) == fill(program, torch), "the same answers from bfloat16")

    # ---- 3 ----
    folder = make_folder(os.path.join(work, "tf2"))
    tf.train.Checkpoint(kernel=tf.Variable([1.0])).write(os.path.join(folder, "bert_model.ckpt"))
    check_refused(program, folder, "object-based")
    folder = make_folder(os.path.join(work, "partitioned"))
    with tf.Graph().as_default(), v1.Session() as session:
        v1.get_variable("bert/embeddings/word_embeddings", [67, 32], partitioner=v1.fixed_size_partitioner(3),
                        use_resource=False)
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, os.path.join(folder, "bert_model.ckpt"), write_meta_graph=False)
    check_refused(program, folder, "is cut into 3 slices")
    shutil.rmtree(work)


if __name__ == "__main__":
    main(*sys.argv[1:])
