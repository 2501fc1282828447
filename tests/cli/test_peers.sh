#!/usr/bin/env bash
# The tokenizer against the Rust one, and vocabulary training (tools/check_tokenizer.py, tools/check_vocab.py):
# a quarter of a million lines; with VKBERT_LONG=1, in tools/test_long.sh, a million.
#
# VKBERT_PYTHON names a Python that has tokenizers; VKBERT_DATA a folder with vocabularies and texts.
if [ -z "${VKBERT_PYTHON:-}" ]; then
    echo "skipped: VKBERT_PYTHON names no Python with tokenizers"
    exit 77
fi
if [ ! -d "${VKBERT_DATA:-}/vocab" ]; then
    echo "skipped: VKBERT_DATA names no folder with vocab"
    exit 77
fi
tools=$(dirname "$0")/../../tools
cased=$(mktemp -d "${TMPDIR:-/tmp}/vkbert-peers.XXXXXX")
trap 'rm -rf "$cased"' EXIT
cp "$VKBERT_DATA/vocab/bert-base-cased-vocab.txt" "$cased/vocab.txt"
echo '{"do_lower_case": false}' > "$cased/tokenizer_config.json"
vocab=$VKBERT_DATA/vocab
lines=60000     # of each vocabulary
[ "${VKBERT_LONG:-}" != 1 ] || lines=240000
"$VKBERT_PYTHON" "$tools/check_tokenizer.py" --program "$1" --lines $lines -m "$vocab/bert-base-uncased" -m "$cased" \
    -m "$vocab/bert-base-chinese" -m "$vocab/bert-base-multilingual-cased" "$VKBERT_DATA"/*/*.txt || exit 1
"$VKBERT_PYTHON" "$tools/check_vocab.py" --program "$1" "$VKBERT_DATA/meditations/clean.txt"
