#!/usr/bin/env bash
# Everything on every driver: what tools/test.sh leaves out because it takes hours. Run by hand;
# the table that it ends with goes into docs/test-long.md with date, commit and machine.
#
#   tools/test_long.sh                      every suite on every software driver, and on the GPU
#   tools/test_long.sh --fuzz-seconds N     of each fuzz target [600]
#   tools/test_long.sh --no-setup           installs nothing
#
# The logs stay in build/test-results, the record in build/test-results/record.md. Exits with 1
# after any failure.
set -euo pipefail
. "$(dirname "$0")/testing.sh"

setup=yes seconds=600
while [ $# -gt 0 ]; do
    case $1 in
        --no-setup) setup=no ;;
        --fuzz-seconds)
            [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || fail "--fuzz-seconds wants a whole number of seconds"
            seconds=$2
            shift ;;
        *) fail "unknown option \"$1\": --fuzz-seconds N, --no-setup" ;;
    esac
    shift
done

[ $setup = no ] || "$top/tools/setup.sh" --tests || fail "set-up did not finish"
build_release
build_sanitized
build_fuzz
begin
suite "host" "-" "$top/build" "VKBERT_LONG=1" -LE device -j 2
suite "host, sanitizers" "-" "$top/build-sanitize" "$asan:detect_leaks=1" -LE "device|peers" -j 2

find_drivers
layers=no gpu=no
! has_validation_layer || layers=yes
! has_gpu || gpu=yes
[ ${#icds[@]} -gt 0 ] || [ $gpu = yes ] || fail_without_drivers
for i in "${!icds[@]}"; do
    driver=$(only "${icds[$i]}")
    suite "device" "${names[$i]}" "$top/build" "$driver" -L device -j 2
    suite "sanitizers" "${names[$i]}" "$top/build-sanitize" "$asan_device $driver" -L device -j 2 -LE peers
    [ $layers = no ] || suite "layers" "${names[$i]}" "$top/build" "VKBERT_VALIDATE=1 $driver" -L device -j 2 -LE peers
done
[ $gpu = no ] || suite_on_gpu
suite_of_fuzz "$seconds"

{
    printf '## %s, %s\n\n' "$(date -u +%Y-%m-%d)" "$(git -C "$top" rev-parse --short HEAD 2> /dev/null || echo 'no commit')"
    printf '%s cores of %s, %s; `tools/test_long.sh --fuzz-seconds %s`, %d s.\n\n' "$(nproc)" \
           "$(sed -n '0,/^model name/s/^model name[[:space:]]*: //p' /proc/cpuinfo 2> /dev/null)" \
           "$(. /etc/os-release 2> /dev/null && echo "$PRETTY_NAME")" "$seconds" $SECONDS
    printf '```\n%s\n' "$header"
    printf '%s\n' "${rows[@]}"
    printf '```\n'
} > "$results/record.md"
finish
