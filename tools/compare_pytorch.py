#!/usr/bin/env python3
"""Times the same training step in PyTorch and in vkbert, in turn, and prints a table with ratios.

    tools/compare_pytorch.py                                       # a small model, the best PyTorch device here
    tools/compare_pytorch.py --presets base large --lengths 128 512 --batch 256 --precisions bf16 fp16
                             --modes eager compile gather gather+compile --output table.md --json table.json

The work: BERT with dropout 0.1, random rows without padding, 15 % of the tokens masked, AdamW (fused where the device
has it), gradient norm clipped at 1. vkbert runs its `bench train` (--tune before it with --tune). PyTorch's modes:

    eager            BertForMaskedLM as it comes: the head on every token
    compile          the same through torch.compile
    gather           the head on the masked rows only
    gather+compile   that through torch.compile: the best that a PyTorch user would write

--batch is of the first length; longer rows get fewer of them, so that a step has as many tokens. Both programs run
--rounds times, one after the other, so that a machine that is slow for a while is slow for both; medians over all rounds are
compared. It needs torch and transformers; a mode that fails (no compiler, no memory) is a line of the table that says so.
"""
import argparse
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import threading
import time

try:
    import torch
    import transformers
    from transformers import BertConfig, BertForMaskedLM
except ImportError as error:
    sys.exit(f"compare_pytorch.py: {error}: it needs the Python packages torch and transformers")

PRESETS = {  # layers, hidden: as vkbert --size
    "tiny": (2, 128), "mini": (4, 256), "small": (4, 512), "medium": (8, 512), "base": (12, 768), "large": (24, 1024)}
MODES = ("eager", "compile", "gather", "gather+compile")
TYPES = {"fp32": None, "fp16": torch.float16, "bf16": torch.bfloat16}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--vkbert", default="build/vkbert", help="the program, whose bench train is run")
    add("--device", help="vkbert's device, as vkbert --device; else its best, and cpu when PyTorch is on the CPU")
    add("--torch-device", choices=("auto", "cuda", "xpu", "mps", "cpu"), default="auto",
        help="cuda is ROCm's too [auto: the first of these that is there]")
    add("--presets", nargs="+", choices=PRESETS, default=["mini"], help="sizes of the model [mini]")
    add("--lengths", nargs="+", type=int, default=[128], help="tokens a row [128]")
    add("--batch", type=int, default=16, help="rows a step at the first length [16]")
    add("--vocab", type=int, default=30522, help="[30522]")
    add("--precisions", nargs="+", choices=TYPES, default=["fp32"], help="[fp32]")
    add("--modes", nargs="+", choices=MODES, default=["gather"], help="PyTorch's [gather]")
    add("--rounds", type=int, default=3, help="of each program in turn [3]")
    add("--steps", type=int, default=5, help="that are timed in a round [5]")
    add("--tune", action="store_true", help="let vkbert measure its kernels first")
    add("--output", help="write the table there too, as Markdown")
    add("--json", help="write everything there as one JSON document")
    return parser.parse_args()


# ---- PyTorch ----

