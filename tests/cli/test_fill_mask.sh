# fill-mask: the table, transformers' JSON, targets, standard input, mistakes.
. "$(dirname "$0")/lib.sh"
need_device
run 0 vkbert train $tiny --do_train --max_steps 40 -o model
fill() { vkbert fill-mask -m model --quiet "$@"; }
keys() { grep -oE '"(score|token|token_str|sequence)"' out | tr '\n' ' '; }
flat() { tr -d ' \t\n' < out; }

# ---- The shape of the JSON ----
run 0 fill --json --top-k 2 "the king [MASK] the river."
is_json out
same "$(keys)" '"score" "token" "token_str" "sequence" "score" "token" "token_str" "sequence" '
case $(flat) in '[{"score":'*'}]') ;; *) fail "one text with one mask is not a list of candidates: $(flat)" ;; esac
lacks "$out" "[CLS]"
run 0 fill --json -k 1 "the [MASK] sees the [MASK]."
case $(flat) in '[[{"score":'*'}],[{"score":'*'}]]') ;; *) fail "two masks are not a list of lists: $(flat)" ;; esac
has "$out" "[CLS] the" # with several masks the special tokens stay
has "$out" "[MASK]"
run 0 fill --json -k 1 "the [MASK] sees." "a [MASK]."
is_json out
case $(flat) in '[[{"score":'*'}],[{"score":'*'}]]') ;; *) fail "two texts are not a list of lists: $(flat)" ;; esac
run 0 fill "the [MASK] sees."
same "$(grep -cE '^  [01]\.[0-9]{4}  ' out)" 5

# ---- Standard input ----
printf 'the [MASK] sees.\n\nthe king [MASK].\n' > lines
stdin=lines run 0 fill --json -k 1
is_json out
same "$(grep -c '"score"' out)" 2
stdin=lines run 0 fill
has "$out" "the king [MASK]."
printf 'the [MASK] sees.\nno mask here\n' > lines
stdin=lines run 3 fill
sentence
has "$err" "line 2"
has "$out" "the [MASK] sees." # what stands before it is answered
stdin=/dev/null run 2 fill
sentence

# ---- Targets: scored over the whole vocabulary, best first, each once ----
run 0 fill --json --targets king,queen,king "the [MASK] sees."
same "$(grep -c '"score"' out)" 2
sum=$(awk '$1 == "\"score\":" { gsub(/,/, "", $2); sum += $2 } END { print sum }' out)
check less "$sum" 1
run 0 fill --targets king,kingg "the [MASK] sees."
has "$err" '"kingg" is not in the vocabulary'
run 2 fill --targets , "the [MASK] sees."
sentence
run 0 fill --json --top-k 100000 "the [MASK] sees." # more than the vocabulary
is_json out

# ---- Mistakes ----
run 2 fill "no mask here"
sentence
has "$err" "[MASK]"
run 2 fill ""
sentence
run 2 fill --top-k 0 "a [MASK]"
long=$(printf 'king %.0s' {1..600})
run 2 fill "[MASK] $long"
sentence
run 0 fill --truncate "[MASK] $long"
printf 'the \377\376 [MASK]\n' > lines # not UTF-8
stdin=lines run 0 fill --json
is_json out

# ---- Broken models: exit code 3 ----
for file in config.json model.safetensors; do
    cp -r model broken
    head -c 100 model/$file > broken/$file
    run 3 vkbert fill-mask -m broken "a [MASK]"
    sentence
    rm broken/$file
    run 3 vkbert fill-mask -m broken "a [MASK]"
    sentence
    rm -r broken
done
cp -r model broken
rm broken/vocab.txt broken/tokenizer.json
run 3 vkbert fill-mask -m broken "a [MASK]"
sentence
run 0 vkbert info -m broken # still worth describing
has "$out" "tokenizer   none"
run 0 vkbert info -m model --json
is_json out
run 0 vkbert info -m model
has "$out" "bert.embeddings.word_embeddings.weight"
has "$out" "heads       masked tokens
"

# ---- By its name on the hub, from the hub's cache ----
cached=hf/hub/models--owner--model commit=0123456789abcdef0123456789abcdef01234567
mkdir -p $cached/refs $cached/snapshots
printf $commit > $cached/refs/main
cp -r model $cached/snapshots/$commit
run 0 vkbert fill-mask -m model --json "the [MASK]"
same=$out
run 0 vkbert fill-mask -m owner/model --json "the [MASK]"
same "$out" "$same"

# ---- Devices ----
run 0 vkbert devices --json
is_json out
run 0 vkbert devices
has "$out" "subgroups"
run 4 vkbert fill-mask -m model --device "no such device" "a [MASK]"
sentence
run 4 env VKBERT_DEVICE=4711 "$program" fill-mask -m model "a [MASK]"
sentence
report
