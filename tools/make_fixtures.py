#!/usr/bin/env python3
"""Writes tests/fixtures: what transformers and torch say about small random BERTs, and about bert-base-uncased.

    tools/make_fixtures.py                  the small models
    tools/make_fixtures.py BERT_BASE        also lincoln.json, from a folder with bert-base-uncased

It needs torch 2.6, transformers 4.57 and safetensors: python3 -m venv V && V/bin/pip install torch==2.6.0 transformers==4.57.1

A fixture folder holds the model as transformers saves it (config.json, model.safetensors, fp32) and expected.safetensors:

    input_ids, token_type_ids, attention_mask, labels   I32 [rows, length]; a label of -100 does not count
    logits                                              F32 [rows, length, V]
    labelled_logits                                     F32 [labelled, V], in the order of the tokens
    loss                                                F32 [1], mean over the labelled tokens
    grad.NAME                                           gradient of that loss for each tensor of model.safetensors
    after10.NAME                                        the tensors after 10 steps of AdamW on the same batch
    losses, grad_norms                                  F32 [10], of those steps; norms before clipping

The model of "pairs" is a BertForPreTraining. Its expected.safetensors is of both losses together, and has

    next_sentence_label                                 I32 [rows]; a row of -100 does not count
    pair_logits                                         F32 [rows, 2]
    next_sentence_loss                                  F32 [1], its part of the loss
    accumulated.NAME                                    gradient when the two halves of the batch are micro-batches:
                                                        each one's loss weighs as many labels as it has, of all

and expected_nsp.safetensors the same of the NSP loss alone, without logits and what that loss has no gradient of. There
is nothing accumulated: a mean over the pairs of both halves is that of the whole.

Everything is computed in double from the fp32 weights and rounded once, so that a test's error is the device's own
and the same script gives the same bytes. What the numbers cannot say: softmax does not see a constant added to a row of
scores, so the gradient of attention.self.key.bias is zero but for rounding, and AdamW, which divides by the
gradient's own size, makes noise of it: compare its gradient absolutely, and leave it out of after10.
"""
import copy
import json
import os
import sys

import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForMaskedLM, BertForPreTraining

FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "fixtures")

MODELS = {
    "erf": dict(seed=1, rows=3, length=19, config=dict(
        vocab_size=67, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=24, hidden_act="gelu", layer_norm_eps=1e-12)),
    "tanh": dict(seed=2, rows=4, length=17, config=dict(
        vocab_size=101, hidden_size=20, num_hidden_layers=3, num_attention_heads=2, intermediate_size=44,
        max_position_embeddings=17, hidden_act="gelu_new", layer_norm_eps=1e-5)),
    "pairs": dict(seed=3, rows=4, length=13, pairs=True, config=dict(
        vocab_size=53, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40,
        max_position_embeddings=16, hidden_act="gelu", layer_norm_eps=1e-12)),
}
RANGE = 0.3  # of the weights: so large that every gradient matters
STEPS, LR, DECAY, CLIP = 10, 1e-3, 0.01, 1.0


def make_model(recipe, generator):
    config = BertConfig(type_vocab_size=2, pad_token_id=0, initializer_range=RANGE, hidden_dropout_prob=0.0,
                        attention_probs_dropout_prob=0.0, attn_implementation="eager", **recipe["config"])
    model = (BertForPreTraining if recipe.get("pairs") else BertForMaskedLM)(config).eval()
    with torch.no_grad():
        for name, weight in sorted(model.named_parameters()):
            centre = 1.0 if name.endswith("LayerNorm.weight") else 0.0
            weight.copy_(centre + RANGE * torch.randn(weight.shape, generator=generator))
    return model


