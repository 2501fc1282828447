#!/usr/bin/env bash
# eval gives transformers' numbers for the same masks (tools/check_eval.py).
#
# VKBERT_PYTHON names a Python that has torch and transformers.
if [ -z "${VKBERT_PYTHON:-}" ]; then
    echo "skipped: VKBERT_PYTHON names no Python with torch and transformers"
    exit 77
fi
exec "$VKBERT_PYTHON" "$(dirname "$0")/../../tools/check_eval.py" "$1"
