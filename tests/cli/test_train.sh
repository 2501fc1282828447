# train and eval end to end, on a text of 300 lines.
. "$(dirname "$0")/lib.sh"
need_device

# ---- A run leaves what Hugging Face's users expect, and learns ----
run 0 vkbert train $tiny --do_train --do_eval --eval_on_start --max_steps 60 --logging_steps 20 --output_dir deep/out
has "$out" "saved in    deep/out"
has "$err" "step 60/60"
for file in config.json model.safetensors vocab.txt tokenizer.json tokenizer_config.json special_tokens_map.json README.md \
            trainer_state.json optimizer.safetensors train_results.json eval_results.json all_results.json metrics.jsonl; do
    check test -s deep/out/$file
done
same "$(find deep -name '*tmp*' -o -name '.*')" ""
for file in config.json trainer_state.json train_results.json eval_results.json all_results.json; do is_json deep/out/$file; done
same "$(grep -c '"loss"' deep/out/metrics.jsonl)" 4 # steps 1, 20, 40, 60
same "$(grep -c '"eval_loss"' deep/out/metrics.jsonl)" 2
while read -r line; do
    printf '%s' "$line" > line
    is_json line
done < deep/out/metrics.jsonl
all=deep/out/all_results.json
check less "$(value $all eval_loss)" "$(value $all eval_loss_before)"
check less "$(value $all eval_loss)" "$(value $all unigram_entropy)"
for key in epoch train_loss train_runtime train_samples train_steps_per_second perplexity eval_accuracy eval_samples; do
    check test -n "$(value $all $key)"
done
card=$(cat deep/out/README.md)
has "$card" "pipeline_tag: fill-mask"
has "$card" "| loss | $(printf '%.4f' "$(value $all eval_loss)") nats |"
has "$card" "| steps, epochs | 60, "

# ---- eval says the same of the same rows and masks ----
run 0 vkbert eval -m deep/out --validation-file valid.txt --max-seq-length 16 --json --quiet
is_json out
same "$(value out loss)" "$(value $all eval_loss)"
run 0 vkbert eval -m deep/out --validation-file valid.txt --max_seq_length 16
has "$out" "perplexity"
run 2 vkbert eval -m deep/out --validation-file valid.txt --max_seq_length 4096
sentence
: > empty.txt
run 3 vkbert eval -m deep/out --validation-file empty.txt
sentence
run 3 vkbert train --recipe small --train_file empty.txt -o none
sentence
check test ! -e none

# ---- Only evaluating writes no model ----
run 0 vkbert train --model_name_or_path deep/out --do_eval --validation_file valid.txt --max_seq_length 16 -o checked
check test -s checked/eval_results.json
check test ! -e checked/model.safetensors
same "$(value checked/eval_results.json eval_loss)" "$(value $all eval_loss)"

# ---- Only training evaluates nothing; a part of the text is held out as run_mlm does ----
run 0 vkbert train $tiny --do_train --max_steps 2 -o trained
check test ! -e trained/eval_results.json
run 0 vkbert train --model_name_or_path deep/out --train_file text.txt --validation_split_percentage 10 --max_seq_length 16 --max_steps 2 -o split
check test -s split/eval_results.json
same "$(cat split/vocab.txt)" "$(cat deep/out/vocab.txt)"

# ---- A vocabulary that is there is taken ----
run 0 vkbert vocab --text text.txt --vocab-size 60 -o voc
run 0 vkbert train $tiny --tokenizer_name voc --max_steps 2 -o own
same "$(cat own/vocab.txt)" "$(cat voc/vocab.txt)"

# ---- The recipe is printed and each value can be overridden ----
run 0 vkbert train --recipe small --train_file text.txt --validation_file valid.txt --vocab_size 200 --learning_rate 1e-3 --dropout 0.1 --max_steps 2 -o small
has "$err" "--learning-rate 0.001 --warmup-ratio 0.4"
has "$err" "--position-init near --key-init near --dropout 0.1 --vocab-size 200"
has "$err" "hidden 128, layers 1, heads 4, intermediate 512"
has "$(tr -d ' \t' < small/config.json)" '"initializer_range":0.0795'

