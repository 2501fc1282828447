#!/usr/bin/env python3
"""Checks that transformers and vkbert open each other's models and give the same answers.

    tools/check_transformers.py PROGRAM [FOLDER_OF_BERT_BASE]

PROGRAM is vkbert. It trains a small model on text made here, which transformers opens without a missing or unexpected
tensor; the fill-mask pipeline and vkbert fill-mask must agree on tokens, texts, and scores within 1e-4. Then
transformers saves the model, and vkbert must answer the same from that folder. With bert-base-uncased, the same again on
real weights. It needs torch and transformers. Exit code 1 after any difference.
"""
import json
import os
import subprocess
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
try:
    import torch  # noqa: F401, transformers needs it
    from transformers import AutoModelForMaskedLM, AutoTokenizer, pipeline
except ImportError as error:
    print(f"skipped: {error}: the check needs the Python packages torch and transformers")
    sys.exit(77)

failures = 0


def check(condition, sentence):
    global failures
    if not condition:
        failures += 1
        print("FAIL", sentence)


def vkbert(program, *args):
    return subprocess.run([program, *args], check=True, capture_output=True, text=True).stdout


def write_text(path):
    animals = {"cat": "purrs", "dog": "barks", "bee": "hums", "horse": "neighs", "eagle": "screams"}
    places = ["garden", "kitchen", "forest", "river"]
    with open(path, "w") as file:
        for i in range(200):
            animal = list(animals)[(i * 3 + i // 5) % 5]
            file.write(f"The {animal} in the {places[(i + i // 4) % 4]} {animals[animal]}, day {i % 17}.\n")


def same_answers(program, folder, reference, texts, top_k=5):
    """vkbert's answers from `folder` against the pipeline's from `reference`."""
    filler = pipeline("fill-mask", model=AutoModelForMaskedLM.from_pretrained(reference).eval(),
                      tokenizer=AutoTokenizer.from_pretrained(reference), top_k=top_k, device="cpu")
    worst = 0.0
    answers = json.loads(vkbert(program, "fill-mask", "-m", folder, "--json", "--top-k", str(top_k), *texts))
    for text, ours in zip(texts, answers, strict=True):
        theirs = filler(text)
        several = isinstance(theirs[0], list)
        for our_mask, their_mask in zip(ours if several else [ours], theirs if several else [theirs], strict=True):
            # Answers whose scores are equal to rounding may stand in another order: they are looked up by token.
            by_token = {answer["token"]: answer for answer in our_mask}
            for answer in their_mask:
                mine = by_token.get(answer["token"])
                if mine is None:
                    least = min(a["score"] for a in our_mask)
                    check(abs(answer["score"] - least) < 1e-4, f"{text}: {answer['token_str']} is missing")
                    continue
                worst = max(worst, abs(mine["score"] - answer["score"]))
                check(abs(mine["score"] - answer["score"]) < 1e-4,
                      f"{text}: {answer['token_str']} {mine['score']} instead of {answer['score']}")
                for key in ("token_str", "sequence"):
                    check(mine[key] == answer[key], f"{text}: {key} {mine[key]!r} instead of {answer[key]!r}")
    print(f"{os.path.basename(folder)}: {len(texts)} texts, largest difference of a score {worst:.2g}")


def opens_clean(folder):
    _, info = AutoModelForMaskedLM.from_pretrained(folder, output_loading_info=True)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        check(not info[kind], f"{folder}: {kind} {info[kind]}")


def main(program, bert_base=None):
    with tempfile.TemporaryDirectory() as folder:
        text, ours, theirs = (os.path.join(folder, name) for name in ("text.txt", "ours", "theirs"))
        write_text(text)
        vkbert(program, "train", "--train-file", text, "--output-dir", ours, "--recipe", "small", "--vocab-size", "200",
               "--config-overrides", "hidden_size=32,num_hidden_layers=2,intermediate_size=64", "--max-steps", "150",
               "--quiet")
        opens_clean(ours)
        texts = ["The cat in the garden [MASK], day 3.", "The [MASK] in the forest barks, [MASK] 12.", "[MASK]!"]
        same_answers(program, ours, ours, texts)
        model, tokenizer = AutoModelForMaskedLM.from_pretrained(ours), AutoTokenizer.from_pretrained(ours)
        model.save_pretrained(theirs)
        tokenizer.save_pretrained(theirs)
        same_answers(program, theirs, ours, texts)
    if bert_base:
        same_answers(program, bert_base, bert_base,
                     ["The capital of France is [MASK].", "Hello I'm a [MASK] model.", "[MASK] is the [MASK] of life."])
    sys.exit(1 if failures else 0)


if len(sys.argv) not in (2, 3):
    sys.exit("usage: check_transformers.py PROGRAM [FOLDER_OF_BERT_BASE]")
main(*sys.argv[1:])