def torch_device(wanted):
    here = {"cuda": torch.cuda.is_available(), "xpu": hasattr(torch, "xpu") and torch.xpu.is_available(),
            "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        wanted = next(name for name, found in here.items() if found)
    if not here[wanted]:
        sys.exit(f"compare_pytorch.py: PyTorch {torch.__version__} has no {wanted} device here")
    return wanted


def torch_device_name(device):
    if device == "cuda":
        runtime = f"ROCm {torch.version.hip}" if torch.version.hip else f"CUDA {torch.version.cuda}"
        return f"{torch.cuda.get_device_name()}, {runtime}"
    if device == "xpu":
        return torch.xpu.get_device_name()
    if device == "mps":
        return f"Apple, macOS {platform.mac_ver()[0]}"
    return f"CPU, {torch.get_num_threads()} threads"


class PyTorchStep:
    """One training step in one of the modes."""

    def __init__(self, device, work, mode):
        layers, hidden = PRESETS[work["preset"]]
        torch.manual_seed(0)
        self.device, self.type, self.gather = device, TYPES[work["precision"]], mode.startswith("gather")
        self.model = BertForMaskedLM(BertConfig(
            vocab_size=work["vocab"], hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=max(1, hidden // 64),
            intermediate_size=4 * hidden, max_position_embeddings=max(512, work["length"]))).to(device).train()
        self.optimiser = torch.optim.AdamW(self.model.parameters(), lr=1e-4, weight_decay=0.01, fused=device == "cuda")
        self.ids = torch.randint(5, work["vocab"], (work["batch"], work["length"]), device=device)
        # A fixed number of masked tokens: a shape that changes would be compiled again.
        self.masked = round(0.15 * self.ids.numel())
        self.scaler = torch.amp.GradScaler(device, enabled=self.type is torch.float16 and device != "cpu")
        self.loss = torch.compile(self.loss_of) if mode.endswith("compile") else self.loss_of

    def loss_of(self, inputs, places):
        wanted = self.ids.flatten()[places]
        if self.gather:
            hidden = self.model.bert(inputs)[0]
            logits = self.model.cls(hidden.flatten(0, 1)[places])
            return torch.nn.functional.cross_entropy(logits.float(), wanted)
        labels = torch.full_like(inputs, -100).flatten().index_put((places,), wanted).view_as(inputs)
        return self.model(inputs, labels=labels).loss

    def run(self):
        places = torch.randperm(self.ids.numel(), device=self.device)[:self.masked]
        inputs = self.ids.flatten().index_put((places,), torch.tensor(4, device=self.device)).view_as(self.ids)
        with torch.autocast(self.device, dtype=self.type, enabled=self.type is not None):
            loss = self.loss(inputs, places)
        self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimiser)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.scaler.step(self.optimiser)
        self.scaler.update()

    def wait(self):
        if self.device != "cpu":
            getattr(torch, self.device).synchronize()

    def seconds(self):
        self.wait()
        start = time.perf_counter()
        self.run()
        self.wait()
        return time.perf_counter() - start

    def memory(self):
        """Peak bytes on the device; None where it does not say."""
        if self.device in ("cuda", "xpu"):
            return getattr(torch, self.device).max_memory_allocated()
        return None


# ---- vkbert ----

def vkbert_command(args, work, steps):
    _, hidden = PRESETS[work["preset"]]
    config = {"vocab_size": work["vocab"], "num_attention_heads": max(1, hidden // 64),
              "max_position_embeddings": max(512, work["length"])}
    command = [args.vkbert, "bench", "train", "--json", "--quiet", "--size", work["preset"], "--config_overrides",
               ",".join(f"{key}={value}" for key, value in config.items()), "--batch", str(work["batch"]),
               "--length", str(work["length"]), "--steps", str(steps), "--precision", work["precision"]]
    return command + (["--device", args.device] if args.device else [])


def gpu_memory_of(pid):
    """Bytes that the process has on an NVIDIA device by its driver; 0 where that does not say."""
    try:
        lines = subprocess.run(["nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        return 0
    return sum(int(line.split(",")[1]) << 20 for line in lines if line.split(",")[0].strip() == str(pid)
               and line.split(",")[1].strip().isdigit())


def run_vkbert(command, watch):
    """The result of bench train, with peak_bytes where they are known."""
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    seen = [0]

    def look():
        while watch and child.poll() is None:
            seen[0] = max(seen[0], gpu_memory_of(child.pid))
            time.sleep(0.2)
    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    out, errors = child.communicate()
    watcher.join()
    if child.returncode:
        raise RuntimeError(errors.strip().splitlines()[-1] if errors.strip() else f"exit code {child.returncode}")
    result = json.loads(out)
    result["peak_bytes"] = seen[0] or None
    return result


# ---- One kind of work ----

def one_line(error):
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]


def compare(args, device, work):
    """Rows of the table: {program, mode, seconds, peak_bytes, error}."""
    rows, steps = [], {}
    for mode in args.modes:
        row = {"program": "PyTorch", "mode": mode, "seconds": None, "peak_bytes": None, "times": []}
        rows.append(row)
        try:
            if device in ("cuda", "xpu"):
                getattr(torch, device).reset_peak_memory_stats()
            step = PyTorchStep(device, work, mode)
            for _ in range(2):  # compiles, allocates
                step.seconds()
            row["peak_bytes"] = step.memory()
            steps[mode] = (step, row)
        except Exception as error:  # a missing compiler, no memory: PyTorch has many names for them
            row["error"] = one_line(error)
    own = {"program": "vkbert", "mode": "tuned" if args.tune else "", "seconds": None, "peak_bytes": None, "times": []}
    rows.append(own)
    try:
        if args.tune:
            run_vkbert(vkbert_command(args, work, 1) + ["--tune"], False)
        for _ in range(args.rounds):
            for step, row in steps.values():
                row["times"].append(statistics.median(step.seconds() for _ in range(args.steps)))
            result = run_vkbert(vkbert_command(args, work, args.steps), device == "cuda")
            own["times"].append(result["step_seconds"])
            own["peak_bytes"] = max(own["peak_bytes"] or 0, result["peak_bytes"] or 0) or None
            own["device"] = f"{result['device']}, {result['driver']}"
    except (RuntimeError, OSError, ValueError) as error:
        own["error"] = one_line(error)
    for row in rows:
        if row["times"]:
            row["seconds"] = statistics.median(row["times"])
    return rows


# ---- Results ----

def table(results):
    lines = ["| model | rows x length | precision | program | ms a step | sequences/s | peak GiB | vkbert / it |",
             "|---|---|---|---|---|---|---|---|"]
    for work, rows in results:
        ours = rows[-1]["seconds"]
        for row in rows:
            name = f"{row['program']} {row['mode']}".strip()
            start = f"| {work['preset']} | {work['batch']} x {work['length']} | {work['precision']} | {name} "
            if not row["seconds"]:
                lines.append(start + f"| {row.get('error', 'not run')} | | | |")
                continue
            memory = f"{row['peak_bytes'] / 2**30:.2f}" if row["peak_bytes"] else ""
            ratio = f"{row['seconds'] / ours:.2f}x" if ours and row is not rows[-1] else ""
            lines.append(start + f"| {1e3 * row['seconds']:.1f} | {work['batch'] / row['seconds']:.1f} | {memory} | {ratio} |")
    return "\n".join(lines)


def main():
    args = arguments()
    device = torch_device(args.torch_device)
    if not args.device and device == "cpu":
        args.device = "cpu"
    works = [{"preset": preset, "length": length, "batch": max(1, args.batch * args.lengths[0] // length),
              "precision": precision, "vocab": args.vocab}
             for preset in args.presets for length in args.lengths for precision in args.precisions]
    results = [(work, compare(args, device, work)) for work in works]
    command = shlex.join(["tools/compare_pytorch.py"] + sys.argv[1:])
    ours = next((rows[-1]["device"] for _, rows in results if "device" in rows[-1]), "did not run")
    version = subprocess.run([args.vkbert, "--version"], stdout=subprocess.PIPE, text=True, check=False).stdout
    head = (f"PyTorch {torch.__version__}, transformers {transformers.__version__}, {torch_device_name(device)}; "
            f"{version.splitlines()[0] if version else 'vkbert'}, {ours}; medians of {args.rounds} rounds of {args.steps} steps; "
            "the last column: sequences/s of vkbert over the row's.")
    text = f"`{command}`\n\n{head}\n\n{table(results)}\n"
    print(text)
    if args.output:
        with open(args.output, "w", encoding="utf-8") as file:
            file.write(text)
    if args.json:
        document = {"command": command, "torch": torch.__version__, "transformers": transformers.__version__,
                    "torch_device": torch_device_name(device), "vkbert": version.strip(), "vkbert_device": ours,
                    "cores": os.cpu_count(), "results": [{**work, "rows": rows} for work, rows in results]}
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=2)
    sys.exit(any("error" in rows[-1] for _, rows in results))


main()
