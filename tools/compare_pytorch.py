#!/usr/bin/env python3
"""Times the same training step in PyTorch and in vkbert, in turn, and prints the ratio.

    tools/compare_pytorch.py [--vkbert build/vkbert] [--device cpu] [--layers 4] [--hidden 256] [--batch 16]
                             [--length 128] [--vocab 30522] [--rounds 3] [--steps 5]

The work: BERT with dropout 0.1, fp32, random rows without padding, 15 % of the tokens masked, the MLM head on the
masked rows only, AdamW, gradient norm clipped at 1. PyTorch runs on the CPU with as many threads as it likes.
Both run --rounds times, one after the other, so that a machine that is slow for a while is slow for both; the medians
over all rounds are compared. It needs torch and transformers.
"""
import argparse
import json
import statistics
import subprocess
import sys
import time

try:
    import torch
    from transformers import BertConfig, BertForMaskedLM
except ImportError as error:
    sys.exit(f"compare_pytorch.py: {error}: it needs the Python packages torch and transformers")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--vkbert", default="build/vkbert", help="the program, whose bench train is run")
    parser.add_argument("--device", default="cpu", help="vkbert's device, as vkbert --device")
    for name, value in dict(layers=4, hidden=256, batch=16, length=128, vocab=30522, rounds=3, steps=5).items():
        parser.add_argument(f"--{name}", type=int, default=value)
    return parser.parse_args()


class PyTorchStep:
    """One training step, the head on the masked rows only: the best that a PyTorch user would write."""

    def __init__(self, args):
        torch.manual_seed(0)
        self.args = args
        self.model = BertForMaskedLM(BertConfig(
            vocab_size=args.vocab, hidden_size=args.hidden, num_hidden_layers=args.layers,
            num_attention_heads=max(1, args.hidden // 64), intermediate_size=4 * args.hidden)).train()
        self.optimiser = torch.optim.AdamW(self.model.parameters(), lr=1e-4, weight_decay=0.01)
        self.ids = torch.randint(5, args.vocab, (args.batch, args.length))

    def seconds(self):
        start = time.perf_counter()
        chosen = torch.rand(self.ids.shape) < 0.15
        inputs = torch.where(chosen, torch.full_like(self.ids, 4), self.ids)
        hidden = self.model.bert(inputs)[0]
        logits = self.model.cls(hidden[chosen])
        loss = torch.nn.functional.cross_entropy(logits, self.ids[chosen])
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        return time.perf_counter() - start


def vkbert_seconds(args):
    config = dict(hidden_size=args.hidden, num_hidden_layers=args.layers, num_attention_heads=max(1, args.hidden // 64),
                  intermediate_size=4 * args.hidden, vocab_size=args.vocab)
    command = [args.vkbert, "bench", "train", "--json", "--quiet", "--device", args.device,
               "--config_overrides", ",".join(f"{key}={value}" for key, value in config.items()),
               "--batch", str(args.batch), "--length", str(args.length), "--steps", str(args.steps)]
    result = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return f"{result['device']}, {result['driver']}", result["step_seconds"]


def main():
    args = arguments()
    step = PyTorchStep(args)
    step.seconds()
    torch_times, vkbert_times, device = [], [], ""
    for _ in range(args.rounds):
        torch_times.append(statistics.median(step.seconds() for _ in range(args.steps)))
        device, seconds = vkbert_seconds(args)
        vkbert_times.append(seconds)
    theirs, ours = statistics.median(torch_times), statistics.median(vkbert_times)
    print(f"{args.layers} layers, hidden {args.hidden}, batch {args.batch} x {args.length}, vocabulary {args.vocab}")
    print(f"PyTorch {torch.__version__}, CPU, {torch.get_num_threads()} threads: "
          f"{1e3 * theirs:.0f} ms a step, {args.batch / theirs:.1f} sequences/s")
    print(f"vkbert, {device}: {1e3 * ours:.0f} ms a step, {args.batch / ours:.1f} sequences/s")
    print(f"vkbert takes {ours / theirs:.2f} times PyTorch's time")


main()
