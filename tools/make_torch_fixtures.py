#!/usr/bin/env python3
"""Writes tests/fixtures/torch: small files of torch.save, for tests/hf/test_torch.c.

    tools/make_torch_fixtures.py

It needs torch 2.6. The same state dict in both containers, zip.bin and legacy.bin, and in a pickle of protocol 4,
protocol4.bin. Element i of each tensor, counted with the last index fastest, is (i - 3) / 2, of an integer i - 3:

    module.f32 [3,5], f16 [7], bf16 [2,3], f64 [4]
    transposed [5,3], cut [2,2]      F32, views into storages that hold more, the first one of [3,5]
    tied                             module.f32 once more, in the same storage
    parameter [4]                    an nn.Parameter
    i64 [1,6], i32, i16, i8, u8 [2], bool [2]
    scalar [], empty [0,4]           F32

training.bin is what a training script keeps: an epoch, an optimiser, and the state dict {"weight": f32 [2]} of a
DistributedDataParallel inside.

tests/hf/seeds/torch gets smaller ones of each kind, from which fuzz_torch starts. The keys of storages in legacy files
are addresses: they differ from run to run.
"""
import collections
import os

import torch

TESTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests")
FOLDER, SEEDS = os.path.join(TESTS, "fixtures", "torch"), os.path.join(TESTS, "hf", "seeds", "torch")


def counting(dtype, *shape):
    count = torch.arange(torch.Size(shape).numel(), dtype=torch.float64) - 3
    return (count / 2 if dtype.is_floating_point else count).to(dtype).reshape(shape)


def state_dict():
    state = collections.OrderedDict()
    state["module.f32"] = counting(torch.float32, 3, 5)
    state["f16"] = counting(torch.float16, 7)
    state["bf16"] = counting(torch.bfloat16, 2, 3)
    state["f64"] = counting(torch.float64, 4)
    state["transposed"] = counting(torch.float32, 5, 3).t().contiguous().t()
    wide = torch.full((4, 3), 99.0)
    wide[1:3, 1:3] = counting(torch.float32, 2, 2)
    state["cut"] = wide[1:3, 1:3]
    state["tied"] = state["module.f32"]
    state["parameter"] = torch.nn.Parameter(counting(torch.float32, 4))
    state["i64"] = counting(torch.int64, 1, 6)
    state["i32"] = counting(torch.int32, 2)
    state["i16"] = counting(torch.int16, 2)
    state["i8"] = counting(torch.int8, 2)
    state["u8"] = torch.tensor([253, 254], dtype=torch.uint8)
    state["bool"] = torch.tensor([True, False])
    state["scalar"] = counting(torch.float32, 1)[0]
    state["empty"] = torch.zeros(0, 4)
    state._metadata = {"": {"version": 1}}
    return state


def training():
    model = torch.nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(counting(torch.float32, 1, 2))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(2)).backward()
    optimizer.step()
    with torch.no_grad():
        model.weight.copy_(counting(torch.float32, 1, 2))
    state = collections.OrderedDict(("module." + name, value) for name, value in model.state_dict().items())
    return {"epoch": 3, "loss": 0.5, "names": ["a", None], "optimizer": optimizer.state_dict(), "state_dict": state}


def small():
    parameter = torch.nn.Parameter(counting(torch.float16, 2))
    return collections.OrderedDict(a=counting(torch.float32, 3, 2).t(), b=parameter, c=parameter)


def save(thing, path, **options):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    torch.save(thing, path, **options)
    print(f"{os.path.relpath(path, TESTS)}: {os.path.getsize(path)} bytes")


def main():
    ways = {"zip": {}, "protocol4": {"pickle_protocol": 4}, "legacy": {"_use_new_zipfile_serialization": False}}
    for name, options in ways.items():
        save(state_dict(), os.path.join(FOLDER, name + ".bin"), **options)
        save(small(), os.path.join(SEEDS, name), **options)
    save(training(), os.path.join(FOLDER, "training.bin"))


if __name__ == "__main__":
    main()
