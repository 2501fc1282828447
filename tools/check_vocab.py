#!/usr/bin/env python3
"""Trains vocabularies with vkbert and with tokenizers' BertWordPieceTokenizer and compares them.

    tools/check_vocab.py [--program build/vkbert] [TEXT...]       equality; exit status 1 on a difference
    tools/check_vocab.py --bench [--megabytes 100] [TEXT...]      seconds of both, and the ratio

The Rust trainer gives ids to the "##c" pieces of characters in the order of a hash map, which changes from
run to run, and breaks ties by ids: two of its own runs differ. So both trainers get all characters and
"##c" pieces as special tokens, in one order: then nothing is left to chance, and the vocabularies must be
equal to the last id. Texts are generated (with many ties, and of several scripts), and those given.
Needs the Python package `tokenizers`.
"""
import argparse
import pathlib
import random
import subprocess
import sys
import tempfile
import time

try:
    import tokenizers
except ImportError:
    sys.exit("check_vocab.py needs the Python package tokenizers: pip install tokenizers")

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


# ---- Texts ----

def words_of(rng, alphabet, count, longest):
    return ["".join(rng.choice(alphabet) for _ in range(rng.randint(1, longest))) for _ in range(count)]


def generated(seed, alphabet, distinct, lines):
    """Words of a Zipf-like frequency, so that some pairs are frequent and many are tied."""
    rng = random.Random(seed)
    words = words_of(rng, alphabet, distinct, 9)
    weights = [1 / (i + 1) for i in range(distinct)]
    return "\n".join(" ".join(rng.choices(words, weights, k=rng.randint(1, 12))) for _ in range(lines)) + "\n"


def texts(args):
    latin = "abcdefghij"
    yield "ties", generated(1, "ab", 40, 60), {}
    yield "latin", generated(2, latin + "ABC\u00e9\u00fc", 3000, 4000), {}
    yield "greek and cyrillic", generated(3, "\u03b1\u03b2\u03b3\u03b4\u0430\u0431\u0432\u0433\u0434\u0435", 2000, 3000), {}
    yield "japanese", generated(4, "\u3042\u3044\u3046\u3048\u304a\u304b\u304d\u65e5\u672c\u8a9e", 1500, 2000), {}
    yield "few characters kept", generated(5, latin + "klmnopqrst", 2000, 3000), {"limit_alphabet": 7}
    yield "frequent pairs only", generated(6, latin, 2000, 3000), {"min_frequency": 40}
    yield "no room for merges", generated(7, latin, 500, 500), {"vocab_size": 6}
    for path in args.text:
        yield path, pathlib.Path(path).read_text("utf-8", "replace"), {}


# ---- Training ----

def characters(text, cased):
    normalizer = tokenizers.normalizers.BertNormalizer(lowercase=not cased)
    seen = set()
    for line in text.split("\n"):
        seen.update(normalizer.normalize_str(line))
    return sorted(c for c in seen if not c.isspace())


def train_rust(path, cased, special, settings):
    tok = tokenizers.BertWordPieceTokenizer(lowercase=not cased)
    tok.train([str(path)], special_tokens=special, show_progress=False, **settings)
    vocab = tok.get_vocab()
    return sorted(vocab, key=vocab.get)


def train_ours(args, path, folder, cased, special, settings):
    command = [args.program, "vocab", "--text", str(path), "-o", str(folder), "--overwrite-output-dir", "--quiet"]
    command += ["--cased"] if cased else []
    for key, value in settings.items():
        command += ["--" + key.replace("_", "-"), str(value)]
    for token in special:
        command += ["--special-tokens=" + token]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return (folder / "vocab.txt").read_text("utf-8").split("\n")[:-1]


