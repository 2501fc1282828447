# Files and folders that are missing or wrong: one sentence, the documented exit code, nothing left behind.
. "$(dirname "$0")/lib.sh"
make_text text.txt 50 0
mkdir folder
scratch="--recipe small --train_file text.txt"

# ---- Input: exit code 3, before anything is written ----
run 3 vkbert vocab --text nowhere.txt -o voc
sentence
has "$err" "nowhere.txt"
run 3 vkbert vocab --text text.txt folder -o voc
has "$err" "folder: there is no file in this folder"
check test ! -e voc
run 2 vkbert vocab -o voc
run 2 vkbert vocab --text text.txt
run 3 vkbert train --recipe small --train_file nowhere.txt -o run
sentence
has "$err" "nowhere.txt"
run 3 vkbert train $scratch --validation_file nowhere.txt -o run
has "$err" "nowhere.txt"
cp text.txt text.json
run 3 vkbert train --recipe small --train_file text.json -o run
has "$err" "text.json: line 1: found"
run 3 vkbert train --model_name_or_path nowhere --train_file text.txt -o run
sentence
has "$err" "nowhere"
run 3 vkbert train $scratch --tokenizer_name nowhere -o run
has "$err" "nowhere"
run 3 vkbert train --config_name nowhere.json --train_file text.txt -o run
has "$err" "nowhere.json"
run 3 vkbert train $scratch --resume_from_checkpoint nowhere -o run
has "$err" "nowhere is no checkpoint"
run 3 vkbert train $scratch --resume_from_checkpoint -o run
has "$err" "holds no checkpoint"
check test ! -e run
for command in "tokenize -m" "info -m" "fill-mask -m" "eval --validation-file text.txt -m"; do
    run 3 vkbert $command nowhere
    sentence
    has "$err" "nowhere: there is no such folder"
    run 3 vkbert $command folder
    sentence
    has "$err" "folder"
done
run 3 vkbert eval -m folder --validation-file nowhere.txt
has "$err" "nowhere.txt"
run 2 vkbert eval -m folder
run 2 vkbert info

# ---- pytorch_model.bin: listed, or refused before anything in it could run ----
mkdir torch
echo '{"model_type":"bert","vocab_size":99}' > torch/config.json
cp "$cli_tests/../fixtures/torch/legacy.bin" torch/pytorch_model.bin
run 0 vkbert info -m torch
for line in "module.f32 F32 [3,5]" "bf16 BF16 [2,3]" "transposed F32 [5,3]" "i64 I64 [1,6]"; do
    has "$(tr -s ' ' < out)" " $line"
done
printf '\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e\x80\x02M\xe9\x03.%b%b' \
    '\x80\x02}U\x0dlittle_endian\x88s.' '\x80\x02cposix\nsystem\nU\x07touch x\x85R.' > torch/pytorch_model.bin
run 3 vkbert info -m torch
sentence
has "$err" "unsupported global posix.system at byte 44, refusing"
check test ! -e x
head -c 1000 "$cli_tests/../fixtures/torch/zip.bin" > torch/pytorch_model.bin
run 3 vkbert info -m torch
sentence
has "$err" "torch/pytorch_model.bin: is truncated"

# ---- Output that cannot be written: exit code 1, nothing half-written. root may write anywhere but there. ----
for place in text.txt/run /proc/vkbert/run /dev/null; do
    run 1 vkbert vocab --text text.txt -o $place
    sentence
    has "$err" "$place"
    run 1 vkbert train $scratch -o $place
    sentence
    has "$err" "$place"
done
same "$(wc -l < text.txt)" 50
# Root may write anywhere: it becomes nobody for this.
nobody=
if [ "$(id -u)" -eq 0 ]; then
    nobody="setpriv --reuid=65534 --regid=65534 --clear-groups"
    chmod 755 "$work"
    $nobody "$program" --version > /dev/null 2>&1 || nobody=no
fi
if [ "$nobody" != no ]; then
    mkdir closed && chmod 555 closed
    run 1 $nobody "$program" train $scratch -o closed/run
    sentence
    run 1 $nobody "$program" train $scratch -o closed
    sentence
    same "$(ls -A closed)" ""
else
    skip "nobody may not run the program, and root may write to a read-only folder"
fi

# ---- A vocabulary is not overwritten ----
run 0 vkbert vocab --text text.txt --vocab-size 80 -o a/b/voc
has "$out" "pieces"
same "$(ls a/b/voc | tr '\n' ' ')" "special_tokens_map.json tokenizer.json tokenizer_config.json vocab.txt "
run 2 vkbert vocab --text text.txt --vocab-size 80 -o a/b/voc
sentence
has "$err" "--overwrite-output-dir"
run 0 vkbert vocab --text text.txt --vocab-size 70 -o a/b/voc --overwrite_output_dir
run 3 vkbert info -m a/b/voc
sentence

# ---- A plan needs neither a device nor a folder ----
run 0 env VK_DRIVER_FILES=/nonexistent VK_ICD_FILENAMES=/nonexistent "$program" train $scratch -o plan --plan
has "$out" "in all"
check test ! -e plan
run 0 vkbert train --size base --vocab_size 30522 --train_file text.txt -o plan --plan
has "$out" "GiB  in all"

# ---- No driver: exit code 4 ----
run 4 env VK_DRIVER_FILES=/nonexistent VK_ICD_FILENAMES=/nonexistent "$program" train $scratch -o run
sentence
check test ! -e run
run 4 env VK_DRIVER_FILES=/nonexistent VK_ICD_FILENAMES=/nonexistent "$program" devices
report