def make_batch(recipe, generator):
    """Rows of different lengths padded with 0, two segments, a third of the real tokens labelled."""
    rows, length, vocab = recipe["rows"], recipe["length"], recipe["config"]["vocab_size"]
    ids = torch.randint(1, vocab, (rows, length), generator=generator)
    position = torch.arange(length)[None, :]
    real = length - torch.arange(rows)[:, None] * 3  # row 0 is full
    mask = (position < real).long()
    types = ((position >= real // 2) & (position < real)).long()
    labels = torch.randint(0, vocab, (rows, length), generator=generator)
    counts = (torch.rand((rows, length), generator=generator) < 0.35) & (mask == 1)
    batch = {
        "input_ids": torch.where(mask == 1, ids, 0),
        "token_type_ids": types,
        "attention_mask": mask,
        "labels": torch.where(counts, labels, -100),
    }
    if recipe.get("pairs"):
        batch["next_sentence_label"] = torch.randint(0, 2, (rows,), generator=generator)
        batch["next_sentence_label"][1] = -100  # so that the halves of the batch have 1 and 2 pairs
    return batch


def loss_of(model, batch, nsp_alone):
    """The model's loss, or that of next-sentence prediction alone as BertForNextSentencePrediction has it."""
    output = model(**batch)
    if not nsp_alone:
        return output.loss, output
    return torch.nn.functional.cross_entropy(output.seq_relationship_logits, batch["next_sentence_label"]), output


def train(model, batch, nsp_alone):
    """10 steps of AdamW; losses and norms before clipping."""
    decayed, plain = [], []
    for name, weight in model.named_parameters():
        (plain if name.endswith("bias") or "LayerNorm" in name else decayed).append(weight)
    optimiser = torch.optim.AdamW([{"params": decayed, "weight_decay": DECAY}, {"params": plain, "weight_decay": 0.0}],
                                  lr=LR, betas=(0.9, 0.999), eps=1e-8, foreach=False)
    losses, norms = [], []
    for _ in range(STEPS):
        optimiser.zero_grad()
        loss, _ = loss_of(model, batch, nsp_alone)
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP).item())
        losses.append(loss.item())
        optimiser.step()
    return losses, norms


def accumulate(model, batch):
    """Gradients of the two halves of the batch as micro-batches, of which each has its own means."""
    model.zero_grad()
    half = len(batch["labels"]) // 2
    labelled = (batch["labels"] != -100).sum()
    for rows in (slice(0, half), slice(half, None)):
        micro = {key: value[rows] for key, value in batch.items()}
        ((micro["labels"] != -100).sum() / labelled * model(**micro).loss).backward()
    gradients = {name: weight.grad.clone() for name, weight in model.named_parameters()}
    model.zero_grad()
    return gradients


def make_expected(folder, file, model, batch, nsp_alone=False):
    saved = load_file(os.path.join(folder, "model.safetensors"))  # without the tied decoder
    model = model.double()
    loss, output = loss_of(model, batch, nsp_alone)
    loss.backward()
    parameters = dict(model.named_parameters())
    trained = [key for key in saved if parameters[key].grad is not None]
    expected = {key: value.to(torch.int32) for key, value in batch.items()}
    logits = output.prediction_logits if "next_sentence_label" in batch else output.logits
    if not nsp_alone:
        expected["logits"] = logits.detach()
        expected["labelled_logits"] = logits.detach()[batch["labels"] != -100]
    if "next_sentence_label" in batch:
        expected["pair_logits"] = output.seq_relationship_logits.detach()
        expected["next_sentence_loss"] = loss_of(model, batch, nsp_alone=True)[0].detach()[None]
    expected["loss"] = loss.detach()[None]
    for key in trained:
        expected["grad." + key] = parameters[key].grad.clone()
    if "next_sentence_label" in batch and not nsp_alone:
        gradients = accumulate(model, batch)
        expected.update({"accumulated." + key: gradients[key] for key in trained})
    losses, norms = train(model, batch, nsp_alone)
    expected["losses"], expected["grad_norms"] = torch.tensor(losses), torch.tensor(norms)
    for key in trained:
        expected["after10." + key] = parameters[key].detach()
    expected = {key: value if value.dtype == torch.int32 else value.float().contiguous()
                for key, value in expected.items()}
    save_file(expected, os.path.join(folder, file))
    print(f"{os.path.basename(folder)}/{file}: {sum(w.numel() for w in saved.values())} parameters, "
          f"{int((batch['labels'] != -100).sum())} labels, loss {losses[0]:.6f} to {losses[-1]:.6f}, "
          f"norm {norms[0]:.3f} to {norms[-1]:.3f}")