def check(args, work):
    failed = 0
    for name, text, settings in texts(args):
        for cased in (False, True):
            path = work / "text.txt"
            path.write_text(text, "utf-8")
            chars = characters(text, cased)
            limit = settings.get("limit_alphabet")
            special = SPECIAL + ([] if limit else chars) + ["##" + c for c in chars]
            wanted = dict(vocab_size=len(special) + 2000, min_frequency=2, limit_alphabet=1000)
            wanted.update(settings)
            if "vocab_size" in settings:
                wanted["vocab_size"] += len(special)
            theirs = train_rust(path, cased, special, wanted)
            ours = train_ours(args, path, work / "voc", cased, special, wanted)
            same = theirs == ours
            failed += not same
            print(f"{name}, {'cased' if cased else 'uncased'}: {len(theirs)} pieces, {len(theirs) - len(special)} learnt, "
                  f"{'equal' if same else 'DIFFERENT'}")
            if not same:
                at = next((i for i, (a, b) in enumerate(zip(theirs, ours)) if a != b), min(len(theirs), len(ours)))
                print(f"  from id {at}: theirs {theirs[at:at + 5]}, ours {ours[at:at + 5]}; {len(theirs)} and {len(ours)}")
    spread(args, work)
    return failed


def train_rust_apart(path, settings):
    """In a process of its own: the hash maps' keys are drawn once a process."""
    program = ("import sys, tokenizers\n"
               "tok = tokenizers.BertWordPieceTokenizer()\n"
               f"tok.train([sys.argv[1]], show_progress=False, **{settings!r})\n"
               "sys.stdout.buffer.write('\\n'.join(tok.get_vocab()).encode())\n")
    done = subprocess.run([sys.executable, "-c", program, str(path)], check=True, stdout=subprocess.PIPE)
    return set(done.stdout.decode().split("\n"))


def spread(args, work):
    """With default settings: how far runs of theirs are from each other, and ours from them."""
    path = work / "text.txt"
    path.write_text(generated(8, "abcdefghijklmnopqrst", 4000, 6000), "utf-8")
    settings = dict(vocab_size=3000, min_frequency=2, limit_alphabet=1000)
    theirs = [train_rust_apart(path, settings) for _ in range(4)]
    ours = set(train_ours(args, path, work / "voc", False, SPECIAL, settings))
    among = [len(a - b) for i, a in enumerate(theirs) for b in theirs[:i]]
    print(f"default settings, of 3000 pieces: {min(among)} to {max(among)} differ between two runs of theirs, "
          f"{min(len(a - ours) for a in theirs)} to {max(len(a - ours) for a in theirs)} between theirs and ours")


# ---- Speed ----

def bench(args, work):
    rng = random.Random(9)
    lines = [line for path in args.text for line in pathlib.Path(path).read_text("utf-8", "replace").split("\n")]
    lines = lines or generated(10, "abcdefghijklmnopqrstuvwxyz", 60000, 60000).split("\n")
    path, size = work / "bench.txt", 0
    with open(path, "w", encoding="utf-8") as file:
        while size < args.megabytes * 1e6:
            rng.shuffle(lines)
            for line in lines:
                if rng.random() < 0.15:  # new words keep coming
                    line += " " + words_of(rng, "aeioubcdfghlmnprst", 1, 9)[0]
                file.write(line + "\n")
                size += len(line.encode()) + 1
                if size >= args.megabytes * 1e6:
                    break
    settings = dict(vocab_size=30000, min_frequency=2, limit_alphabet=1000)
    start = time.perf_counter()
    train_ours(args, path, work / "voc", False, SPECIAL, settings)
    ours = time.perf_counter() - start
    start = time.perf_counter()
    train_rust(path, False, SPECIAL, settings)
    theirs = time.perf_counter() - start
    print(f"{args.megabytes} MB, vocabulary of 30,000: vkbert {ours:.2f} s (the whole program), tokenizers "
          f"{tokenizers.__version__} {theirs:.2f} s, {theirs / ours:.1f} times")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/vkbert")
    parser.add_argument("--bench", action="store_true")
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("text", nargs="*")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        return 1 if (bench if args.bench else check)(args, pathlib.Path(work)) else 0


if __name__ == "__main__":
    sys.exit(main())
