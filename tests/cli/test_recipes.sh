# Rows, masks and objectives through the program, and the cache of tokens.
. "$(dirname "$0")/lib.sh"
need_device

make_text documents.txt 60 0
awk '{ print } NR % 5 == 0 { print "" }' documents.txt > text.txt # which is what $tiny trains on
train="vkbert train $tiny --max_steps 3 --overwrite_output_dir"

# ---- The cache: taken from, passed over when asked or when the text has changed ----
run 0 $train -o run
lacks "$err" "from the cache"
cp run/metrics.jsonl first.jsonl
run 0 $train -o run
has "$err" "from the cache"
losses() { sed 's/.*"loss":\([^,]*\),.*/\1/' "$1"; }
check test "$(losses run/metrics.jsonl)" = "$(losses first.jsonl)"
run 0 $train -o run --overwrite_cache
lacks "$err" "from the cache"
echo "one line more" >> text.txt
run 0 $train -o run
lacks "$(grep '^text: ' <<< "$err")" "from the cache"

# ---- Rows and masks ----
run 0 $train -o run --packing
has "$err" "% full"
run 0 $train -o run --masking whole-word --mask-replace-prob 0.7 --random-replace-prob 0.2
run 0 $train -o run --masking static --static-copies 2
run 0 $train -o run --masking tutorial --line_by_line
has "$(cat run/README.md)" "masks | tutorial"

# ---- Objectives ----
run 0 $train -o run --objective mlm+nsp --do_train --do_eval
has "$out" "nats a pair"
has "$(cat run/config.json)" "BertForPreTraining"
run 0 vkbert info -m run
has "$out" "heads       masked tokens, next sentence"
has "$(cat run/all_results.json)" "eval_next_sentence_accuracy"
run 0 vkbert eval -m run --validation-file valid.txt --objective nsp --device cpu
has "$out" "nats a pair"
run 0 $train -o pairs --objective nsp --do_train --do_eval
same "$(value pairs/eval_results.json eval_loss)" "$(value pairs/eval_results.json eval_next_sentence_loss)"
lacks "$(cat pairs/README.md pairs/eval_results.json)" perplexity
has "$(cat pairs/README.md)" "| next sentence: loss, right | "
run 0 vkbert train -m run --train_file text.txt --max_steps 2 --device cpu -o more --learning_rate 1e-3
has "$(cat more/config.json)" "BertForPreTraining"

# ---- On from a model: a larger tokenizer makes its vocabulary grow, its card's license stays ----
run 0 vkbert vocab --text text.txt valid.txt --vocab-size 300 --min-frequency 1 --special-tokens '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]' '<a>' \
    --unused 200 -o larger
printf -- '---\nlicense: apache-2.0\nbase_model: x\n---\nlicense: mit\n' > run/README.md
run 0 vkbert train -m run --tokenizer_name larger --train_file text.txt --max_steps 2 --device cpu -o grown
has "$err" "the vocabulary grows from "
size=$(wc -l < larger/vocab.txt)
has "$(cat grown/config.json)" "\"vocab_size\":	$size,"
has "$(head -12 grown/README.md)" "license: apache-2.0"
lacks "$(cat grown/README.md)" "license: mit"
run 0 vkbert fill-mask -m grown "the king sees the [MASK]." --device cpu
run 3 vkbert train -m run --tokenizer_name larger --do_eval --validation_file text.txt --device cpu -o bad
has "$err" "the tokenizer has $size ids"
run 2 vkbert train --recipe small --train_file text.txt -o bad --mask-replace-prob 0.9 --random-replace-prob 0.3
has "$err" "at most 1 together"
report
