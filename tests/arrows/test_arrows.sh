#!/usr/bin/env bash
# Proves that arrows.sh lets the right includes pass and finds each wrong one.
set -euo pipefail
arrows=$(cd "$(dirname "$0")" && pwd)/arrows.sh
src=$(mktemp -d)
trap 'rm -rf "$src"' EXIT
mkdir "$src"/{base,hf,text,gpu,ops,bert,train,cli}
failures=0

try() {     # EXPECTED FOLDER INCLUDE: what the checker must print for one file with this one include ("" for nothing)
    local expected=$1 file=$src/$2/one.c seen
    printf '// one\n#include %s\n' "$3" > "$file"
    seen=$(bash "$arrows" "$src") && [ -n "$expected" ] && seen="$seen (and exit code 0)"
    rm "$file"
    if [ -n "$expected" ]; then expected="$file:2: $expected"; fi
    [ "$seen" = "$expected" ] || { printf '%s includes %s: "%s", expected "%s"\n' "$2" "$3" "$seen" "$expected"; failures=1; }
}

try "" base '<stdio.h>'
try "" base '"base/file.h"'
try "" base '"vkbert.h"'
try "" train '"base/file.h"'
try "" train '"gpu/gpu.h"'
try "" bert '"hf/config.h"'
try "" text '"base/array.h"'
try "" ops '"shaders/params.h"'
try "" gpu '<volk.h>'
try "" cli '"vkbert.h"'
try "" cli '"cli/flags.h"'
try "" cli '"flags.h"'
try 'base/ may not include gpu/ ("gpu/gpu.h")' base '"gpu/gpu.h"'
try 'gpu/ may not include ops/ ("ops/ops.h")' gpu '"ops/ops.h"'
try 'text/ may not include bert/ ("bert/bert.h")' text '"bert/bert.h"'
try 'hf/ may not include text/ ("text/text.h")' hf '"text/text.h"'
try 'bert/ may not include text/ ("text/text.h")' bert '"text/text.h"'
try 'ops/ may not include train/ ("train/train.h")' ops '"train/train.h"'
try 'cli/ may not include train/ ("train/train.h")' cli '"train/train.h"'
try 'cli/ may include its own headers and vkbert.h only ("shaders/params.h")' cli '"shaders/params.h"'
try '"../base/file.h" goes up: include paths start at src/, as "base/file.h"' hf '"../base/file.h"'
try 'ops/ includes volk.h: only gpu/ knows Vulkan' ops '<volk.h>'
try 'bert/ includes vulkan/vulkan.h: only gpu/ knows Vulkan' bert '<vulkan/vulkan.h>'
exit $failures
