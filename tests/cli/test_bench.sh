# bench train and train --profile: tables, one JSON document, traces, and a run that is the same to the bit.
. "$(dirname "$0")/lib.sh"
need_device
kernels=$(sed -n 's/^KERNEL(\([a-z0-9_]*\),.*/\1/p' "$cli_tests/../../shaders/kernels.def")
bench="bench train --size tiny --config_overrides hidden_size=32,num_hidden_layers=1,intermediate_size=64,num_attention_heads=1,vocab_size=100
       --batch 2 --length 16 --steps 2"
timed=$(vkbert devices --json | grep -c '"timestamps":.*true')

# Steps, parts and kernels: each track's slices come one after the other.
check_trace() {
    is_json "$1"
    has "$(cat "$1")" '"traceEvents"'
    for track in 1 2 3; do
        check awk -v track="\"tid\":$track," 'index($0, "\"ph\":\"X\"") && index($0, track) {
            begin = $0; sub(/.*"ts":/, "", begin); took = $0; sub(/.*"dur":/, "", took)
            if (begin + 0 < end - 1 || took + 0 < 0) bad = 1
            end = begin + took; seen++
        } END { exit bad || !seen }' "$1"
    done
}

if [ "$timed" -eq 0 ]; then
    run 1 vkbert $bench
    sentence
    has "$err" "has no timestamps"
    report
    exit
fi

# ---- A table ----
run 0 vkbert $bench --trace trace.json
for word in "device " "sequences/s" "in kernels" "submissions" "ceilings" "of copy" "adamw "; do has "$out" "$word"; done
lacks "$out" nan
lacks "$out" inf
same "$(awk 'shares { print $1 } $1 == "kernel" { shares = 1 }' out | grep -vxF "$kernels")" ""
check awk '$3 == "%" && shares { sum += $2 } $1 == "kernel" { shares = 1 } END { exit !(sum > 98 && sum < 102) }' out
check_trace trace.json
has "$(cat trace.json)" '"name":"adamw"'

# ---- One JSON document ----
run 0 vkbert $bench --json --quiet
is_json out
check less 0 "$(value out sequences_per_second)"
check less 0 "$(value out kernel_seconds)"
check less 0 "$(value out product_flops_per_second)"
check less 0 "$(value out copy_bytes_per_second)"
same "$(value out steps)" 2
same "$(value out profiled_steps)" 2

# ---- Kernels: measured with --tune, remembered, left out with --no-tune ----
run 2 vkbert bench
has "$err" "what is to be measured"
run 2 vkbert bench train --tune --no-tune
has "$err" "contradict"
run 0 vkbert $bench --json --quiet
same "$(value out measured)" 0
run 0 vkbert ${bench/bench train/bench} --tune --json --quiet
is_json out
check less 0 "$(value out products)"
same "$(value out measured)" "$(value out products)"
same "$(grep -c '"chosen":.*true' out)" "$(value out products)"
lacks "$out" fault
lacks "$out" step_seconds
run 0 vkbert ${bench/bench train/bench} --tune
has "$out" "chosen"
has "$out" "$XDG_CACHE_HOME/vkbert/tuning-"
has "$err" "trying kernels"
run 0 vkbert $bench
has "$out" "products have been measured"
lacks "$err" "trying kernels"
run 0 vkbert $bench --json --quiet
same "$(value out known)" "$(value out products)"
run 0 vkbert $bench --json --quiet --no-tune
lacks "$out" tuning

# ---- train --profile ----
run 0 vkbert train $tiny --do_train --max_steps 6 -o plain
run 0 vkbert train $tiny --do_train --max_steps 6 -o watched --profile
has "$out" "median of 3 profiled steps"
has "$out" "saved in"
check cmp plain/model.safetensors watched/model.safetensors
check_trace watched/profile_trace.json
run 0 vkbert train $tiny --do_train --max_steps 1 -o short --profile --profile_trace mine.json
has "$err" "the run ended before --profile could time a step"
check test ! -e mine.json
report
