#!/usr/bin/env python3
"""Writes src/text/unicode_tables.h: which characters the Rust tokenizer of transformers takes for what.

    tools/make_unicode_tables.py > src/text/unicode_tables.h

It asks the tokenizer about every code point, so that the answer is what models were trained with (its tables are those
of Unicode 8, with a few oddities), whatever Unicode a library on the user's machine knows. Needs the Python package
`tokenizers`.
"""
from tokenizers import normalizers, pre_tokenizers


def bert(clean=False, strip=False):
    return normalizers.BertNormalizer(clean_text=clean, handle_chinese_chars=False, strip_accents=strip, lowercase=False)


CLEAN, STRIP, SPLIT = bert(clean=True), bert(strip=True), pre_tokenizers.BertPreTokenizer()


def is_dropped(c):
    return CLEAN.normalize_str(f"a{c}b") == "ab"


def is_accent(c):
    return STRIP.normalize_str(f"a{c}b") == "ab"


def is_punctuation(c):
    return [word for word, _ in SPLIT.pre_tokenize_str(f"a{c}b")] == ["a", c, "b"]


def ranges(belongs, first):
    found = []
    for code in range(first, 0x110000):
        if 0xD800 <= code < 0xE000 or not belongs(chr(code)):
            continue
        if found and found[-1][1] == code - 1:
            found[-1][1] = code
        else:
            found.append([code, code])
    return found


def write(name, comment, found):
    print(f"\n// {comment}\nstatic const uint32_t {name}[][2] = {{")
    for i in range(0, len(found), 5):
        print("    " + " ".join(f"{{0x{a:X}, 0x{b:X}}}," for a, b in found[i : i + 5]))
    print("};")


def main():
    print("// Ranges of code points, first and last, beyond ASCII: written by tools/make_unicode_tables.py.")
    print("// clang-format off")
    write("dropped_ranges", "Cc, Cf, Co and U+FFFD", ranges(is_dropped, 0x80))
    write("accent_ranges", "Mn", ranges(is_accent, 0x80))
    write("punctuation_ranges", "P*", ranges(is_punctuation, 0x80))


if __name__ == "__main__":
    main()
