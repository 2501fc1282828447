#!/usr/bin/env bash
# fill-mask with the real bert-base-uncased against transformers' pipeline (tools/check_fill_mask.py).
#
# VKBERT_PYTHON names a Python that has torch and transformers, VKBERT_BERT_BASE a folder of bert-base-uncased.
if [ -z "${VKBERT_PYTHON:-}" ] || [ -z "${VKBERT_BERT_BASE:-}" ]; then
    echo "skipped: VKBERT_PYTHON and VKBERT_BERT_BASE name no Python with torch and transformers, no bert-base-uncased"
    exit 77
fi
exec "$VKBERT_PYTHON" "$(dirname "$0")/../../tools/check_fill_mask.py" "$1" "$VKBERT_BERT_BASE"
