#!/usr/bin/env python3
"""Compares vkbert's tokenizer with the Rust one that transformers uses, line by line.

    tools/check_tokenizer.py -m DIR... [--program build/vkbert] [--lines 100000] [--seed 1] [TEXT...]

Each DIR holds tokenizer.json, or vocab.txt and tokenizer_config.json. The lines are those of the TEXT files
and random ones, weighted to what breaks tokenizers. Of all the ids are compared; of one in ten also types,
offsets, words, special and attention masks, as texts and as pairs, under every kind of truncation with
stride, and with padding; of one in ten decoding. Prints the first differences and how many there are; exit
status 1 on any. Differences of single characters are listed by code point: the Rust tokenizer's category
tables are those of Unicode 8. Needs the Python package `tokenizers`.
"""
import argparse
import collections
import json
import pathlib
import random
import subprocess
import sys
import unicodedata

try:
    import tokenizers
except ImportError:
    sys.exit("check_tokenizer.py needs the Python package tokenizers: pip install tokenizers")


def load_rust(folder):
    """The tokenizer of a model folder, with nothing truncated or padded."""
    path = pathlib.Path(folder)
    if (path / "tokenizer.json").exists():
        tok = tokenizers.Tokenizer.from_file(str(path / "tokenizer.json"))
        tok.no_truncation()
        tok.no_padding()
        return tok
    config = {}
    if (path / "tokenizer_config.json").exists():
        config = json.loads((path / "tokenizer_config.json").read_text("utf-8"))
    return tokenizers.BertWordPieceTokenizer(
        str(path / "vocab.txt"), lowercase=config.get("do_lower_case", True),
        strip_accents=config.get("strip_accents"),
        handle_chinese_chars=config.get("tokenize_chinese_chars", True))._tokenizer


# ---- Lines ----

RANGES = [  # (weight, first, last): where random characters come from
    (10, 0x20, 0x7E), (1, 0x00, 0x1F), (1, 0x7F, 0x9F), (4, 0xA0, 0x24F), (3, 0x300, 0x36F),
    (3, 0x370, 0x3FF), (3, 0x400, 0x52F), (2, 0x590, 0x6FF), (3, 0x900, 0xDFF), (2, 0xE00, 0xEFF),
    (1, 0x1000, 0x109F), (2, 0x1100, 0x11FF), (1, 0x1780, 0x17FF), (2, 0x1E00, 0x1FFF), (4, 0x2000, 0x206F),
    (2, 0x20A0, 0x20FF), (2, 0x2100, 0x2BFF), (2, 0x2E00, 0x2E7F), (4, 0x3000, 0x30FF), (2, 0x3400, 0x4DBF),
    (5, 0x4E00, 0x9FFF), (3, 0xAC00, 0xD7A3), (1, 0xE000, 0xF8FF), (2, 0xF900, 0xFAFF), (2, 0xFB00, 0xFDFF),
    (2, 0xFE00, 0xFFFF), (2, 0x1F300, 0x1FAFF), (1, 0x10000, 0x1FFFF), (1, 0x20000, 0x2FFFF), (1, 0, 0x10FFFF),
]
WEIGHTS = [r[0] for r in RANGES]
PIECES = ["[MASK]", "[SEP]", "[CLS]", "[PAD]", "[UNK]", "[mask]", "[[MASK]]", "[MASK", "##ing", "##", "...", "don't",
          "can't've", "l'eure", "U.S.A.", "e\u0301", "\u00e9", "o\u0308\u0323", "\u0130stanbul", "stra\u00dfe",
          "\u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2", "\ufb01", "\ufeff", "\u200b", "\u200d", "\u00ad", "\u00a0",
          "\u3000", "\u2028", "\u0085", "\x0b", "\x0c", "\r", "\t", "\ufffd", "\x00", "\U0001f469\u200d\U0001f4bb",
          "\u535a\u63a8", "\ud55c\uad6d\uc5b4", "\u0e44\u0e17\u0e22", "\u0939\u093f\u0928\u094d\u0926\u0940",
          "\u0627\u0644\u0639\u0631\u0628\u064a\u0629", "\U0002b820", "\U0002b920", "\U0001d54f", "3.14", "1,000",
          "x" * 100, "x" * 101, "\u00e9" * 100, "\u00e9" * 101, "e\u0301" * 100]


def random_character(rng):
    while True:
        _, first, last = rng.choices(RANGES, WEIGHTS)[0]
        code = rng.randint(first, last)
        if not 0xD800 <= code < 0xE000 and code != 0x0A:
            return chr(code)