def make_small(name, recipe):
    generator = torch.Generator().manual_seed(recipe["seed"])
    folder = os.path.join(FIXTURES, name)
    os.makedirs(folder, exist_ok=True)
    model = make_model(recipe, generator)
    batch = make_batch(recipe, generator)
    model.save_pretrained(folder)
    make_expected(folder, "expected.safetensors", copy.deepcopy(model), batch)
    if recipe.get("pairs"):
        make_expected(folder, "expected_nsp.safetensors", model, batch, nsp_alone=True)
    for file in os.listdir(folder):  # safetensors makes files private
        os.chmod(os.path.join(folder, file), 0o644)


# The sentence of the tutorial, encoded; decode it to read it.
LINCOLN = [
    101, 2044, 8181, 5367, 2180, 1996, 2281, 7313, 4883, 2602, 2006, 2019, 3424, 1011, 8864, 4132, 1010, 2019, 3988,
    2698, 6658, 2163, 4161, 2037, 22965, 2013, 1996, 2406, 2000, 2433, 1996, 18179, 1012, 2162, 3631, 2041, 1999,
    2258, 6863, 2043, 22965, 2923, 2749, 4457, 3481, 7680, 3334, 1999, 2148, 3792, 1010, 2074, 2058, 1037, 3204,
    2044, 5367, 1005, 1055, 17331, 1012, 102]
LINCOLN_MASKED = [15, 17, 19, 47, 49, 56]
MASK_ID = 103


def best(probabilities, count=5):
    scores, ids = probabilities.topk(count)
    return [{"token": int(i), "score": round(float(s), 6)} for s, i in zip(scores, ids)]


def make_lincoln(folder):
    from transformers import BertTokenizerFast

    model = BertForMaskedLM.from_pretrained(folder, attn_implementation="eager").eval()
    labels = torch.tensor([LINCOLN])
    ids = labels.clone()
    ids[0, LINCOLN_MASKED] = MASK_ID
    with torch.no_grad():
        output = model(input_ids=ids, labels=labels)
        probabilities = output.logits[0].softmax(-1)
    masks = [{"position": p, "argmax": int(probabilities[p].argmax()), "top5": best(probabilities[p])}
             for p in LINCOLN_MASKED]

    text = "The capital of France is [MASK]."
    tokenizer = BertTokenizerFast.from_pretrained(folder)
    tokens = tokenizer(text, return_tensors="pt")
    at = tokens["input_ids"][0].tolist().index(MASK_ID)
    with torch.no_grad():
        top = best(model(**tokens).logits[0, at].softmax(-1))
    for fill in top:
        fill["token_str"] = tokenizer.decode([fill["token"]])
    result = {
        "about": "bert-base-uncased in transformers, dropout off; loss is the mean over all labels",
        "input_ids": ids[0].tolist(), "labels": LINCOLN, "loss": round(output.loss.item(), 6), "masks": masks,
        "fill_mask": {"text": text, "input_ids": tokens["input_ids"][0].tolist(), "top5": top},
    }
    with open(os.path.join(FIXTURES, "lincoln.json"), "w") as file:
        json.dump(result, file, indent=1)
        file.write("\n")
    print(f"lincoln: {len(LINCOLN)} tokens, loss {result['loss']}, {text} {top[0]}")


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for name, recipe in MODELS.items():
        make_small(name, recipe)
    if len(sys.argv) > 1:
        make_lincoln(sys.argv[1])


if __name__ == "__main__":
    main()
