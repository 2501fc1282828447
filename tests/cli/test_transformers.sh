#!/usr/bin/env bash
# transformers opens what vkbert saves, and the reverse, with the same answers (tools/check_transformers.py).
#
# VKBERT_PYTHON names a Python that has torch and transformers; VKBERT_BERT_BASE, if set, a folder of bert-base-uncased.
if [ -z "${VKBERT_PYTHON:-}" ]; then
    echo "skipped: VKBERT_PYTHON names no Python with torch and transformers"
    exit 77
fi
exec "$VKBERT_PYTHON" "$(dirname "$0")/../../tools/check_transformers.py" "$1" ${VKBERT_BERT_BASE:+"$VKBERT_BERT_BASE"}
