#!/usr/bin/env bash
# Builds and tests on this machine what a change has to hold, and ends with a table and a count.
#
#   tools/test.sh               set-up, build, every test, sanitizers, fuzz targets, validation layers
#   tools/test.sh --quick       without sanitizers, fuzz targets and validation layers
#   tools/test.sh --no-setup    installs nothing
#
# Nothing is proved twice: the newest llvmpipe, and the GPU where there is one, run every test;
# other kinds of software driver run the operations; sanitizers and validation layers go over the
# newest llvmpipe in one run. Drivers are looked for as tools/testing.sh says. tools/test_long.sh
# runs everything on every driver. Tests that need data say in their skip reason how to give it to
# them. The logs stay in build/test-results. Exits with 1 after any failure.
set -euo pipefail
. "$(dirname "$0")/testing.sh"

setup=yes thorough=yes
for word in "$@"; do
    case $word in
        --quick) thorough=no ;;
        --no-setup) setup=no ;;
        *) fail "unknown option \"$word\": --quick, --no-setup" ;;
    esac
done

[ $setup = no ] || "$top/tools/setup.sh" --tests || fail "set-up did not finish"
build_release
if [ $thorough = yes ]; then
    build_sanitized
    build_fuzz
fi
begin
suite "host" "-" "$top/build" "" -LE device -j 2

find_drivers
newest=$(newest_llvmpipe)
gpu=no
! has_gpu || gpu=yes
[ ${#icds[@]} -gt 0 ] || [ $gpu = yes ] || fail_without_drivers
for i in "${!icds[@]}"; do
    if [ "$i" = "$newest" ]; then
        suite "device" "${names[$i]}" "$top/build" "$(only "${icds[$i]}")" -L device -j 2
    elif [[ ${names[$i]} != *llvmpipe* ]]; then
        suite "operations" "${names[$i]}" "$top/build" "$(only "${icds[$i]}")" -L ops -j 2
    else
        printf '(%s: left to tools/test_long.sh)\n' "${names[$i]}"
    fi
done
[ $gpu = no ] || suite_on_gpu

if [ $thorough = yes ]; then
    suite "host, sanitizers" "-" "$top/build-sanitize" "$asan:detect_leaks=1" -LE "device|peers" -j 2
    if [ -n "$newest" ]; then
        what="sanitizers" layers=""
        ! has_validation_layer || { what="sanitizers, layers"; layers="VKBERT_VALIDATE=1"; }
        suite "$what" "${names[$newest]}" "$top/build-sanitize" "$asan_device $layers $(only "${icds[$newest]}")" \
              -L device -j 2 -LE peers
    fi
    suite_of_fuzz 20
fi
finish
