#!/usr/bin/env python3
"""Trains the same model in fp32, fp16 and bf16 from several seeds, and says whether 16 bits stay within the noise.

    tools/compare_precision.py TEXT... [--vkbert build/vkbert] [--device cpu] [--precisions fp32,fp16,bf16]
                               [--seeds 5] [--steps 2000] [--output out/precision] [-- FLAGS of vkbert train]

Each run is one `vkbert train`; what a seed fixes (weights, order, masks, dropout) is the same in all precisions. In
the output folder: runs/ (kept: a second call goes on where the first stopped), curves.csv, curves.svg (needs
matplotlib), and the table that is printed. The noise is the standard deviation of the held-out loss over the seeds in
fp32; a precision is within it when its mean held-out loss is off by less than that, and no more than two standard
errors of the seeds' differences or half the noise, whichever is more. Ends with 1 when one is not.
"""
import argparse
import csv
import json
import math
import pathlib
import statistics
import subprocess
import sys


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("text", nargs="+", help="files to train on")
    parser.add_argument("--vkbert", default="build/vkbert")
    parser.add_argument("--device", default="cpu", help="as vkbert --device")
    parser.add_argument("--precisions", default="fp32,fp16,bf16", help="the first is what the others are held against")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("out/precision"))
    at = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    args = parser.parse_args(sys.argv[1:at])
    args.flags = sys.argv[at + 1:]
    args.precisions = args.precisions.split(",")
    return args


def train(args, precision, seed):
    """Held-out loss, skipped steps and the curve [(step, loss)] of one run."""
    folder = args.output / "runs" / f"{precision}-{seed}"
    results = folder / "all_results.json"
    if not results.exists():
        command = [args.vkbert, "train", "--do_train", "--do_eval", "--device", args.device, "--train_file", *args.text,
                   "--max_steps", str(args.steps), "--logging_steps", str(max(1, args.steps // 40)), "--save_strategy",
                   "no", "--seed", str(seed), "--precision", precision, "--output_dir", str(folder),
                   "--overwrite_output_dir", "--quiet", *args.flags]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    curve = [(line["step"], line["loss"]) for line in lines if "loss" in line]
    figures = json.loads(results.read_text())
    return figures["eval_loss"], int(figures.get("train_skipped_steps", 0)), curve


def plot(path, runs, precisions):
    try:
        import matplotlib
        matplotlib.use("svg")
        from matplotlib import pyplot
    except ImportError:
        print("curves.svg is left out: it needs matplotlib", file=sys.stderr)
        return
    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    for precision, colour in zip(precisions, ("black", "tab:orange", "tab:blue")):
        for number, (_, _, curve) in enumerate(runs[precision]):
            axes.plot(*zip(*curve), color=colour, linewidth=0.8, alpha=0.7,
                      label=precision if number == 0 else None)
    axes.set_xlabel("step")
    axes.set_ylabel("training loss, nats per masked token")
    axes.legend()
    figure.savefig(path, metadata={"Date": None, "Creator": None})


def main():
    args = arguments()
    args.output.mkdir(parents=True, exist_ok=True)
    seeds = range(1, args.seeds + 1)
    runs = {precision: [] for precision in args.precisions}
    for seed in seeds:
        for precision in args.precisions:
            runs[precision].append(train(args, precision, seed))
            print(f"seed {seed} {precision}: held-out loss {runs[precision][-1][0]:.4f}", file=sys.stderr)
    with open(args.output / "curves.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["precision", "seed", "step", "loss"])
        for precision in args.precisions:
            for seed, (_, _, curve) in zip(seeds, runs[precision]):
                table.writerows([precision, seed, step, loss] for step, loss in curve)
    plot(args.output / "curves.svg", runs, args.precisions)

    base = [run[0] for run in runs[args.precisions[0]]]
    noise = statistics.stdev(base) if len(base) > 1 else math.inf
    print(f"| precision | held-out loss, mean of {args.seeds} seeds | off {args.precisions[0]} | steps skipped |\n|---|---|---|---|")
    within = True
    for precision in args.precisions:
        losses = [run[0] for run in runs[precision]]
        differences = [a - b for a, b in zip(losses, base)]
        off = statistics.mean(differences)
        spread = statistics.stdev(differences) / math.sqrt(len(differences)) if len(differences) > 1 else math.inf
        within = within and abs(off) < noise and abs(off) <= max(2 * spread, noise / 2)
        skipped = ", ".join(str(run[1]) for run in runs[precision])
        print(f"| {precision} | {statistics.mean(losses):.4f} | {off:+.4f} | {skipped} |")
    print(f"\nnoise: {noise:.4f} (standard deviation over the seeds in {args.precisions[0]}), {args.steps} steps: "
          f"{'within' if within else 'NOT within'} it")
    sys.exit(0 if within else 1)


main()
