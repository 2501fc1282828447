#!/usr/bin/env python3
"""Checks that transformers and vkbert open each other's models and give the same answers.

    tools/check_transformers.py PROGRAM [FOLDER_OF_BERT_BASE]

PROGRAM is vkbert. It trains a small model on text made here, which transformers opens without a missing or unexpected
tensor; the fill-mask pipeline and vkbert fill-mask must agree on tokens, texts, and scores within 1e-4. Then
transformers saves the model, and vkbert must answer the same from that folder. The same of a model that is trained with
next-sentence prediction, a BertForPreTraining: its loss over a file of pairs, and its way through vkbert, transformers
and vkbert again to the bit. Saved as pytorch_model.bin, in both containers, with names as in 2018, or in shards, the
model gives the same numbers. Models of each kind go from transformers through vkbert convert and back: model.safetensors
must be transformers' own, byte for byte, in fp32, fp16 and bf16, under old and new names. A vocabulary that grows is
held against resize_token_embeddings. With bert-base-uncased, fill-mask on real weights, and the same round trip. It
needs torch and transformers. Exit code 1 after any difference.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
try:
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import (AutoConfig, AutoModelForMaskedLM, AutoTokenizer, BertConfig, BertForMaskedLM,
                              BertForNextSentencePrediction, BertForPreTraining, BertForSequenceClassification, BertModel,
                              pipeline)
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


def write_text(path, lines_a_document=0):
    animals = {"cat": "purrs", "dog": "barks", "bee": "hums", "horse": "neighs", "eagle": "screams"}
    places = ["garden", "kitchen", "forest", "river"]
    with open(path, "w") as file:
        for i in range(200):
            animal = list(animals)[(i * 3 + i // 5) % 5]
            file.write(f"The {animal} in the {places[(i + i // 4) % 4]} {animals[animal]}, day {i % 17}.\n")
            if lines_a_document and (i + 1) % lines_a_document == 0:
                file.write("\n")


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


def opens_clean(folder, kind_of_model=AutoModelForMaskedLM):
    model, info = kind_of_model.from_pretrained(folder, output_loading_info=True)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        check(not info[kind], f"{folder}: {kind} {info[kind]}")
    return model.eval()


def same_tensors(folder, reference):
    ours, theirs = (load_file(os.path.join(each, "model.safetensors")) for each in (folder, reference))
    check(ours.keys() == theirs.keys(), f"{folder}: has other tensors than {reference}: {ours.keys() ^ theirs.keys()}")
    for name in ours.keys() & theirs.keys():
        check(torch.equal(ours[name], theirs[name]), f"{folder}: {name} differs from {reference}")


def same_next_sentence(program, folder, model, tokenizer, first, second, path):
    """The loss of two documents of one text each: each text's B is the other document's, a random one."""
    with open(path, "w") as file:
        file.write(f"{first}\n\n{second}\n")
    ours = json.loads(vkbert(program, "eval", "-m", folder, "--validation-file", path, "--objective", "nsp",
                             "--short-seq-probability", "0", "--json"))
    pairs = tokenizer([first, second], [second, first], padding=True, return_tensors="pt")
    with torch.no_grad():
        logits = model(**pairs).seq_relationship_logits
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor([1, 1])).item()
    right = (logits[:, 1] > logits[:, 0]).float().mean().item()
    check(ours["rows"] == 2, f"{first} / {second}: {ours['rows']} rows instead of 2")
    check(abs(ours["next_sentence_loss"] - loss) < 1e-5,
          f"{first} / {second}: next_sentence_loss {ours['next_sentence_loss']} instead of {loss}")
    check(ours["next_sentence_accuracy"] == right,
          f"{first} / {second}: next_sentence_accuracy {ours['next_sentence_accuracy']} instead of {right}")
    return abs(ours["next_sentence_loss"] - loss)


def with_next_sentence(program, folder):
    """A model with both heads, made by vkbert, saved by transformers, and saved again by vkbert."""
    documents, pairs, ours, theirs, again = (
        os.path.join(folder, name) for name in ("documents.txt", "pairs.txt", "both", "both-theirs", "both-again"))
    write_text(documents, lines_a_document=5)
    vkbert(program, "train", "--train-file", documents, "--output-dir", ours, "--recipe", "small", "--vocab-size", "200",
           "--config-overrides", "hidden_size=32,num_hidden_layers=2,intermediate_size=64", "--max-steps", "60",
           "--objective", "mlm+nsp", "--quiet")
    model, tokenizer = opens_clean(ours, BertForPreTraining), AutoTokenizer.from_pretrained(ours)
    same_answers(program, ours, ours, ["The cat in the garden [MASK], day 3.", "[MASK]!"])
    texts = ["The cat in the garden purrs, day 3.", "The bee hums.", "The dog in the kitchen barks, day 12.", "Day 1"]
    worst = max(same_next_sentence(program, ours, model, tokenizer, first, second, pairs)
                for first, second in zip(texts, texts[1:]))
    print(f"both: {2 * len(texts) - 2} pairs, largest difference of a loss {worst:.2g}")
    model.save_pretrained(theirs)
    tokenizer.save_pretrained(theirs)
    same_tensors(theirs, ours)
    # The first step of a warm-up runs at a rate of 0: what is saved is what was loaded. The objective is mlm.
    vkbert(program, "train", "-m", theirs, "--train-file", documents, "--output-dir", again, "--max-steps", "1",
           "--warmup-steps", "1", "--quiet")
    same_tensors(again, ours)
    opens_clean(again, BertForPreTraining)


def same_from_torch(program, folder, texts):
    """The model in `folder` as pytorch_model.bin, beside its config and tokenizer, in all the ways of saving it."""
    def answers(of):
        return vkbert(program, "fill-mask", "-m", of, "--json", *texts)

    expected, model = answers(folder), AutoModelForMaskedLM.from_pretrained(folder)
    old = {"module." + name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"):
           tensor for name, tensor in model.state_dict().items()}
    ways = {
        "torch-zip": lambda path: torch.save(model.state_dict(), os.path.join(path, "pytorch_model.bin")),
        "torch-legacy": lambda path: torch.save({"epoch": 1, "state_dict": old}, os.path.join(path, "pytorch_model.bin"),
                                                _use_new_zipfile_serialization=False),
        "torch-shards": lambda path: model.save_pretrained(path, safe_serialization=False, max_shard_size="20KB"),
    }
    for name, save in ways.items():
        path = os.path.join(os.path.dirname(folder), name)
        shutil.copytree(folder, path)
        os.remove(os.path.join(path, "model.safetensors"))
        save(path)
        check(answers(path) == expected, f"{name}: other answers than from model.safetensors")
    check(os.path.exists(os.path.join(path, "pytorch_model.bin.index.json")), "torch-shards: has no index")
    print(f"{len(ways)} ways of torch.save: {len(texts)} texts, equal")
# ---- Round trips: transformers -> vkbert -> transformers ----

def read(*path):
    with open(os.path.join(*path), "rb") as file:
        return file.read()


def same_weights_file(folder, reference):
    """Names, order, shapes, padding, metadata and values at once."""
    check(read(folder, "model.safetensors") == read(reference, "model.safetensors"),
          f"{folder}/model.safetensors is not what transformers wrote in {reference}")


def same_config(folder, reference):
    ours, theirs = (AutoConfig.from_pretrained(each).to_dict() for each in (folder, reference))
    for key in ("_name_or_path", "transformers_version"):
        ours.pop(key, None), theirs.pop(key, None)
    differences = {key: (ours.get(key), theirs.get(key)) for key in ours.keys() | theirs.keys()
                   if ours.get(key) != theirs.get(key)}
    check(not differences, f"{folder}/config.json differs: {differences}")
    written, original = (json.loads(read(each, "config.json")) for each in (folder, reference))
    check(list(written)[:len(original)] == list(original), f"{folder}/config.json: other keys, or another order: "
          f"{list(written)} instead of {list(original)}")


def small_config(**changes):
    return BertConfig(vocab_size=90, hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=80,
                      max_position_embeddings=40, a_key_of_their_own=[1, {"deep": None}], **changes)


def save_old_names(model, folder):
    """As the checkpoints of 2018 name their tensors."""
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    tensors = {}
    for name, tensor in model.state_dict().items():
        name = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        tensors[name] = tensor.clone()
    save_file(tensors, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})


def round_trips(program, folder):
    torch.manual_seed(7)
    count = 0
    for kind in (BertForMaskedLM, BertForPreTraining, BertForNextSentencePrediction, BertModel):
        model = kind(small_config())
        theirs, old, ours = (os.path.join(folder, kind.__name__ + end) for end in ("", "-old", "-ours"))
        model.save_pretrained(theirs)
        save_old_names(model, old)
        for source in (theirs, old):
            vkbert(program, "convert", "-m", source, "-o", ours, "--overwrite-output-dir", "--quiet")
            same_weights_file(ours, theirs)
            same_config(ours, theirs)
            opens_clean(ours, kind)
            count += 1
        for flag, dtype in (("fp16", torch.float16), ("bf16", torch.bfloat16)):
            rounded = os.path.join(folder, f"{kind.__name__}-{flag}")
            kind.from_pretrained(theirs).to(dtype).save_pretrained(rounded)
            vkbert(program, "convert", "-m", theirs, "-o", ours, "--save-precision", flag, "--overwrite-output-dir", "--quiet")
            same_weights_file(ours, rounded)
            same_config(ours, rounded)
            count += 1
    print(f"round trips: {count} models, each weights file compared byte for byte")


def bare_under_a_prefix_and_others(program, folder):
    """A bare model whose tensors begin with bert., a classifier's head, a pooler of its own."""
    torch.manual_seed(8)
    bare = BertModel(small_config())
    theirs, prefixed, ours = (os.path.join(folder, name) for name in ("bare", "bare-prefixed", "bare-ours"))
    bare.save_pretrained(theirs)
    bare.config.save_pretrained(prefixed)
    save_file({"bert." + name: tensor for name, tensor in bare.state_dict().items()},
              os.path.join(prefixed, "model.safetensors"), metadata={"format": "pt"})
    vkbert(program, "convert", "-m", prefixed, "-o", ours, "--quiet")
    same_weights_file(ours, theirs)

    classifier, left = os.path.join(folder, "classifier"), os.path.join(folder, "classifier-ours")
    BertForSequenceClassification(small_config()).save_pretrained(classifier)
    said = subprocess.run([program, "convert", "-m", classifier, "-o", left], capture_output=True, text=True).stderr
    check("classifier.bias, classifier.weight" in said, f"convert of a classifier says {said!r}")
    opens_clean(left, BertModel)
    info = json.loads(vkbert(program, "info", "-m", classifier, "--json"))
    check([each["name"] for each in info["unexpected"]] == ["classifier.bias", "classifier.weight"],
          f"info of a classifier: {info['unexpected']}")
    check(len(info["missing"]) == 5 and info["heads"] == [], f"info of a classifier: {info['missing']}, {info['heads']}")


