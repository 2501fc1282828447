# Checkpoints, resuming from them, signals, and folders that hold a run already.
. "$(dirname "$0")/lib.sh"
need_device

# ---- A resumed run equals an uninterrupted one, to the bit ----
run 0 vkbert train $tiny --do_train --max_steps 12 --save_steps 4 -o whole
same "$(cd whole && echo checkpoint-*)" "checkpoint-4 checkpoint-8"
run 0 vkbert train $tiny --do_train --max_steps 12 --resume_from_checkpoint whole/checkpoint-4 -o resumed
check cmp whole/model.safetensors resumed/model.safetensors
has "$err" "going on from step 4"

# ---- In 16 bits too, and its loss scale is told ----
run 0 vkbert train $tiny --do_train --fp16 --max_steps 6 --logging_steps 3 --save_steps 4 -o half
has "$(cat half/metrics.jsonl)" '"loss_scale":65536'
same "$(value half/train_results.json train_skipped_steps)" 0
has "$(cat half/README.md)" "| precision | fp16"
has "$(cat half/checkpoint-4/trainer_state.json)" '"loss_scale_good_steps"'
run 0 vkbert train $tiny --do_train --precision fp16 --max_steps 6 --resume_from_checkpoint half/checkpoint-4 -o half_resumed
check cmp half/model.safetensors half_resumed/model.safetensors

# ---- What was logged is logged once, in metrics.jsonl and in trainer_state.json ----
run 0 vkbert train $tiny --do_train --max_steps 6 --logging_steps 1 --save_steps 4 -o logged
steps() { grep -o '"step":[	 ]*[0-9]*' "$1" | tr -d '\t ' | cut -d: -f2 | tr '\n' ' '; }
before=$(steps logged/metrics.jsonl) # a step that ended unseen has no line
has "$before" "6 "
same "$(steps logged/trainer_state.json)" "$before"
kept=$(steps logged/checkpoint-4/trainer_state.json)
has "$before" "$kept"
has "$kept" "4 "
cp logged/metrics.jsonl before.jsonl
run 0 vkbert train $tiny --do_train --max_steps 6 --logging_steps 1 --resume_from_checkpoint logged/checkpoint-4 -o logged
has "$(steps logged/metrics.jsonl)" "$kept"
same "$(steps logged/metrics.jsonl | tr ' ' '\n' | sort | uniq -d | grep .)" ""
same "$(steps logged/trainer_state.json)" "$(steps logged/metrics.jsonl)"
lines=$(wc -w <<< "$kept")
same "$(head -n "$lines" logged/metrics.jsonl)" "$(head -n "$lines" before.jsonl)"
same "$(value logged/trainer_state.json global_step)" 6
same "$(value logged/trainer_state.json best_metric)" null

# ---- A finished run is neither overwritten nor trained over ----
before=$(cd whole && cksum *.json *.safetensors)
run 2 vkbert train $tiny --do_train --max_steps 12 -o whole
sentence
has "$err" "finished run"
same "$(cd whole && cksum *.json *.safetensors)" "$before"
run 0 vkbert train $tiny --do_train --max_steps 2 --overwrite_output_dir -o whole
same "$(cd whole && ls -d checkpoint-* 2> /dev/null)" ""
same "$(value whole/train_results.json global_step)" 2
run 0 vkbert train $tiny --do_train --max_steps 4 --resume_from_checkpoint -o whole
same "$(value whole/train_results.json global_step)" 4

# ---- Old checkpoints go ----
run 0 vkbert train $tiny --do_train --max_steps 9 --save_steps 2 --save_total_limit 2 -o few
same "$(cd few && echo checkpoint-*)" "checkpoint-6 checkpoint-8"
run 0 vkbert train $tiny --do_train --max_steps 5 --save_steps 2 --save_strategy no -o few2
same "$(cd few2 && ls -d checkpoint-* 2> /dev/null)" ""

# ---- Evaluating on the way changes nothing ----
run 0 vkbert train $tiny --do_train --max_steps 6 -o plain
run 0 vkbert train $tiny --do_train --max_steps 6 --eval_strategy steps --eval_steps 2 -o watched
check cmp plain/model.safetensors watched/model.safetensors
same "$(grep -c eval_loss watched/metrics.jsonl)" 3 # steps 2 and 4, and at the end: it implies --do_eval

