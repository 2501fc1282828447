# The few words of the program's tests. A test file sources this with the program as its first argument:
#
#     . "$(dirname "$0")/lib.sh"
#     run 2 vkbert train --max-stpes 3        # expects the exit code; keeps $out and $err
#     has "$err" "did you mean --max-steps?"
#     report
#
# Everything is made in $work, which is removed at the end. A check that fails says what it saw and the test goes on.
set -u
program=$(realpath "$1")
cli_tests=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/vkbert-cli.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
# vkbert's cache is a new one; Mesa keeps what it has compiled, or each test would compile it again.
export MESA_SHADER_CACHE_DIR=${MESA_SHADER_CACHE_DIR:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}}
export XDG_CACHE_HOME=$work/cache NO_COLOR=1 LC_ALL=C
unset VKBERT_DEVICE VKBERT_CACHE
# The hub's cache is a new one, and nothing is asked for outside of this machine.
unset ${!HF_*} HUGGINGFACE_HUB_CACHE HUGGING_FACE_HUB_TOKEN TRANSFORMERS_OFFLINE
export HF_HOME=$work/hf HF_HUB_OFFLINE=1
failures=0 checks=0 out= err=

# With VKBERT_VALIDATE=1 under the validation layers: the program then fails after any message.
vkbert() {
    case ${VKBERT_VALIDATE:-0}:${1:-} in
        1:train | 1:eval | 1:fill-mask | 1:bench) "$program" "$@" --validate ;;
        *) "$program" "$@" ;;
    esac
}

fail() {
    failures=$((failures + 1))
    printf '%s:%s: %s\n' "$(basename "$0")" "${BASH_LINENO[1]}" "$1"
}

# run CODE COMMAND...: its output is in $out and $err, and in the files out and err
run() {
    local expected=$1 seen
    shift
    checks=$((checks + 1))
    "$@" > out 2> err < "${stdin:-/dev/null}"
    seen=$?
    out=$(cat out) err=$(cat err)
    [ $seen -eq "$expected" ] || fail "exit code $seen, expected $expected: $* -- $err"
}

# One sentence for a person: one line, of the program, without a trace of a crash.
sentence() {
    checks=$((checks + 1))
    [ "$(grep -c '^vkbert: ' <<< "$err")" -eq 1 ] || fail "not one sentence: \"$err\""
    case $err in *[Aa]ssert*|*Sanitizer*|*"core dumped"*) fail "a crash: $err" ;; esac
}

has() {
    checks=$((checks + 1))
    case $1 in *"$2"*) ;; *) fail "\"$1\" lacks \"$2\"" ;; esac
}

lacks() {
    checks=$((checks + 1))
    case $1 in *"$2"*) fail "\"$1\" has \"$2\"" ;; esac
}

same() {
    checks=$((checks + 1))
    [ "$1" = "$2" ] || fail "\"$1\" is not \"$2\""
}

# check COMMAND...: succeeds
check() {
    checks=$((checks + 1))
    "$@" || fail "$* failed"
}

skip() {
    printf 'skipped: %s\n' "$1"
}

# One JSON document and nothing else; cut down to what jq-less machines have.
is_json() {
    checks=$((checks + 1))
    if command -v python3 > /dev/null; then
        python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$1" 2> json.err || fail "$1 is not one JSON document: $(tail -1 json.err)"
    fi
}

# Sentences that a small model can learn: make_text FILE LINES FIRST
make_text() {
    awk -v lines="$2" -v first="$3" 'BEGIN {
        n = split("king queen bird tree friend", who); split("sees loves finds calls fears", does); split("river mountain house bread night", what)
        for (i = first; i < first + lines; i++)
            printf "the %s %s the %s and %s the %s.\n", who[i % n + 1], does[int(i / 5) % n + 1], what[int(i / 25) % n + 1],
                   does[(i * 7) % n + 1], what[(i * 3) % n + 1]
    }' > "$1"
}

# wait_for PROCESS CONDITION...: until the command succeeds, however slow the machine is; not behind the process's end
wait_for() {
    local process=$1
    shift
    until "$@"; do
        if ! kill -0 "$process" 2> /dev/null; then
            "$@" || fail "process $process ended before: $*"
            return
        fi
        sleep 0.05
    done
}

need_device() {
    vkbert devices > /dev/null 2>&1 && return
    skip "there is no Vulkan device"
    exit 77
}

report() {
    printf '%d checks, %d failed\n' $checks $failures
    [ $failures -eq 0 ] || exit 1
}

# The smallest model that is one, on text.txt: seconds on any device. $tiny are its flags.
make_text text.txt 300 0
make_text valid.txt 60 1000
tiny="--size tiny --config_overrides hidden_size=32,num_hidden_layers=1,intermediate_size=64,num_attention_heads=2 --vocab_size 200
      --max_seq_length 16 --per_device_train_batch_size 8 --learning_rate 1e-2 --train_file text.txt --validation_file valid.txt"
value() { awk -v key="\"$2\":" '$1 == key { gsub(/,/, "", $2); print $2 }' "$1"; } # value FILE KEY, of a JSON file with a key a line
less() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a < b) }'; }
