"""Writes TensorFlow checkpoints (TensorBundle) without TensorFlow: an index, which is an SSTable of protocol buffers, and
data files. For fixtures; tools/check_tensorflow.py proves it against TensorFlow.

    write_bundle("folder/bert_model.ckpt", {"bert/pooler/dense/kernel": array, ...}, shards=2)
"""
import struct

import numpy as np

DTYPES = {"float32": 1, "float64": 2, "int32": 3, "int64": 9, "float16": 19}  # DataType of types.proto
RESTART_EVERY, BLOCK_BYTES = 16, 1024  # TensorFlow's blocks are 256 KiB: small ones make several
MAGIC = 0xDB4775248B80FB57


def make_crc_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


CRC_TABLE = make_crc_table()


def masked_crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC_TABLE[(crc ^ byte) & 255]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


# ---- Protocol buffers ----

def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field, value):
    return varint(field << 3) + varint(value) if value else b""


def message(field, data):
    return varint(field << 3 | 2) + varint(len(data)) + data


def header_proto(shards):
    return number(1, shards) + message(3, number(1, 1))


def entry_proto(array, shard, offset):
    shape = b"".join(message(2, number(1, size)) for size in array.shape)
    data = array.tobytes()
    return (number(1, DTYPES[array.dtype.name]) + message(2, shape) + number(3, shard) + number(4, offset) +
            number(5, len(data)) + varint(6 << 3 | 5) + struct.pack("<I", masked_crc32c(data)))


# ---- The table ----

def block(entries):
    """Entries that share the start of their keys with the one before, but for every 16th."""
    out, restarts, last = bytearray(), [], b""
    for i, (key, value) in enumerate(entries):
        shared = 0
        if i % RESTART_EVERY == 0:
            restarts.append(len(out))
        else:
            while shared < min(len(key), len(last)) and key[shared] == last[shared]:
                shared += 1
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        last = key
    return bytes(out) + b"".join(struct.pack("<I", at) for at in restarts or [0]) + struct.pack("<I", len(restarts or [0]))


def table(entries):
    out, index, pending, size = bytearray(), [], [], 0

    def add_block(rows):
        data = block(rows) + b"\0"  # not compressed
        handle = varint(len(out)) + varint(len(data) - 1)
        out.extend(data + struct.pack("<I", masked_crc32c(data)))
        return handle

    for key, value in entries:
        pending.append((key, value))
        size += len(key) + len(value)
        if size >= BLOCK_BYTES:
            index.append((key, add_block(pending)))
            pending, size = [], 0
    if pending:
        index.append((pending[-1][0], add_block(pending)))
    handles = add_block([]) + add_block(index)  # of the metaindex and the index
    return bytes(out) + handles.ljust(40, b"\0") + struct.pack("<Q", MAGIC)


def write_bundle(prefix, tensors, shards=1):
    """tensors: name -> array; one after the other goes to the next shard."""
    data = [bytearray() for _ in range(shards)]
    entries = [(b"", header_proto(shards))]
    for i, name in enumerate(sorted(tensors, key=str.encode)):
        array = np.ascontiguousarray(tensors[name]).reshape(np.shape(tensors[name]))
        shard = i % shards
        entries.append((name.encode(), entry_proto(array, shard, len(data[shard]))))
        data[shard] += array.tobytes()
    for shard, content in enumerate(data):
        with open(f"{prefix}.data-{shard:05d}-of-{shards:05d}", "wb") as file:
            file.write(content)
    with open(prefix + ".index", "wb") as file:
        file.write(table(entries))


# ---- BERT's names ----

def tensorflow_tensors(state):
    """A state dict of BertForMaskedLM or BertForPreTraining as Google's run_pretraining.py would have saved it."""
    out = {}
    for name, array in state.items():
        array = np.asarray(array)
        path = name.replace("layer.", "layer_", 1) if ".layer." in name else name
        path = path.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        if path == "cls.predictions.bias":
            path = "cls.predictions.output_bias"
        elif path.startswith("cls.seq_relationship."):
            path = path.replace(".weight", ".output_weights").replace(".bias", ".output_bias")
        elif path.endswith("_embeddings.weight"):
            path = path[:-len(".weight")]
        elif path.endswith(".weight"):
            path, array = path[:-len("weight")] + "kernel", array.T
        out[path.replace(".", "/")] = array
    return out
