#!/usr/bin/env bash
# Builds and tests everything there is to test on this machine, and ends with a table and a count.
#
#   tools/test.sh               set-up, build, every test on every Vulkan driver, sanitizers, fuzz targets,
#                               validation layers
#   tools/test.sh --quick       without sanitizers, fuzz targets and validation layers
#   tools/test.sh --no-setup    installs nothing
#
# The drivers: the system's software driver, each one that tools/drivers.sh has put into a folder
# of $VKBERT_DRIVERS [~/.cache/vkbert/drivers], and the GPU where there is one. Each is tested
# alone; sanitizers and validation layers go over every software driver. Host tests need no driver.
# Tests that need data say in their skip reason how to give it to them. The logs stay in
# build/test-results. Exits with 1 after any failure.
set -euo pipefail
. "$(dirname "$0")/common.sh"

setup=yes thorough=yes
for word in "$@"; do
    case $word in
        --quick) thorough=no ;;
        --no-setup) setup=no ;;
        *) fail "unknown option \"$word\": --quick, --no-setup" ;;
    esac
done

results=$top/build/test-results
extra=${VKBERT_DRIVERS:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/vkbert/drivers}
rows=() passed=0 failed=0 skipped=0

add_row() {     # SUITE DRIVER PASSED FAILED SKIPPED SECONDS
    rows+=("$(printf '%-20s %-44s %7d %7d %8d %8d' "$@")")
    passed=$((passed + $3)) failed=$((failed + $4)) skipped=$((skipped + $5))
    printf '%s\n' "${rows[${#rows[@]} - 1]}"
}

# Reads ctest's JUnit file: counts of passed, failed, skipped on the first line, then "failed:
# TEST" and "skipped: TEST: why".
read_junit() {  # FILE
    awk '
        function close_test() {
            if (test == "") return
            if (state == "run") n_passed++
            else if (state == "disabled" || (state == "notrun" && skip)) {
                n_skipped++
                if (!told) said[++lines] = "skipped: " test ": it gives no reason"
            }
            else { n_failed++; said[++lines] = "failed: " test }
            test = ""
        }
        /<testcase / {
            close_test()
            match($0, /name="[^"]*"/); test = substr($0, RSTART + 6, RLENGTH - 7)
            match($0, /status="[^"]*"/); state = substr($0, RSTART + 8, RLENGTH - 9)
            skip = told = 0
        }
        /SKIP_RETURN_CODE/ { skip = 1 }
        /skipped: / {
            sub(/.*skipped: /, ""); sub(/<\/system-out>.*/, "")
            said[++lines] = "skipped: " test ": " $0
            told = 1
        }
        /<\/testcase>/ { close_test() }
        END {
            close_test()
            print n_passed + 0, n_failed + 0, n_skipped + 0
            for (i = 1; i <= lines; i++) print said[i]
        }
    ' "$1" | sed 's/&lt;/</g; s/&gt;/>/g; s/&quot;/"/g; s/&apos;/'"'"'/g; s/&amp;/\&/g'
}

# Runs the tests of one build folder that the ctest arguments choose, in an environment, as one
# row of the table.
suite() {       # SUITE DRIVER FOLDER "ENVIRONMENT..." CTEST-ARGUMENTS...
    local name=$1 driver=$2 folder=$3 environment=$4 from=$SECONDS on="" file p f s
    shift 4
    [ "$driver" = "-" ] || on=", $driver"
    file=$results/$(printf '%s-%s' "$name" "$driver" | tr -cs 'a-zA-Z0-9.\n' '-')
    # shellcheck disable=SC2086  # the environment is a list of words
    env $environment ctest --test-dir "$folder" --no-tests=error --output-on-failure --test-output-size-passed 1000000 \
        --test-output-size-failed 1000000 --output-junit "$file.xml" "$@" > "$file.log" 2>&1 < /dev/null || true
    if [ -s "$file.xml" ]; then read_junit "$file.xml" > "$file.txt"; else echo "0 0 0" > "$file.txt"; fi
    read -r p f s < "$file.txt"
    if [ $((p + f + s)) = 0 ]; then
        f=1
        echo "failed: no test was run" >> "$file.txt"
    fi
    add_row "$name" "$driver" "$p" "$f" "$s" $((SECONDS - from))
    [ "$f" = 0 ] || sed -n '/^failed: /p' "$file.txt"
    sed -n "s;^\([a-z]*\): ;\1: $name$on: ;p" "$file.txt" >> "$results/notes"
    [ "$f" = 0 ] || sed 's/^/    /' "$file.log" | tail -n 150
}

only() { echo "VK_DRIVER_FILES=$1 VK_ICD_FILENAMES=$1"; }      # the second name is for loaders before 1.3.207

driver_name() { # ICD FALLBACK: what the driver says of itself
    local said
    # shellcheck disable=SC2046
    said=$(env $(only "$1") "$top/build/vkbert" devices --json 2> /dev/null |
           sed -n 's/.*"driver":[[:space:]]*"\([^"]*\)".*/\1/p' | head -n 1)
    printf '%.44s' "${2}${said:+: $said}"
}

