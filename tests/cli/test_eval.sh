# eval: what it measures and writes, and what it refuses.
. "$(dirname "$0")/lib.sh"
need_device

run 0 vkbert train $tiny --do_train --max_steps 20 -o model
head -n 12 valid.txt > some.txt
eval="vkbert eval -m model --validation-file some.txt --max-seq-length 16"

# ---- Masks depend on the seed alone, and can be had ----
run 0 $eval --line-by-line --mlm-probability 0.3 --json --quiet --export-masks rows.jsonl
cp out first.json
is_json first.json
same "$(grep -c '"input_ids": \[' rows.jsonl)" 12
same "$(grep -c '"next_sentence_label"' rows.jsonl)" 0
head -n 1 rows.jsonl > row
is_json row
for key in row labels token_type_ids position_ids segments log_likelihood; do has "$(cat row)" "\"$key\": "; done
same "$(grep -o '"labels": [^]]*' rows.jsonl | grep -oE '[[ ][0-9]+' | wc -l)" "$(value first.json masked_tokens)"
run 0 $eval --line-by-line --mlm-probability 0.3 --json --quiet --export-masks again.jsonl --per-device-eval-batch-size 5
ids() { sed 's/, "log_likelihood.*//' "$1"; }
same "$(ids again.jsonl)" "$(ids rows.jsonl)"
run 0 $eval --line-by-line --mlm-probability 0.3 --json --quiet --export-masks again.jsonl --seed 1
check test "$(ids again.jsonl)" != "$(ids rows.jsonl)"

# ---- Pseudo-perplexity is of lines, each token of which is masked ----
run 0 $eval --pseudo-perplexity --json --quiet --export-masks rows.jsonl
is_json out
for key in pseudo_perplexity pseudo_log_likelihood top1 top5 tokens rows; do check test -n "$(value out $key)"; done
same "$(value out rows)" 12
same "$(grep -o '"labels": [^]]*' rows.jsonl | grep -oE '[[ ][0-9]+' | wc -l)" "$(value out tokens)"
lacks "$(cat rows.jsonl)" '[MASK]'
run 0 $eval --pseudo-perplexity --max-eval-samples 2
has "$out" "pseudo-perplexity  "
has "$out" "in 2 rows of at most 16"
run 0 $eval --pseudo-perplexity --line-by-line false --max-eval-samples 2 --json --quiet
check less "$(value out rows)" 3
yes 'the king sees the river' | head -n 30 | tr '\n' ' ' > long.txt # one text, longer than the model takes
run 0 vkbert eval -m model --validation-file long.txt --pseudo-perplexity --max-seq-length 16 --json --quiet
same "$(value out tokens)" 14
echo a > one.txt
run 0 vkbert eval -m model --validation-file one.txt --pseudo-perplexity --json --quiet
same "$(value out tokens)" 1

# ---- What is refused, and leaves no file behind ----
run 2 $eval --pseudo-perplexity --masking static
sentence
has "$err" "leave --masking out"
run 2 $eval --pseudo-perplexity --objective nsp
sentence
run 2 $eval --export-masks .
sentence
run 1 $eval --export-masks nowhere/rows.jsonl
sentence
: > empty.txt
run 3 vkbert eval -m model --validation-file empty.txt --pseudo-perplexity --export-masks none.jsonl
sentence
printf ' \n\n' > empty.txt
run 3 vkbert eval -m model --validation-file empty.txt --pseudo-perplexity --export-masks none.jsonl
sentence
run 3 vkbert eval -m model --validation-file one.txt --mlm-probability 0.001 --export-masks none.jsonl
sentence
has "$err" "was masked"
same "$(echo none.jsonl* nowhere*)" "none.jsonl* nowhere*"

# ---- Results add up in all_results.json, and a later evaluation replaces its own part alone ----
run 0 vkbert train $tiny --do_train --do_eval --max_steps 2 -o all
run 0 vkbert train -m all --do_eval --validation_file some.txt --max_seq_length 16 -o all
all=all/all_results.json
is_json $all
same "$(value $all eval_loss)" "$(value all/eval_results.json eval_loss)"
same "$(value $all train_loss)" "$(value all/train_results.json train_loss)"
same "$(value $all global_step)" 2
same "$(value $all eval_samples)" "$(value all/eval_results.json eval_samples)"
echo 'not JSON' > $all
run 0 vkbert train -m all --do_eval --validation_file some.txt --max_seq_length 16 -o all
has "$err" "warning: all/all_results.json"
is_json $all
same "$(value $all eval_loss)" "$(value all/eval_results.json eval_loss)"
report
