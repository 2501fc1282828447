#!/usr/bin/env python3
"""Times fill-mask, vkbert's and transformers' pipeline, on the same texts in one run.

    tools/bench_fill_mask.py [-m DIR] [--program build/vkbert] [--rounds 3] [--more 40]

DIR is a model's folder (bert-base-uncased from the hub's cache without it). Of texts of 16 and of 128 tokens with one mask,
medians of the rounds: seconds from typing to answer (a process of its own, the driver's compile cache warm), seconds of a
further text in the same process (--more texts on standard input, less one text, shared out; vkbert answers them in batches), and the peak of the
process's memory over its weights file. With torch and transformers the same of a Python process, whose pipeline gets the texts
one by one. VK_DRIVER_FILES chooses the driver.
"""
import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import time

WORDS = "the old man sat by the river and read his book to us".split()

PYTHON = """
import sys
from transformers import pipeline
fill = pipeline("fill-mask", sys.argv[1], device="cpu")
for text in sys.stdin.read().split("\\n"):
    fill(text)
"""


def text_of(tokens):
    """A text of that many tokens, [CLS], [SEP] and one [MASK] among them: each of WORDS is one token."""
    words = [WORDS[i % len(WORDS)] for i in range(tokens - 2)]
    words[len(words) // 2] = "[MASK]"
    return " ".join(words)


def run(command, texts):
    """Seconds that the command takes for the texts, and its peak memory in bytes."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    process.stdin.write("\n".join(texts))
    process.stdin.close()
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"bench_fill_mask.py: {command[0]} failed: {said.strip()}")
    return time.perf_counter() - start, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure(command, tokens, more, rounds):
    """Medians: seconds of one text, seconds of each further one, peak bytes of one."""
    text = text_of(tokens)
    run(command, [text])  # fills caches
    ones = [run(command, [text]) for _ in range(rounds)]
    many = [run(command, [text] * (more + 1))[0] for _ in range(rounds)]
    first = statistics.median(seconds for seconds, _ in ones)
    return first, (statistics.median(many) - first) / more, max(peak for _, peak in ones)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", default="bert-base-uncased")
    parser.add_argument("--program", default="build/vkbert")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--more", type=int, default=40)
    args = parser.parse_args()

    programs = {"vkbert": [args.program, "fill-mask", "--quiet", "--json", "-m", args.model]}
    if subprocess.run([sys.executable, "-c", "import torch, transformers"], capture_output=True).returncode == 0:
        programs["transformers"] = [sys.executable, "-c", PYTHON, args.model]
    else:
        print("without torch and transformers in this Python only vkbert is timed")
    weights = pathlib.Path(args.model) / "model.safetensors"
    print(f"{'':12}  {'tokens':>6}  {'first, s':>8}  {'further, s':>10}  peak")
    for tokens in (16, 128):
        for name, command in programs.items():
            first, further, peak = measure(command, tokens, args.more, args.rounds)
            share = f", {peak / weights.stat().st_size:.2f} of the weights" if weights.exists() else ""
            print(f"{name:12}  {tokens:6}  {first:8.2f}  {further:10.4f}  {peak / 1e6:.0f} MB{share}", flush=True)


if __name__ == "__main__":
    main()