# ---- A rounded final model: its checkpoints are whole, and the run goes on from those ----
run 0 vkbert train $tiny --do_train --max_steps 6 --save_steps 4 --save_precision bf16 -o rounded
check test ! -e rounded/optimizer.safetensors
check test -e rounded/trainer_state.json
check test "$(wc -c < rounded/model.safetensors)" -lt $(($(wc -c < plain/model.safetensors) * 6 / 10))
has "$(cat rounded/config.json)" '"bfloat16"'
has "$(cat rounded/README.md)" "| weights saved in | bf16 |"
run 0 vkbert train $tiny --do_train --max_steps 6 --resume_from_checkpoint -o rounded
has "$err" "going on from step 4 of rounded/checkpoint-4"
check cmp rounded/model.safetensors plain/model.safetensors
run 0 vkbert train $tiny --do_train --max_steps 7 --save_precision fp16 --resume_from_checkpoint -o rounded
has "$err" "going on from step 6 of rounded"
check test ! -e rounded/optimizer.safetensors # that of step 6
run 0 vkbert fill-mask -m rounded "the king sees the [MASK]."
run 2 vkbert train $tiny --do_train --save_precision int8 -o bad
sentence

# ---- Signals ----
# interrupt SIGNAL FOLDER: starts an endless run, waits for its first step, sends the signal, keeps its exit code in $code
interrupt() {
    "$program" train $tiny --do_train --max_steps 1000000 -o "$2" > out 2> err &
    local process=$!
    wait_for $process test -s "$2/metrics.jsonl"
    kill "-$1" $process
    wait $process
    code=$? err=$(cat err)
}
for signal in INT TERM; do
    interrupt $signal stopped-$signal
    same $code 130
    sentence
    has "$err" "--resume-from-checkpoint stopped-$signal/checkpoint-"
    same "$(find stopped-$signal -name '.*')" ""
    check test ! -e stopped-$signal/model.safetensors
    check test -s "$(echo stopped-$signal/checkpoint-*)/optimizer.safetensors"
done
step=$(echo stopped-TERM/checkpoint-*) step=${step##*-}
run 0 vkbert train $tiny --do_train --max_steps $((step + 3)) -o stopped-TERM # goes on by itself, as run_mlm does
has "$err" "going on from stopped-TERM/checkpoint-$step"
same "$(value stopped-TERM/train_results.json global_step)" $((step + 3))

# the line that is printed is a command that works, also with words that a shell would split
mkdir 'a folder'
cp text.txt 'a folder/it'\''s text.txt'
"$program" train $tiny --train_file 'a folder/it'\''s text.txt' --do_train --max_steps 1000000 -o stopped > out 2> err &
process=$!
wait_for $process test -s stopped/metrics.jsonl
kill -TERM $process
wait $process
line=$(grep -- --resume-from-checkpoint err)
run 0 bash -c "$line --max_steps 1"

# ---- Not a checkpoint ----
mkdir bad
cp -r plain bad/cut
head -c 1000 plain/optimizer.safetensors > bad/cut/optimizer.safetensors
run 3 vkbert train $tiny --do_train --max_steps 9 --resume_from_checkpoint bad/cut -o bad/out
sentence
cp -r plain bad/state
echo '{' > bad/state/trainer_state.json
run 3 vkbert train $tiny --do_train --max_steps 9 --resume_from_checkpoint bad/state -o bad/out
sentence
check test ! -e bad/out
# ---- Nobody's files are lost ----
mkdir mine && echo mine > mine/README.md
run 2 vkbert train $tiny --do_train --max_steps 1 -o mine
sentence
has "$err" "README.md"
same "$(cat mine/README.md)" "mine"
mkdir -p odd/checkpoint-07 # not a name of ours
run 0 vkbert train $tiny --do_train --max_steps 1 -o odd --overwrite_output_dir
check test -d odd/checkpoint-07
run 2 vkbert train --model_name_or_path plain --train_file text.txt --do_train --max_steps 1 -o ./plain --overwrite_output_dir
sentence
has "$err" "is the model to train on"
check test -s plain/model.safetensors

# ---- The newest step is resumed, and what was just written stays ----
run 0 vkbert train $tiny --do_train --max_steps 2 -o again
run 0 vkbert train $tiny --do_train --max_steps 5 --save_steps 3 -o longer
cp -r longer/checkpoint-3 again/checkpoint-3
run 0 vkbert train $tiny --do_train --max_steps 4 -o again --resume_from_checkpoint
has "$err" "going on from step 3 of again/checkpoint-3"
mkdir branch && cp -r longer/checkpoint-3 branch/checkpoint-30
run 0 vkbert train $tiny --do_train --max_steps 7 --save_steps 2 --save_total_limit 1 --resume_from_checkpoint longer/checkpoint-3 -o branch
same "$(cd branch && echo checkpoint-*)" "checkpoint-6"

# ---- A text in which nothing is masked has no loss ----
echo a > short.txt
run 3 vkbert eval -m plain --validation-file short.txt
sentence
has "$err" "was masked"

report