# ---- With a time it fits width and rows to that, says when it is too little, and a resumed run keeps them ----
recipe="--recipe small --train_file text.txt --validation_file valid.txt --vocab_size 200 --do_train"
run 0 vkbert train $recipe --max_seconds 0.01 -o short # in which no device does 800 steps
has "$err" "steps of 8 rows"
has "$err" "0.01 seconds are too few on this device"
has "$err" "model: hidden 64, layers 1, heads 4, intermediate 256"
same "$(value short/trainer_state.json train_batch_size)" 8
run 0 vkbert train $recipe --max_seconds 1000 --max_steps 5 --resume_from_checkpoint -o short
same "$(value short/trainer_state.json train_batch_size)" 8
run 0 vkbert train $recipe --max_seconds 0.01 --per_device_train_batch_size 4 -o asked
lacks "$err" "there is time for"
has "$err" "model: hidden 128, layers 1"
same "$(value asked/trainer_state.json train_batch_size)" 4
run 0 vkbert train $recipe --max_seconds 0.01 --config_overrides hidden_size=32 -o wide
has "$err" "model: hidden 32, layers 1"

# ---- The same seed gives the same bits; another does not ----
for name in one two; do run 0 vkbert train $tiny --do_train --max_steps 3 --seed 7 -o $name; done
run 0 vkbert train $tiny --do_train --max_steps 3 --seed 8 -o three
check cmp one/model.safetensors two/model.safetensors
check test "$(cksum < one/model.safetensors)" != "$(cksum < three/model.safetensors)"

# ---- A run that is given a time: the rate falls with it, and what is left is for who goes on ----
# falls FILE: a logged rate is never above one between it and the peak
falls() {
    grep -o '"learning_rate":[^,]*' "$1" | cut -d: -f2 |
        awk '{ if (seen && $1 > last && fell) bad = 1; if (seen && $1 < last) fell = 1; last = $1; seen++ } END { exit bad || !seen }'
}
not_repeatable="not repeatable to the bit"
run 0 vkbert train $tiny --do_train --max_seconds 2 --warmup_ratio 0.2 --logging_steps 1 --eval_strategy steps --eval_steps 20 --save_steps 5 -o timed
same "$(grep -c "$not_repeatable" err)" 1
has "$(cat timed/README.md)" "$not_repeatable"
check falls timed/metrics.jsonl
steps=$(value timed/train_results.json global_step)
check test "$steps" -ge 1
run 0 vkbert train $tiny --do_train --max_seconds 2 --warmup_ratio 0.2 --resume_from_checkpoint -o timed
has "$err" "nothing is left of max_seconds 2"
same "$(value timed/train_results.json global_step)" $steps
lacks "$(cat timed/train_results.json)" train_loss
run 0 vkbert train $tiny --do_train --max_seconds 1000000 --max_steps $((steps + 2)) --resume_from_checkpoint -o timed
same "$(value timed/train_results.json global_step)" $((steps + 2))
# a time that is shorter than a step is one
run 0 vkbert train $tiny --do_train --max_seconds 0.000001 -o instant
same "$(value instant/train_results.json global_step)" 1
has "$err" "is time for one step"
check test -s instant/model.safetensors
# steps and epochs bound it where they are given, and are not guessed where not
run 0 vkbert train $tiny --do_train --max_seconds 1000000 --num_train_epochs 1 -o passes
same "$(value passes/train_results.json epoch)" 1
lacks "$(cat trained/README.md)" "$not_repeatable"

# ---- --quiet says nothing but results; a rate that breaks the model is told ----
run 0 vkbert train $tiny --do_train --max_steps 2 --quiet -o quiet
same "$(grep -v '^warning: ' err)" ""
# decay times rate is 100: the weights grow 99-fold a step, until they are infinite
run 1 vkbert train $tiny --do_train --max_steps 100 --learning_rate 10 --weight_decay 10 --lr_scheduler_type constant -o broken
sentence
has "$err" "--learning-rate"
check test ! -e broken/model.safetensors
report
