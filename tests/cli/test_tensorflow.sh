# A TensorFlow checkpoint as people unpack it: the same answers as its safetensors, and one sentence when it is not whole.
. "$(dirname "$0")/lib.sh"
need_device
fixtures=$cli_tests/../fixtures
mkdir google huggingface
cp "$fixtures"/tensorflow/* google
cp "$fixtures"/erf/config.json "$fixtures"/erf/model.safetensors huggingface
{ printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]' the king sees; seq -f 'word%g' 8 66; } | tee google/vocab.txt > huggingface/vocab.txt

run 0 vkbert fill-mask -m huggingface --json --top-k 67 "the [MASK] sees word9 [MASK]"
is_json out
cp out expected
run 0 vkbert fill-mask -m google --json --top-k 67 "the [MASK] sees word9 [MASK]"
check cmp out expected

run 0 vkbert info -m google
has "$out" "weights     google/bert_model.ckpt.index"
has "$out" "parameters  21,315 in 42 tensors"
has "$out" "heads       masked tokens"
has "$out" "bert/encoder/layer_1/output/dense/kernel                       F32   [32,64]"
lacks "$out" adam_m
run 0 vkbert info -m google --json
is_json out

# A model of more rows than the tokenizer has tokens: what has no text is no answer.
cp -r google padded
head -60 google/vocab.txt > padded/vocab.txt
run 0 vkbert fill-mask -m padded --json --top-k 67 "the [MASK] sees"
same "$(grep -c '"score"' out)" 60
check less "$(grep -oE '"token":\s*[0-9]+' out | grep -oE '[0-9]+' | sort -n | tail -1)" 60
lacks "$out" '"token_str":	""'

# It trains on into a Hugging Face folder.
run 0 vkbert train --model_name_or_path google --train_file text.txt --line_by_line --max_seq_length 16 --do_train --max_steps 1 \
    --per_device_train_batch_size 2 -o tuned
run 0 vkbert info -m tuned
has "$out" "bert.encoder.layer.1.output.dense.weight"

# ---- Mistakes ----
refuse() { run 3 vkbert info -m google; sentence; has "$err" "$1"; }
mv google/bert_config.json .
refuse "no config.json or bert_config.json"
mv bert_config.json google
cp google/bert_model.ckpt.index google/old.ckpt.index
refuse "has 2 TensorFlow checkpoints: bert_model.ckpt, old.ckpt"
echo 'model_checkpoint_path: "/tmp/somewhere/bert_model.ckpt"' > google/checkpoint
run 0 vkbert info -m google
rm google/old.ckpt.index google/checkpoint
mv google/bert_model.ckpt.data-00001-of-00002 .
refuse "bert_model.ckpt.data-00001-of-00002: cannot be opened"
head -c 1000 bert_model.ckpt.data-00001-of-00002 > google/bert_model.ckpt.data-00001-of-00002
refuse "is truncated"
tr '\000' '\001' < bert_model.ckpt.data-00001-of-00002 > google/bert_model.ckpt.data-00001-of-00002
refuse "do not have the checksum"
report
