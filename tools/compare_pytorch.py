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

With --text, a file of lines, the rows are its lines: in PyTorch a line a row, padded to the longest of its batch, as run_mlm
--line_by_line has them, in vkbert packed (`train --packing`); what counts is tokens/s without the padding.

    tools/compare_pytorch.py --text lines.txt --tokenizer FOLDER --presets mini --modes eager gather

--batch is of the first length; longer rows get fewer of them, so that a step has as many tokens. Both programs run
--rounds times, one after the other, so that a machine that is slow for a while is slow for both; medians over all rounds are
compared. It needs torch and transformers; a mode that fails (no compiler, no memory) is a line of the table that says so.
"""
import argparse
import json
import os
import platform
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
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
    add("--text", help="a file of lines, instead of random rows")
    add("--tokenizer", help="with --text: a folder with vocab.txt, whose size --vocab then is")
    add("--rounds", type=int, default=3, help="of each program in turn [3]")
    add("--steps", type=int, default=5, help="that are timed in a round [5]")
    add("--tune", action="store_true", help="let vkbert measure its kernels first")
    add("--output", help="write the table there too, as Markdown")
    add("--json", help="write everything there as one JSON document")
    args = parser.parse_args()
    if bool(args.text) != bool(args.tokenizer):
        parser.error("--text and --tokenizer go together")
    return args


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


class RandomRows:
    """Batches of random tokens, with a fixed number of masked ones: a shape that changes would be compiled again."""

    def __init__(self, device, work):
        self.device = device
        self.ids = torch.randint(5, work["vocab"], (work["batch"], work["length"]), device=device)

    def next(self):
        """(ids, attention_mask or None, places of the masked tokens, how many rows)"""
        places = torch.randperm(self.ids.numel(), device=self.device)[:round(0.15 * self.ids.numel())]
        return self.ids, None, places, len(self.ids)


class TextLines:
    """Batches of lines of a text in random order, each batch as long as its longest line."""

    def __init__(self, device, work):
        self.device, self.batch = device, work["batch"]
        tokenizer = transformers.BertTokenizerFast.from_pretrained(work["tokenizer"])
        with open(work["text"], encoding="utf-8") as file:
            lines = [line.strip() for line in file if line.strip()]
        self.rows = tokenizer(lines, truncation=True, max_length=work["length"])["input_ids"]

    def next(self):
        """The same, but for the last: how many tokens that are no padding"""
        rows = [self.rows[i] for i in torch.randperm(len(self.rows))[:self.batch]]
        longest = max(map(len, rows))
        ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows], device=self.device)
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=self.device)
        wanted = (torch.rand(ids.shape, device=self.device) < 0.15) & (mask == 1) & (ids != 101) & (ids != 102)
        return ids, mask, wanted.flatten().nonzero().flatten(), sum(map(len, rows))


class PyTorchStep:
    """Training steps in one of the modes."""

    def __init__(self, device, work, mode):
        layers, hidden = PRESETS[work["preset"]]
        torch.manual_seed(0)
        self.device, self.type, self.gather = device, TYPES[work["precision"]], mode.startswith("gather")
        self.model = BertForMaskedLM(BertConfig(
            vocab_size=work["vocab"], hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=max(1, hidden // 64),
            intermediate_size=4 * hidden, max_position_embeddings=max(512, work["length"]))).to(device).train()
        self.optimiser = torch.optim.AdamW(self.model.parameters(), lr=1e-4, weight_decay=0.01, fused=device == "cuda")
        self.rows = TextLines(device, work) if work["text"] else RandomRows(device, work)
        self.scaler = torch.amp.GradScaler(device, enabled=self.type is torch.float16 and device != "cpu")
        self.loss = torch.compile(self.loss_of) if mode.endswith("compile") else self.loss_of

    def loss_of(self, ids, mask, places):
        wanted = ids.flatten()[places]
        inputs = ids.flatten().index_put((places,), torch.tensor(4, device=self.device)).view_as(ids)
        if self.gather:
            hidden = self.model.bert(inputs, attention_mask=mask)[0]
            logits = self.model.cls(hidden.flatten(0, 1)[places])
            return torch.nn.functional.cross_entropy(logits.float(), wanted)
        labels = torch.full_like(inputs, -100).flatten().index_put((places,), wanted).view_as(inputs)
        return self.model(inputs, attention_mask=mask, labels=labels).loss

    def run(self):
        """One step; how many rows, or tokens, it had."""
        ids, mask, places, count = self.rows.next()
        with torch.autocast(self.device, dtype=self.type, enabled=self.type is not None):
            loss = self.loss(ids, mask, places)
        self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimiser)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        return count

    def wait(self):
        if self.device != "cpu":
            getattr(torch, self.device).synchronize()

    def seconds(self):
        """Of one row, or of one token, in one step."""
        self.wait()
        start = time.perf_counter()
        count = self.run()
        self.wait()
        return (time.perf_counter() - start) / count

    def memory(self):
        """Peak bytes on the device; None where it does not say."""
        if self.device in ("cuda", "xpu"):
            return getattr(torch, self.device).max_memory_allocated()
        return None


# ---- vkbert ----

def vkbert_command(args, work, steps, folder):
    _, hidden = PRESETS[work["preset"]]
    config = {"vocab_size": work["vocab"], "num_attention_heads": max(1, hidden // 64),
              "max_position_embeddings": max(512, work["length"])}
    if work["text"]:
        del config["vocab_size"]
        return [args.vkbert, "train", "--size", work["preset"], "--config_overrides",
                ",".join(f"{key}={value}" for key, value in config.items()), "--tokenizer_name", work["tokenizer"],
                "--train_file", work["text"], "--validation_split_percentage", "0", "--packing", "--max_seq_length", str(work["length"]),
                "--per_device_train_batch_size", str(work["batch"]), "--max_steps", str(steps + 2), "--logging_steps", "1",
                "--save_strategy", "no", "--no-tune", "--precision", work["precision"], "--do_train", "--overwrite_output_dir",
                "--output_dir", folder] + (["--device", args.device] if args.device else [])
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
    """What it printed, what it logged, and its peak bytes where they are known."""
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
    return out, errors, seen[0] or None


def time_vkbert(args, work, device):
    """(seconds a row, or a token, peak bytes or None, name of the device)"""
    with tempfile.TemporaryDirectory() as folder:
        out, log, peak = run_vkbert(vkbert_command(args, work, args.steps, folder), device == "cuda")
        if not work["text"]:
            result = json.loads(out)
            return result["step_seconds"] / work["batch"], peak, f"{result['device']}, {result['driver']}"
        with open(os.path.join(folder, "metrics.jsonl"), encoding="utf-8") as file:
            paces = [json.loads(line)["tokens_per_second"] for line in file]
        return 1 / statistics.median(paces[2:]), peak, re.search("^device: (.*)", log, re.MULTILINE)[1]


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
            run_vkbert(vkbert_command(args, {**work, "text": None}, 1, "") + ["--tune"], False)
        for _ in range(args.rounds):
            for step, row in steps.values():
                row["times"].append(statistics.median(step.seconds() for _ in range(args.steps)))
            seconds, peak, own["device"] = time_vkbert(args, work, device)
            own["times"].append(seconds)
            own["peak_bytes"] = max(own["peak_bytes"] or 0, peak or 0) or None
    except (RuntimeError, OSError, ValueError) as error:
        own["error"] = one_line(error)
    for row in rows:
        if row["times"]:
            row["seconds"] = statistics.median(row["times"])
    return rows


# ---- Results ----

def table(results, unit):
    lines = [f"| model | rows x length | precision | program | {unit}/s | peak GiB | vkbert / it |",
             "|---|---|---|---|---|---|---|"]
    for work, rows in results:
        ours = rows[-1]["seconds"]
        for row in rows:
            name = f"{row['program']} {row['mode']}".strip()
            start = f"| {work['preset']} | {work['batch']} x {work['length']} | {work['precision']} | {name} "
            if not row["seconds"]:
                lines.append(start + f"| {row.get('error', 'not run')} | | |")
                continue
            memory = f"{row['peak_bytes'] / 2**30:.2f}" if row["peak_bytes"] else ""
            ratio = f"{row['seconds'] / ours:.2f}x" if ours and row is not rows[-1] else ""
            lines.append(start + f"| {1 / row['seconds']:.4g} | {memory} | {ratio} |")
    return "\n".join(lines)


def main():
    args = arguments()
    device = torch_device(args.torch_device)
    if not args.device and device == "cpu":
        args.device = "cpu"
    if args.tokenizer:
        with open(os.path.join(args.tokenizer, "vocab.txt"), encoding="utf-8") as file:
            args.vocab = sum(1 for _ in file)
    unit = "tokens" if args.text else "sequences"
    works = [{"text": args.text, "tokenizer": args.tokenizer, "preset": preset, "length": length, "batch": max(1, args.batch * args.lengths[0] // length),
              "precision": precision, "vocab": args.vocab}
             for preset in args.presets for length in args.lengths for precision in args.precisions]
    results = [(work, compare(args, device, work)) for work in works]
    command = shlex.join(["tools/compare_pytorch.py"] + sys.argv[1:])
    ours = next((rows[-1]["device"] for _, rows in results if "device" in rows[-1]), "did not run")
    version = subprocess.run([args.vkbert, "--version"], stdout=subprocess.PIPE, text=True, check=False).stdout
    head = (f"PyTorch {torch.__version__}, transformers {transformers.__version__}, {torch_device_name(device)}; "
            f"{version.splitlines()[0] if version else 'vkbert'}, {ours}; medians of {args.rounds} rounds of {args.steps} steps; "
            f"the last column: {unit}/s of vkbert over the row's.")
    text = f"`{command}`\n\n{head}\n\n{table(results, unit)}\n"
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