def through_training(program, folder, tokenizer, text):
    """The first step of a warm-up runs at a rate of 0: what is saved is what was loaded."""
    torch.manual_seed(9)
    sizes = small_config(hidden_dropout_prob=0.0)
    sizes.vocab_size = len(tokenizer)
    for kind in (BertForMaskedLM, BertForPreTraining, BertModel):
        theirs, ours = (os.path.join(folder, kind.__name__ + end) for end in ("-start", "-trained"))
        kind(sizes).save_pretrained(theirs)
        tokenizer.save_pretrained(theirs)
        vkbert(program, "train", "-m", theirs, "--train-file", text, "--output-dir", ours, "--max-steps", "1",
               "--warmup-steps", "1", "--quiet")
        if kind is not BertModel:
            same_weights_file(ours, theirs)
            same_config(ours, theirs)
            opens_clean(ours, kind)
            continue
        # The encoder and the pooler are as they were; the MLM head is new.
        was, now = (load_file(os.path.join(each, "model.safetensors")) for each in (theirs, ours))
        for name in was:
            check(torch.equal(was[name], now["bert." + name]), f"{ours}: bert.{name} is not what it was")
        check(len(now) == len(was) + 5, f"{ours}: {len(now)} tensors, {len(was)} before")
        model, info = BertForMaskedLM.from_pretrained(ours, output_loading_info=True)
        check(not info["missing_keys"], f"{ours}: missing {info['missing_keys']}")


