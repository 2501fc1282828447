# convert: a model of any form as transformers writes it, without a device.
. "$(dirname "$0")/lib.sh"
pairs=$cli_tests/../fixtures/pairs
export VK_DRIVER_FILES=/nonexistent VK_ICD_FILENAMES=/nonexistent

# ---- The fixture is transformers' own: it comes back byte for byte ----
run 0 vkbert convert -m "$pairs" -o whole
has "$err" "has no tokenizer"
check cmp whole/model.safetensors "$pairs/model.safetensors"
has "$(cat whole/config.json)" '"BertForPreTraining"'
has "$(cat whole/config.json)" '"classifier_dropout"' # not a key of ours
same "$(ls whole | tr '\n' ' ')" "config.json model.safetensors "
run 0 vkbert vocab --text text.txt --vocab-size 80 -o with
cp whole/* with
run 0 vkbert convert -m with -o whole --overwrite_output_dir --quiet
same "$err" ""
for file in vocab.txt tokenizer.json tokenizer_config.json special_tokens_map.json; do check cmp whole/$file with/$file; done

# ---- Rounded ----
run 0 vkbert convert -m whole -o half --save-precision fp16
has "$out" "fp16"
run 0 vkbert info -m half
has "$out" " F16 "
lacks "$out" " F32 "
has "$(cat half/config.json)" '"float16"'
run 0 vkbert convert -m half -o again
check test "$(wc -c < again/model.safetensors)" -eq "$(wc -c < whole/model.safetensors)"

# ---- What is refused, and leaves nothing ----
run 2 vkbert convert -m whole -o whole --overwrite-output-dir
sentence
has "$err" "the model itself"
run 2 vkbert convert -m whole -o again
sentence
has "$err" "--overwrite-output-dir"
run 2 vkbert convert -m whole
run 2 vkbert convert -o bad
run 2 vkbert convert -m whole -o bad --save-precision int8
run 3 vkbert convert -m nowhere -o bad
sentence
head -c 20000 whole/model.safetensors > with/model.safetensors
run 3 vkbert convert -m with -o bad
sentence
sed "s/\"max_position_embeddings\":.*,/\"max_position_embeddings\": 8,/" whole/config.json > with/config.json
cp whole/model.safetensors with/model.safetensors
run 3 vkbert convert -m with -o bad
has "$err" "expected ["
echo '{' > with/tokenizer.json
cp whole/config.json with
run 3 vkbert convert -m with -o bad
has "$err" "tokenizer.json"
check test ! -e bad
report
