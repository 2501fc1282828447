# What tools/test.sh and tools/test_long.sh share; sourced, never run: builds, drivers, suites of
# tests as rows of a table, and the end with its count.
#
# A driver is known by its ICD file. What the loader would choose by itself is never tested: each
# suite names its driver. The drivers: the system's software driver, and each one that
# tools/drivers.sh has put into a folder of $VKBERT_DRIVERS [~/.cache/vkbert/drivers].
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

results=$top/build/test-results
extra=${VKBERT_DRIVERS:-$(cache_folder)/drivers}
asan=ASAN_OPTIONS=strict_string_checks=1:detect_stack_use_after_return=1:abort_on_error=0
# Drivers keep memory, and once unloaded no suppression can name them.
asan_device=$asan:detect_leaks=0
rows=() passed=0 failed=0 skipped=0
header=$(printf '%-20s %-44s %7s %7s %8s %8s' suite driver passed failed skipped seconds)

begin() {
    rm -rf "$results"
    mkdir -p "$results"
    : > "$results/notes"
    printf '\n%s\n' "$header"
}

add_row() {     # SUITE DRIVER PASSED FAILED SKIPPED SECONDS
    rows+=("$(printf '%-20s %-44s %7d %7d %8d %8d' "$@")")
    passed=$((passed + $3)) failed=$((failed + $4)) skipped=$((skipped + $5))
    printf '%s\n' "${rows[${#rows[@]} - 1]}"
}

note() { echo "$1" >> "$results/notes"; }   # "skipped: ..." or "failed: ..."

# Reads ctest's JUnit file: counts of passed, failed, skipped on the first line, then "failed:
# TEST", "skipped: TEST: why" and "took: SECONDS TEST".
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
            said[++lines] = "took: " took " " test
            test = ""
        }
        function attribute(name) {
            return match($0, " " name "=\"[^\"]*\"") ? substr($0, RSTART + length(name) + 3, RLENGTH - length(name) - 4) : ""
        }
        /<testcase / {
            close_test()
            test = attribute("name"); state = attribute("status"); took = attribute("time") + 0
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
    sed -n "s;^\(skipped\|failed\): ;\1: $name$on: ;p; s;^took: \([0-9.]*\) ;took: \1 $name$on: ;p" "$file.txt" >> "$results/notes"
    [ "$f" = 0 ] || sed 's/^/    /' "$file.log" | tail -n 150
}

# ---- Drivers ----

only() { echo "VK_DRIVER_FILES=$1 VK_ICD_FILENAMES=$1"; }      # the second name is for loaders before 1.3.207

driver_name() { # ICD FALLBACK: what the driver says of itself
    local said
    # shellcheck disable=SC2046
    said=$(env $(only "$1") "$top/build/vkbert" devices --json 2> /dev/null |
           sed -n '0,/"driver":/s/.*"driver":[[:space:]]*"\([^"]*\)".*/\1/p')
    printf '%.44s' "${2}${said:+: $said}"
}

# Software drivers into names and icds: the system's first.
names=() icds=()
find_drivers() {
    local icd
    for icd in {/usr/local/share,/usr/share,/etc}/vulkan/icd.d/lvp_icd*.json; do
        # on 64 bits Debian may have the 32-bit driver beside
        [ -f "$icd" ] && [[ $icd != *.i[3-6]86.json ]] && names+=("$(driver_name "$icd" system)") icds+=("$icd")
    done
    for icd in "$extra"/*/*.json; do
        [ -f "$icd" ] && names+=("$(driver_name "$icd" "$(basename "$(dirname "$icd")")")") icds+=("$icd")
    done
    return 0
}

# The index of the newest llvmpipe, by Mesa's version; nothing: there is none.
newest_llvmpipe() {
    local i
    for i in "${!names[@]}"; do
        [[ ${names[$i]} != *llvmpipe* ]] || printf '%s\t%s\n' "$(sed 's/.*Mesa \([0-9.]*\).*/\1/' <<< "${names[$i]}")" "$i"
    done | sort -V | tail -n 1 | cut -f 2
}

has_gpu() {
    [[ $("$top/build/vkbert" devices --json 2> /dev/null) =~ '"type":'[[:space:]]*'"'(discrete|integrated|virtual) ]]
}

suite_on_gpu() {
    suite "device" "the GPU" "$top/build" "VK_LOADER_DRIVERS_DISABLE=*lvp*" -L device -j 1
}

fail_without_drivers() {
    add_row "device" "none found" 0 1 0 0
    note "failed: device: no Vulkan driver was found: tools/setup.sh installs a software driver"
}

has_validation_layer() {
    local folder
    for folder in {/usr/local/share,/usr/share,/etc}/vulkan/explicit_layer.d; do
        [ ! -f "$folder/VkLayer_khronos_validation.json" ] || return 0
    done
    note "skipped: validation: the Khronos validation layer is not installed"
    skipped=$((skipped + 1))
    return 1
}

# ---- Builds ----

build_release() { stage "building" build release "$top/build" || fail "the build failed"; }

build_sanitized() {
    stage "building with address and undefined-behaviour sanitizers" build sanitize "$top/build-sanitize" ||
        fail "the sanitizer build failed"
}

can_fuzz() {    # Clang may be there without the run-time libraries that fuzzing wants
    echo 'int LLVMFuzzerTestOneInput(const unsigned char *d, unsigned long n) { return d == 0 && n; }' |
        clang -x c -fsanitize=fuzzer,address,undefined -o "$logs/can_fuzz" - 2> /dev/null
}

fuzz=no
build_fuzz() {
    can_fuzz || return 0
    stage "building the fuzz targets" build fuzz "$top/build-fuzz" || fail "the fuzz build failed"
    fuzz=yes
}

suite_of_fuzz() {   # SECONDS of each target
    if [ $fuzz = yes ]; then
        suite "fuzz" "-" "$top/build-fuzz" "$asan VKBERT_FUZZ_SECONDS=$1" -L fuzz -j 2
    else
        add_row "fuzz" "-" 0 0 1 0
        note "skipped: fuzz: clang with its libraries for fuzzing (Debian's libclang-rt-*-dev) is not installed"
    fi
}

# ---- The end ----

# The table again, reasons, the ten slowest tests, the count. The status is that of the whole.
finish() {
    printf '\n%s\n' "$header"
    printf '%s\n' "${rows[@]}"
    local kind
    for kind in skipped failed; do
        ! grep -q "^$kind: " "$results/notes" || { printf '\n%s:\n' "$kind"; sed -n "s/^$kind: /  /p" "$results/notes" | sort -u; }
    done
    printf '\nthe ten slowest tests:\n'
    sed -n 's/^took: //p' "$results/notes" | sort -rn |
        awk 'NR <= 10 { seconds = $1; sub(/^[^ ]* /, ""); printf "%8.1f s  %s\n", seconds, $0 }'
    printf '\n%d passed, %d failed, %d skipped\n' $passed $failed $skipped
    [ $failed = 0 ]
}