def grown_vocabulary(program, folder, tokenizer, text):
    """run_mlm's resize_token_embeddings, beside train with a tokenizer that has tokens added."""
    theirs, larger, ours = (os.path.join(folder, name) for name in ("BertForPreTraining-start", "larger", "grown"))
    tokenizer.add_tokens([f"word{i}" for i in range(50)])
    tokenizer.save_pretrained(larger)
    vkbert(program, "train", "-m", theirs, "--tokenizer-name", larger, "--train-file", text, "--output-dir", ours,
           "--max-steps", "1", "--warmup-steps", "1", "--quiet")
    model = BertForPreTraining.from_pretrained(theirs)
    old = model.get_input_embeddings().weight.detach().clone()
    model.resize_token_embeddings(len(tokenizer))
    expected, seen = model.state_dict(), opens_clean(ours, BertForPreTraining).state_dict()
    words, bias = "bert.embeddings.word_embeddings.weight", "cls.predictions.bias"
    check(expected.keys() == seen.keys(), f"{ours}: other tensors: {expected.keys() ^ seen.keys()}")
    for name in expected.keys() & seen.keys():
        check(expected[name].shape == seen[name].shape, f"{name} is {seen[name].shape}, not {expected[name].shape}")
        if name not in (words, "cls.predictions.decoder.weight"):
            check(torch.equal(expected[name], seen[name]), f"{name} differs from the resized model's")
    rows = len(old)
    check(torch.equal(seen[words][:rows], old), "the old rows changed")
    # How far new rows lie from the mean: both draw from the same distribution.
    far = [(each[words][rows:] - old.mean(0)).std().item() for each in (expected, seen)]
    check(0.8 < far[1] / far[0] < 1.25, f"new rows lie {far[1]:.3g} from the mean, transformers' {far[0]:.3g}")
    check(AutoConfig.from_pretrained(ours).vocab_size == rows + 50, "config.json has the old vocab_size")
    check(len(AutoTokenizer.from_pretrained(ours)) == rows + 50, "the tokenizer lost its added tokens")
    print(f"grown vocabulary: {rows} to {rows + 50} rows, {far[1]:.3g} from the mean, transformers' {far[0]:.3g}")


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
        same_from_torch(program, theirs, texts)
        with_next_sentence(program, folder)
        round_trips(program, folder)
        bare_under_a_prefix_and_others(program, folder)
        through_training(program, folder, tokenizer, text)
        grown_vocabulary(program, folder, tokenizer, text)
    if bert_base:
        with tempfile.TemporaryDirectory() as folder:
            theirs, ours, seen = os.path.join(folder, "theirs"), os.path.join(folder, "ours"), {}
            AutoModelForMaskedLM.from_pretrained(bert_base).save_pretrained(theirs)
            vkbert(program, "convert", "-m", bert_base, "-o", ours, "--quiet")
            for name in (theirs, ours, bert_base):
                seen[name] = load_file(os.path.join(name, "model.safetensors"))
            # A pooler or a next-sentence head, which a BertForMaskedLM drops, stays as the original has it.
            for name, tensor in seen[ours].items():
                expected = seen[theirs].get(name, seen[bert_base].get(name))
                check(expected is not None and torch.equal(tensor, expected), f"bert-base: {name} differs")
            check(seen[theirs].keys() <= seen[ours].keys(), f"bert-base: missing {seen[theirs].keys() - seen[ours].keys()}")
            print(f"bert-base: {len(seen[ours])} tensors through vkbert, {len(seen[theirs])} of them transformers' own")
        same_answers(program, bert_base, bert_base,
                     ["The capital of France is [MASK].", "Hello I'm a [MASK] model.", "[MASK] is the [MASK] of life."])
    sys.exit(1 if failures else 0)


if len(sys.argv) not in (2, 3):
    sys.exit("usage: check_transformers.py PROGRAM [FOLDER_OF_BERT_BASE]")
main(*sys.argv[1:])
