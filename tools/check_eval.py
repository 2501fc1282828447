#!/usr/bin/env python3
"""Checks that vkbert eval gives transformers' numbers for the same masks.

    tools/check_eval.py PROGRAM [MODEL TEXT [FLAGS...]]

PROGRAM is vkbert. `eval --export-masks` writes each row as its model read it; the same rows then go through
transformers, one at a time and without padding. Loss, perplexity, next-sentence loss and accuracy, pseudo-perplexity
and each row's log likelihood must agree to 1e-5 of their size; hits may differ only where two logits are equal to rounding.

Without MODEL, a small model with both heads is trained on text made here, and every kind of rows and masks is checked.
With MODEL (a folder of, say, bert-base-uncased) and TEXT, that model on that text: masked at random and then with
--pseudo-perplexity, with FLAGS of vkbert eval, as --max-eval-samples 20. It needs torch and transformers. Exit code 1
after any difference.
"""
import json
import math
import os
import subprocess
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
try:
    import torch
    from transformers import AutoModelForMaskedLM, AutoTokenizer, BertForPreTraining, TrainerState
except ImportError as error:
    print(f"skipped: {error}: the check needs the Python packages torch and transformers")
    sys.exit(77)

TOLERANCE = 1e-5
TIE = 1e-4      # logits nearer than that may stand in another order
COPIES = 64     # masked copies of a row that transformers gets at once
failures = 0


def check(condition, sentence):
    global failures
    if not condition:
        failures += 1
        print("FAIL", sentence)


def near(ours, theirs, what):
    """How far apart, in units of the value where that is above 1."""
    difference = abs(ours - theirs) / max(1.0, abs(theirs))
    check(difference <= TOLERANCE, f"{what} {ours} instead of {theirs}")
    return difference


def vkbert(program, *args):
    result = subprocess.run([program, *args], capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"vkbert {' '.join(args)}: {result.stderr.strip()}")
    return result.stdout


class Sums:
    """What transformers says of the rows so far."""

    def __init__(self):
        self.log_likelihood, self.tokens = 0.0, 0
        self.hits = {1: [0, 0], 5: [0, 0]}      # fewest and most, ties being what they are
        self.pair_loss, self.pairs, self.pairs_right = 0.0, 0, 0

    def add(self, logits, labels):
        """logits [n][V] of the tokens whose ids are labels [n]; returns their log likelihood."""
        logits = logits.double()
        truth = logits.gather(1, labels[:, None])
        likelihood = (truth[:, 0] - logits.logsumexp(1)).sum().item()
        better, as_good = (logits > truth + TIE).sum(1), (logits > truth - TIE).sum(1) - 1
        for k, range_ in self.hits.items():
            range_[0] += int((as_good < k).sum())
            range_[1] += int((better < k).sum())
        self.log_likelihood += likelihood
        self.tokens += len(labels)
        return likelihood


def forward(model, row, ids):
    """The model's outputs for copies [n][T] of a row's ids: a token sees those of its own segment."""
    def repeat(key):
        return torch.tensor(row[key])[None].expand(len(ids), -1)

    segments = torch.tensor(row["segments"])
    sees = (segments[:, None] == segments[None]).long()[None].expand(len(ids), -1, -1)
    with torch.no_grad():
        return model(input_ids=ids, token_type_ids=repeat("token_type_ids"), position_ids=repeat("position_ids"),
                     attention_mask=sees)


def add_masked(model, row, sums):
    """A row that was masked: one pass."""
    output = forward(model, row, torch.tensor([row["input_ids"]]))
    labels = torch.tensor(row["labels"])
    at = labels != -100
    logits = output.logits if "logits" in output else output.prediction_logits
    likelihood = sums.add(logits[0][at], labels[at])
    if "next_sentence_label" in row:
        label, pair = row["next_sentence_label"], output.seq_relationship_logits[0].double()
        sums.pair_loss -= pair.log_softmax(0)[label].item()
        sums.pairs += 1
        sums.pairs_right += int(pair.argmax()) == label
    return likelihood


def add_pseudo(model, row, sums, mask_id):
    """A row whose labelled tokens are masked one at a time."""
    labels, likelihood = torch.tensor(row["labels"]), 0.0
    for places in (labels != -100).nonzero()[:, 0].split(COPIES):
        ids = torch.tensor(row["input_ids"]).repeat(len(places), 1)
        ids[range(len(places)), places] = mask_id
        output = forward(model, row, ids)
        logits = output.logits if "logits" in output else output.prediction_logits
        likelihood += sums.add(logits[range(len(places)), places], labels[places])
    return likelihood


