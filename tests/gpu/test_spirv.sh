#!/usr/bin/env bash
# The check of committed SPIR-V notices what is stale, also without a compiler: a shader that has changed, a
# piece that it includes, SPIR-V that is missing, and SPIR-V that its compiler does not make.
#
#   test_spirv.sh TOP CMAKE GLSLANG
set -u
top=$1 cmake=$2 glslang=$3 failures=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What the check says after a command has changed a copy of the shaders: EXPECTED in it, "" that all is well.
try() {     # EXPECTED COMPILER COMMAND...
    local expected=$1 compiler=$2 said status
    shift 2
    rm -rf "${work:?}/top"
    mkdir -p "$work/top/cmake"
    cp "$top/cmake/spirv.cmake" "$work/top/cmake/"
    cp -R "$top/shaders" "$work/top/"
    (cd "$work/top/shaders" && "$@")
    said=$(cd "$work" && "$cmake" -DCHECK=ON "-DGLSLANG=$compiler" -P top/cmake/spirv.cmake 2>&1)
    status=$?
    said=$(printf '%s' "$said" | tr -s ' \n' ' ')
    if { [ -z "$expected" ] && [ $status != 0 ]; } || { [ -n "$expected" ] && { [ $status = 0 ] || [[ $said != *"$expected"* ]]; }; }; then
        printf '%s: status %d, "%s", expected "%s"\n' "$*" $status "$said" "$expected"
        failures=1
    fi
}

append() { printf '\n// changed\n' >> "$1"; }
none="$work/no compiler"
try "" "$none" true
try "matmul_coop.h was made from other sources" "$none" append matmul_coop.comp
try "matmul_coop.h was made from other sources" "$none" append half.glsl
try "matmul_nv.h was made from other sources" "$none" rm spirv/matmul_nv.h
# Another compiler's file is left to that compiler; its own has to be what it makes.
version=$("$glslang" --version | sed -n 's/.*Glslang Version: //p' | head -n 1)
alter() { sed -i.old '$s/^/\/\/ altered\n/' "spirv/$1.h"; }
if head -qn 1 "$top"/shaders/spirv/matmul_coop.h | grep -qF "glslang $version"; then
    try "is not what glslang $version makes" "$glslang" alter matmul_coop
else
    try "" "$glslang" alter matmul_coop
fi
exit $failures