def random_word(rng, words):
    kind = rng.random()
    if kind < 0.35:
        word = rng.choice(words)
        return word.upper() if kind < 0.05 else word.capitalize() if kind < 0.1 else word
    if kind < 0.5:
        return rng.choice(PIECES)
    if kind < 0.6:  # a known word with something in it
        word, at = rng.choice(words), rng.randint(0, 4)
        return word[:at] + random_character(rng) + word[at:]
    if kind < 0.8:  # one script
        _, first, last = rng.choices(RANGES, WEIGHTS)[0]
        codes = (rng.randint(first, last) for _ in range(rng.randint(1, 8)))
        return "".join(chr(c) for c in codes if not 0xD800 <= c < 0xE000 and c != 0x0A)
    return "".join(random_character(rng) for _ in range(rng.randint(1, 6)))


def random_line(rng, words):
    parts = (random_word(rng, words) for _ in range(rng.randint(1, 12)))
    return "".join(part + rng.choice(["", " ", " ", " ", "  "]) for part in parts)


def damaged(rng, line):
    """The line's bytes with one of them changed, most often no UTF-8 any more."""
    data = bytearray(line.encode("utf-8"))
    if data:
        data[rng.randrange(len(data))] = rng.choice([b for b in range(256) if b != 0x0A])
    return bytes(data)


def make_lines(args, vocabulary):
    rng = random.Random(args.seed)
    words = sorted(w[2:] if w.startswith("##") else w for w in vocabulary)
    lines = []
    for path in args.text:
        lines += pathlib.Path(path).read_bytes().split(b"\n")
    for i in range(args.lines):
        line = random_line(rng, words)
        lines.append(damaged(rng, line) if i % 50 == 0 else line.encode("utf-8"))
    return lines


# ---- Comparison ----

def run_program(args, model, lines):
    command = [args.program, "tokenize", "-m", model]
    done = subprocess.run(command, input=b"".join(line + b"\n" for line in lines), stdout=subprocess.PIPE)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with status {done.returncode}")
    rows = done.stdout.decode("ascii").split("\n")[:-1]
    if len(rows) != len(lines):
        sys.exit(f"{len(lines)} lines went in, {len(rows)} came out")
    return [[int(x) for x in row.split()] for row in rows]


def run_rust(rust, lines):
    texts = [line.decode("utf-8", "replace") for line in lines]
    return [e.ids for e in rust.encode_batch(texts)]


def differences(args, model, rust, lines):
    ours, theirs = run_program(args, model, lines), run_rust(rust, lines)
    return [(line, a, b) for line, a, b in zip(lines, ours, theirs) if a != b]


def lone_differences(args, model, rust, lines):
    """The characters of the lines that differ on their own, between two letters or behind one."""
    chars = sorted(set("".join(line.decode("utf-8", "replace") for line in lines)) - {"\n"})
    frames = [(c, f"{a}{c}{b}".encode("utf-8")) for c in chars for a, b in (("a", "b"), ("a", ""))]
    differing = {line for line, _, _ in differences(args, model, rust, [f for _, f in frames])}
    return {c for c, frame in frames if frame in differing}


# ---- Everything of an encoding ----

SETTINGS = [  # (pairs, flags of vkbert tokenize, (max_length, strategy, stride, direction), padding to)
    (False, [], None, None),
    (False, ["--no-special-tokens"], None, None),
    (False, ["--max-length", "9", "--stride", "3"], (9, "longest_first", 3, "right"), None),
    (False, ["--max-length", "8", "--stride", "2", "--truncation-side", "left", "--pad-to", "12"],
     (8, "longest_first", 2, "left"), (12, "right")),
    (True, [], None, None),
    (True, ["--max-length", "12", "--pad-to", "14", "--padding-side", "left"], (12, "longest_first", 0, "right"),
     (14, "left")),
    (True, ["--max-length", "13", "--stride", "1"], (13, "longest_first", 1, "right"), None),
    (True, ["--max-length", "30", "--truncation", "only_first", "--stride", "2"], (30, "only_first", 2, "right"), None),
    (True, ["--max-length", "30", "--truncation", "only_second", "--stride", "2"], (30, "only_second", 2, "right"), None),
]


def fields(encoding, overflowing=True):
    """Of what overflows one level: merging pairs leaves copies of rows inside rows there, which transformers ignores."""
    return [encoding.ids, encoding.type_ids, [list(o) for o in encoding.offsets], encoding.special_tokens_mask,
            encoding.attention_mask, encoding.word_ids,
            [fields(e, False) for e in encoding.overflowing] if overflowing else []]


def our_fields(row):
    return [row["ids"], row["type_ids"], row["offsets"], row["special_tokens_mask"], row["attention_mask"],
            row["word_ids"], [our_fields(r) for r in row.get("overflowing", [])]]


def fits(rust, texts, truncation, special):
    """Whether a strategy that cuts one text only has enough of it to cut: else both libraries refuse."""
    if not truncation or not truncation[1].startswith("only"):
        return True
    lengths = [len(rust.encode(text, add_special_tokens=False).ids) for text in texts]
    over = sum(lengths) + 3 - truncation[0]
    left = lengths[truncation[1] == "only_second"] - max(over, 0)
    return left > truncation[2]