def same_numbers(program, folder, model, tokenizer, text, name, flags):
    """vkbert's evaluation of the text with these flags, and transformers' of the rows that it exports."""
    pseudo = "--pseudo-perplexity" in flags
    with tempfile.TemporaryDirectory() as work:
        path = os.path.join(work, "rows.jsonl")
        ours = json.loads(vkbert(program, "eval", "-m", folder, "--validation-file", text, "--json", "--export-masks", path,
                                 *flags))
        with open(path) as file:
            rows = [json.loads(line) for line in file]
    sums, worst = Sums(), 0.0
    check([row["row"] for row in rows] == list(range(ours["rows"])), f"{name}: {len(rows)} rows instead of {ours['rows']}")
    for row in rows:
        theirs = add_pseudo(model, row, sums, tokenizer.mask_token_id) if pseudo else add_masked(model, row, sums)
        worst = max(worst, near(row["log_likelihood"], theirs, f"{name}, row {row['row']}: log_likelihood"))
    tokens = ours["tokens" if pseudo else "masked_tokens"]
    check(tokens == sums.tokens, f"{name}: {tokens} tokens instead of {sums.tokens}")
    if sums.tokens:
        loss = -sums.log_likelihood / sums.tokens
        if pseudo:
            worst = max(worst, near(ours["pseudo_log_likelihood"], sums.log_likelihood, f"{name}: pseudo_log_likelihood"))
        else:
            worst = max(worst, near(ours["loss"], loss, f"{name}: loss"))
        key = "pseudo_perplexity" if pseudo else "perplexity"
        worst = max(worst, near(ours[key], math.exp(loss), f"{name}: {key}"))
        for k, (fewest, most) in sums.hits.items():
            hits = round(ours[f"top{k}"] * sums.tokens)
            check(fewest <= hits <= most, f"{name}: top{k} has {hits} hits instead of {fewest} to {most}")
    if sums.pairs:
        worst = max(worst, near(ours["next_sentence_loss"], sums.pair_loss / sums.pairs, f"{name}: next_sentence_loss"))
        check(round(ours["next_sentence_accuracy"] * sums.pairs) == sums.pairs_right,
              f"{name}: next_sentence_accuracy {ours['next_sentence_accuracy']} instead of {sums.pairs_right}/{sums.pairs}")
    summary = ", ".join(f"{key} {value:.6g}" for key, value in ours.items() if key not in ("seconds", "max_seq_length"))
    print(f"{name}: {summary}; largest difference {worst:.2g}")
    return ours, rows


def same_ids(rows, tokenizer, text, length, name):
    """Without their masks, rows of lines are what the tokenizer makes of the lines."""
    with open(text) as file:
        lines = [line.strip() for line in file if line.strip()]
    check(len(rows) == len(lines), f"{name}: {len(rows)} rows of {len(lines)} lines")
    for row, line in zip(rows, lines):
        ids = [label if label != -100 else id_ for id_, label in zip(row["input_ids"], row["labels"])]
        expected = tokenizer(line, truncation=True, max_length=length)["input_ids"]
        check(ids == expected, f"{name}, row {row['row']}: ids {ids} instead of {expected}")


def write_text(path):
    """Documents of lines in which words follow from others; a line of one token, and one longer than any row."""
    animals = {"cat": "purrs", "dog": "barks", "bee": "hums", "horse": "neighs", "eagle": "screams"}
    places = ["garden", "kitchen", "forest", "river"]
    with open(path, "w") as file:
        for i in range(90):
            animal = list(animals)[(i * 3 + i // 5) % 5]
            file.write(f"The {animal} in the {places[(i + i // 4) % 4]} {animals[animal]}, day {i % 17}.\n")
            if (i + 1) % 6 == 0:
                file.write("\n")
        file.write("cat\n" + "the unforgettable dog barks , " * 30 + "\n\n")


def check_small(program, folder):
    text, both = os.path.join(folder, "text.txt"), os.path.join(folder, "both")
    length = 24
    write_text(text)
    vkbert(program, "train", "--do-train", "--train-file", text, "--validation-file", text, "--output-dir", both,
           "--recipe", "small", "--vocab-size", "150", "--objective", "mlm+nsp", "--max-steps", "60", "--quiet",
           "--config-overrides", "hidden_size=32,num_hidden_layers=2,intermediate_size=64")
    model, tokenizer = BertForPreTraining.from_pretrained(both).eval(), AutoTokenizer.from_pretrained(both)
    state = TrainerState.load_from_json(os.path.join(both, "trainer_state.json"))
    check(state.global_step == 60 and [entry["step"] for entry in state.log_history if "loss" in entry][-1:] == [60],
          f"trainer_state.json: step {state.global_step}, log_history {state.log_history}")
    cases = {
        "grouped": [],
        "lines": ["--line-by-line"],
        "packed": ["--packing", "--masking", "tutorial"],
        "pairs": ["--objective", "mlm+nsp"],
        "whole words": ["--packing", "--masking", "whole-word", "--per-device-eval-batch-size", "3"],
        "next sentence alone": ["--objective", "nsp"],
        "pseudo": ["--pseudo-perplexity"],
        "pseudo, packed": ["--pseudo-perplexity", "--packing", "--per-device-eval-batch-size", "5"],
        "pseudo, grouped": ["--pseudo-perplexity", "--line-by-line", "false", "--max-eval-samples", "5"],
    }
    for name, flags in cases.items():
        _, rows = same_numbers(program, both, model, tokenizer, text, name, ["--max-seq-length", str(length), *flags])
        if name in ("lines", "pseudo"):
            same_ids(rows, tokenizer, text, length, name)


def main(program, *rest):
    torch.set_num_threads(min(4, os.cpu_count()))
    if rest:
        folder, text, *flags = rest
        model, tokenizer = AutoModelForMaskedLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
        same_numbers(program, folder, model, tokenizer, text, "masked at random", flags)
        same_numbers(program, folder, model, tokenizer, text, "pseudo", [*flags, "--pseudo-perplexity"])
    else:
        with tempfile.TemporaryDirectory() as folder:
            check_small(program, folder)
    sys.exit(1 if failures else 0)


if len(sys.argv) < 2 or len(sys.argv) == 3:
    sys.exit("usage: check_eval.py PROGRAM [MODEL TEXT [FLAGS...]]")
main(*sys.argv[1:])