list_drivers() {    # software drivers, one a line: name for people, tab, ICD file
    local icd
    for icd in {/usr/local/share,/usr/share,/etc}/vulkan/icd.d/lvp_icd*.json; do
        # on 64 bits Debian may have the 32-bit driver beside
        [ -f "$icd" ] && [[ $icd != *.i[3-6]86.json ]] && printf '%s\t%s\n' "$(driver_name "$icd" system)" "$icd"
    done
    for icd in "$extra"/*/*.json; do
        [ -f "$icd" ] && printf '%s\t%s\n' "$(driver_name "$icd" "$(basename "$(dirname "$icd")")")" "$icd"
    done
    return 0
}

has_gpu() {
    "$top/build/vkbert" devices --json 2> /dev/null | grep -qE '"type":[[:space:]]*"(discrete|integrated|virtual)'
}

has_validation_layer() {
    local folder
    for folder in {/usr/local/share,/usr/share,/etc}/vulkan/explicit_layer.d; do
        [ ! -f "$folder/VkLayer_khronos_validation.json" ] || return 0
    done
    return 1
}

[ $setup = no ] || "$top/tools/setup.sh" --tests || fail "set-up did not finish"
stage "building" build release "$top/build" || fail "the build failed"
[ $thorough = no ] || stage "building with address and undefined-behaviour sanitizers" build sanitize "$top/build-sanitize" ||
    fail "the sanitizer build failed"
can_fuzz() {    # Clang may be there without the run-time libraries that fuzzing wants
    echo 'int LLVMFuzzerTestOneInput(const unsigned char *d, unsigned long n) { return d == 0 && n; }' |
        clang -x c -fsanitize=fuzzer,address,undefined -o "$logs/can_fuzz" - 2> /dev/null
}
fuzz=no
if [ $thorough = yes ] && can_fuzz; then
    stage "building the fuzz targets" build fuzz "$top/build-fuzz" || fail "the fuzz build failed"
    fuzz=yes
fi
rm -rf "$results"
mkdir -p "$results"
: > "$results/notes"

header=$(printf '%-20s %-44s %7s %7s %8s %8s' suite driver passed failed skipped seconds)
printf '\n%s\n' "$header"
suite "host" "-" "$top/build" "" -LE device -j 2

names=() icds=() gpu=no
while IFS=$'\t' read -r name icd; do
    [ -z "$icd" ] || { names+=("$name"); icds+=("$icd"); }
done <<< "$(list_drivers)"

# A suite on every software driver, each alone. Tests run two at a time, but for those that measure.
# The two patterns are labels that are left out: on the first driver, the system's, and on the others.
on_each() {     # SUITE FOLDER "ENVIRONMENT..." NOT-ON-FIRST NOT-ON-OTHERS
    local name=$1 folder=$2 environment=$3 not=$4 i
    for i in "${!icds[@]}"; do
        suite "$name" "${names[$i]}" "$folder" "$environment $(only "${icds[$i]}")" -L device -j 2 -LE "$not"
        not=$5
    done
}

# What Python's peers say of one driver's numbers holds for all: each op is held against the reference on every one.
on_each "device" "$top/build" "" "^$" peers
if has_gpu; then
    gpu=yes
    suite "device" "the GPU" "$top/build" "VK_LOADER_DRIVERS_DISABLE=*lvp*" -L device -j 1
fi
if [ ${#icds[@]} = 0 ] && [ $gpu = no ]; then
    add_row "device" "none found" 0 1 0 0
    echo "failed: device: no Vulkan driver was found: tools/setup.sh installs a software driver" >> "$results/notes"
fi

if [ $thorough = yes ]; then
    asan=ASAN_OPTIONS=strict_string_checks=1:detect_stack_use_after_return=1:abort_on_error=0
    suite "host, sanitizers" "-" "$top/build-sanitize" "$asan:detect_leaks=1" -LE device -j 2
    if [ $fuzz = yes ]; then
        suite "fuzz" "-" "$top/build-fuzz" "$asan" -L fuzz -j 2
    else
        add_row "fuzz" "-" 0 0 1 0
        echo "skipped: fuzz: clang with its libraries for fuzzing (Debian's libclang-rt-*-dev) is not installed" >> "$results/notes"
    fi
    # Whole training runs are the same calls of ours on every driver: here one has to do.
    # Without the leak check: drivers keep memory, and once unloaded no suppression can name them.
    on_each "device, sanitizers" "$top/build-sanitize" "$asan:detect_leaks=0" peers "peers|behaviour"
    if has_validation_layer; then
        on_each "device, validation" "$top/build" "VKBERT_VALIDATE=1" peers "peers|behaviour"
    else
        add_row "device, validation" "-" 0 0 1 0
        echo "skipped: device, validation: the Khronos validation layer is not installed" >> "$results/notes"
    fi
fi

printf '\n%s\n' "$header"
printf '%s\n' "${rows[@]}"
for kind in skipped failed; do
    ! grep -q "^$kind: " "$results/notes" || { printf '\n%s:\n' "$kind"; sed -n "s/^$kind: /  /p" "$results/notes" | sort -u; }
done
printf '\n%d passed, %d failed, %d skipped\n' $passed $failed $skipped
[ $failed = 0 ]