def check_fields(args, model, rust, lines):
    """Number of texts or pairs compared, and how many differ."""
    texts = [line.decode("utf-8", "replace").replace("\t", " ") for line in lines]
    texts = [t for t in texts if "\ufffd" not in t]  # offsets of damaged UTF-8 have no meaning in Python
    count = differing = 0
    for pairs, flags, truncation, padding in SETTINGS:
        rust.no_truncation()
        rust.no_padding()
        inputs = list(zip(texts[::2], texts[1::2])) if pairs else [(t,) for t in texts]
        special = "--no-special-tokens" not in flags
        inputs = [i for i in inputs if fits(rust, i, truncation, special)]
        if truncation:
            rust.enable_truncation(truncation[0], stride=truncation[2], strategy=truncation[1],
                                   direction=truncation[3])
        if padding:
            rust.enable_padding(direction=padding[1], pad_id=rust.token_to_id("[PAD]"), pad_token="[PAD]",
                                length=padding[0])
        command = [args.program, "tokenize", "-m", model, "--json"] + flags + (["--pair"] if pairs else [])
        done = subprocess.run(command, input="".join("\t".join(i) + "\n" for i in inputs).encode(),
                              stdout=subprocess.PIPE)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)} ended with status {done.returncode}")
        ours = json.loads(done.stdout)
        theirs = rust.encode_batch([i if pairs else i[0] for i in inputs], add_special_tokens=special)
        for given, a, b in zip(inputs, ours, theirs):
            count += 1
            if our_fields(a) != fields(b):
                differing += 1
                if differing <= args.show:
                    print(f"{' '.join(flags)} {given!r}\n  vkbert {our_fields(a)}\n  rust   {fields(b)}")
        if len(ours) != len(inputs):
            sys.exit(f"{len(inputs)} inputs, {len(ours)} encodings")
    rust.no_truncation()
    rust.no_padding()
    return count, differing


def check_decoding(args, model, rust, lines):
    """Of ids: the WordPiece decoder with clean-up, which transformers' clean-up then goes over once more."""
    def clean(text):
        for a, b in ((" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"),
                     (" 's", "'s"), (" 've", "'ve"), (" 're", "'re")):
            text = text.replace(a, b)
        return text
    ids = [e.ids for e in rust.encode_batch([line.decode("utf-8", "replace") for line in lines])]
    done = subprocess.run([args.program, "tokenize", "-m", model, "--decode"], stdout=subprocess.PIPE, check=True,
                          input="".join(" ".join(map(str, row)) + "\n" for row in ids).encode())
    ours = done.stdout.decode("utf-8").split("\n")[:-1]
    theirs = [clean(rust.decode(row, skip_special_tokens=False)) for row in ids]
    differing = [(a, b) for a, b in zip(ours, theirs) if clean(a) != b]
    for a, b in differing[: args.show]:
        print(f"decoded\n  vkbert {a!r}\n  rust   {b!r}")
    return len(ids), len(differing)


# ---- A model ----

def check_model(args, model):
    rust = load_rust(model)
    lines = make_lines(args, rust.get_vocab())
    found, lone = [], set()
    for at in range(0, len(lines), 100000):  # Python keeps every encoding of a batch
        some = lines[at:at + 100000]
        differing = differences(args, model, rust, some)
        found += differing
        lone |= lone_differences(args, model, rust, [line for line, _, _ in differing]) if differing else set()
    unexplained = [d for d in found if not lone.intersection(d[0].decode("utf-8", "replace"))]
    for line, ours, theirs in unexplained[: args.show]:
        print(f"line    {line!r}\nvkbert  {' '.join(map(rust.id_to_token, ours))}"
              f"\nrust    {' '.join(map(rust.id_to_token, theirs))}\n")
    if lone:
        by_category = collections.Counter(unicodedata.category(c) for c in lone)
        print(f"{len(lone)} characters differ by themselves ({dict(by_category)}):",
              " ".join(f"U+{ord(c):04X}" for c in sorted(lone)[:40]))
    some = lines[::10]
    encodings, differing = check_fields(args, model, rust, some[: max(1000, args.lines // 100)])
    decoded, differing_texts = check_decoding(args, model, rust, some)
    print(f"{model}: {len(lines)} lines, {len(found)} differ, {len(unexplained)} of them without a character that "
          f"differs by itself; {encodings} whole encodings, {differing} differ; {decoded} decoded, "
          f"{differing_texts} differ", flush=True)
    return len(found) + differing + differing_texts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", required=True, action="append", help="a tokenizer's folder")
    parser.add_argument("--program", default="build/vkbert", help="what is checked: PROGRAM tokenize -m DIR")
    parser.add_argument("--lines", type=int, default=100000, help="random lines for each model")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=10, help="differences to print")
    parser.add_argument("text", nargs="*", help="files whose lines are compared too")
    args = parser.parse_args()
    differing = [check_model(args, model) for model in args.model]
    sys.exit(1 if any(differing) else 0)


if __name__ == "__main__":
    main()
