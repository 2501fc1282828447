# The command line itself: help, wrong flags, wrong values, flags of run_mlm that are not taken.
. "$(dirname "$0")/lib.sh"

# ---- Help and version ----
run 0 vkbert --help
for command in devices vocab tokenize train eval info fill-mask pull bench; do has "$out" "  $command "; done
for command in devices vocab tokenize train eval info fill-mask pull bench; do
    run 0 vkbert $command --help
    has "$out" "Usage: vkbert $command "
    same "$(awk 'length > 100' out)" ""
    # a screen a group
    same "$(awk '/^$/ { n = 0 } ++n > 24' out)" ""
    # every flag of the help is a flag, whatever it says of the value 1
    for flag in $(grep -oE '^ +(-., )?--[a-z0-9-]+' out | grep -oE -- '--.*'); do
        lacks "$(vkbert $command "$flag=1" --help 2>&1 > help)" "there is no flag"
    done
done
run 0 vkbert train --help
has "$out" "--learning-rate X                     its peak [5e-5]"
run 0 vkbert --version
for word in vkbert commit shaders Vulkan; do has "$out" "$word"; done
run 2 vkbert
run 1 bash -c "'$program' --help > /dev/full"
has "$err" "standard output"

# ---- Mistyped ----
run 2 vkbert trian
has "$err" "did you mean train?"
run 2 vkbert xyzzy
has "$err" "--help"
run 2 vkbert train --max-stpes 3
sentence
has "$err" "did you mean --max-steps?"
run 2 vkbert train --learning 3
has "$err" "did you mean --learning-rate?"
run 2 vkbert fill-mask --modle x
has "$err" "did you mean --model?"
run 2 vkbert train --zzzzzzzzzzzz
has "$err" "there is no flag --zzzzzzzzzzzz"
lacks "$err" "did you mean"
run 2 vkbert train -z 3
has "$err" "there is no flag -z"
run 2 vkbert devices stray
has "$err" "stray"
run 2 vkbert train "--$(printf 'x%.0s' {1..5000})"
sentence

# ---- Values ----
run 2 vkbert train --max_steps
has "$err" "--max-steps needs a value"
run 2 vkbert train --max_steps --do_train
has "$err" "--max-steps needs a value"
for wrong in ten 1.5 "" 99999999999999999999 5x; do
    run 2 vkbert train --max-steps "$wrong"
    has "$err" "--max-steps takes a whole number, not \"$wrong\""
done
for wrong in ten nan inf 1e999 ""; do
    run 2 vkbert train --learning_rate="$wrong"
    has "$err" "--learning-rate takes a number"
done
run 2 vkbert train --mlm_probability 1.5
has "$err" "0.001 to 1"
run 2 vkbert train --max_steps -2
has "$err" "-1 or more"
run 2 vkbert train --per_device_train_batch_size 0
has "$err" "from 1"
run 2 vkbert train --lr_scheduler_type polynomial
has "$err" "linear|cosine|constant|constant_with_warmup"
run 2 vkbert train --lr_scheduler_type Linear
has "$err" "not \"Linear\""
run 2 vkbert train --do_train=perhaps
has "$err" "true or false"

# ---- Spelling: dashes and underscores, = and space, booleans as Hugging Face's parser takes them ----
for spelling in "--max_seq_length 3" --max-seq-length=3 --max_seq-length=3; do
    run 2 vkbert train $spelling
    has "$err" "--max-seq-length takes a number of 4 or more"
done
for boolean in --do_eval "--do_eval True" --do-eval=yes "--do_eval 1"; do
    run 2 vkbert train $boolean --do_train false -o out --recipe small --train_file nowhere.txt
    has "$err" "--do-eval alone needs --model-name-or-path"
done
run 2 vkbert train --do_train False --do_eval False
has "$err" "nothing to do"

# ---- Of run_mlm, but not taken; of the interface, but not yet there ----
while read -r flags; do
    run 2 vkbert train $flags
    sentence
    has "$err" "vkbert: ${flags%% *} is not"
done <<'FLAGS'
--dataset-name wikitext
--dataset-config-name wikitext-2-raw-v1
--deepspeed ds.json
--push-to-hub
--push-to-hub True
--report-to tensorboard
--load-best-model-at-end
--early-stopping-patience 3
--optim adafactor
--streaming
FLAGS
run 2 vkbert train --per-device-train-batch-size Auto
has "$err" "--per-device-train-batch-size takes a whole number, not \"Auto\""
# ---- Rows, objectives and masks that exclude each other ----
touch some.txt
while read -r flags; do
    run 2 vkbert train --recipe small --train_file some.txt -o out ${flags%|*}
    sentence
    has "$err" "${flags#*|}"
done <<'FLAGS'
--line-by-line --packing|choose one
--objective nsp --packing|leave --packing out
--objective mlm+nsp --line-by-line|leave --line-by-line out
--masking random|--masking
--objective both|--objective
--train_file -|standard input can be read once
--fp16 --bf16|--fp16 and --bf16 contradict each other
--fp16 --precision bf16|give one of
--bf16 --precision fp32|give one of
--precision half|--precision
FLAGS
# values that ask for nothing are passed over, on the way to the next mistake
for harmless in "--fp16 False" "--report_to none" "--masking mlm" "--push_to_hub=false" "--optim adamw_torch" "--precision fp32"; do
    run 2 vkbert train $harmless
    has "$err" "--output-dir DIR is needed"
done
run 2 vkbert eval --pseudo-perplexity -m nowhere --validation-file a.txt --mlm-probability 0.3
has "$err" "leave --mlm-probability out"

# ---- Flags that go together ----
run 2 vkbert train -o out --train_file a.txt
has "$err" "which model?"
run 2 vkbert train -o out --recipe small
has "$err" "--train-file F... is needed"
run 2 vkbert train -o out --size tiny --config_name c.json --train_file a.txt
has "$err" "give one"
run 2 vkbert train -o out -m model --size tiny --train_file a.txt
has "$err" "choose one"
run 2 vkbert train -o out --size tiny --train_file a.txt --do_eval --do_train --validation_split_percentage 0
has "$err" "--do-eval needs held-out text"
run 2 vkbert tokenize -m model --decode --pair
has "$err" "--decode"

# ---- bench and --profile ----
while read -r flags; do
    run 2 vkbert ${flags%|*}
    sentence
    has "$err" "${flags#*|}"
done <<'FLAGS'
bench|what is to be measured? vkbert bench train
bench eval|vkbert bench train
bench train again|vkbert bench train
bench train --size huge|--size takes
bench train --config_overrides hidden_size=65|num_attention_heads
bench train --length 513|--length 513 is more than the model's 512 positions
bench train --batch 0|--batch takes
bench train --steps 0|--steps takes
bench train --trace nowhere/trace.json|there is no folder nowhere
bench train --trace .|. is a folder
train --recipe small --train_file some.txt -o out --profile_trace t.json|is for a run with --profile
train --recipe small --train_file some.txt -o out --profile --profile_trace nowhere/t.json|there is no folder nowhere
train -m . --validation_file some.txt -o out --do_eval --profile|--profile times training
FLAGS
report
