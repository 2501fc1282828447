#!/usr/bin/env python3
"""Times vkbert's tokenizer and the Rust one (tokenizers.encode_batch) on the same text, in one run.

    tools/bench_tokenizer.py -m DIR [--bench build/bench_tokenizer] [--rounds 3] TEXT...

DIR holds tokenizer.json. A text a line, all in memory before the clock starts. Both give ids with special tokens;
encode_batch also offsets and masks, which it cannot leave out, and vkbert's second row has them too (vkb_encode, one
thread). Prints MB/s (10^6 bytes; the median of the rounds, the two taking turns) for one thread and for all cores, and
the ratios, and fails when the numbers of tokens differ. Needs the Python package `tokenizers`.
"""
import argparse
import os
import pathlib
import statistics
import subprocess
import sys

RUST = """
import sys, time, pathlib, tokenizers
tok = tokenizers.Tokenizer.from_file(sys.argv[1])
tok.no_truncation()
tok.no_padding()
data = b"".join(pathlib.Path(p).read_bytes() for p in sys.argv[2:])
lines = data.decode("utf-8", "replace").split("\\n")
if lines[-1] == "":
    lines.pop()
tok.encode_batch(lines[:1000])
start = time.perf_counter()
encodings = tok.encode_batch(lines)
seconds = time.perf_counter() - start
print(1e-6 * len(data) / seconds, sum(len(e.ids) for e in encodings))
"""


def run(command, threads):
    environment = dict(os.environ, RAYON_NUM_THREADS=str(threads), TOKENIZERS_PARALLELISM="false" if threads == 1 else "true")
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment).stdout.decode()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", required=True)
    parser.add_argument("--bench", default="build/bench_tokenizer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("text", nargs="+")
    args = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    speeds, tokens = {}, set()
    for _ in range(args.rounds):
        for threads in sorted({1, cores}):
            speed, count = run([sys.executable, "-c", RUST, str(pathlib.Path(args.model) / "tokenizer.json")] + args.text,
                               threads).split()
            speeds.setdefault(("tokenizers", threads), []).append(float(speed))
            tokens.add(int(count))
        for line in run([args.bench, args.model] + args.text + ["--threads", str(cores)], cores).splitlines():
            what, threads, speed, count = line.split()
            speeds.setdefault((what, int(threads)), []).append(float(speed))
            tokens.add(int(count))
    if len(tokens) != 1:
        sys.exit(f"the numbers of tokens differ: {sorted(tokens)}")
    median = {key: statistics.median(values) for key, values in speeds.items()}
    print(f"{tokens.pop()} tokens; MB/s, the median of {args.rounds}")
    for what, threads in sorted(median, key=lambda k: (k[1], k[0] != "tokenizers")):
        name = {"tokenizers": "tokenizers.encode_batch", "ids": "vkbert, ids", "tokens": "vkbert, ids, places, words"}[what]
        ratio = median[what, threads] / median["tokenizers", threads]
        print(f"  {threads} thread{'s' if threads > 1 else ' '}  {name:28} {median[what, threads]:8.2f}  {ratio:5.1f} times")


if __name__ == "__main__":
    main()
