# A full disk: one sentence, exit code 1, and no file that looks whole. Needs a small file system of its own.
. "$(dirname "$0")/lib.sh"
need_device
mkdir disk
if ! mount -t tmpfs -o size=192k tmpfs disk 2> /dev/null; then
    skip "a full disk needs root and mount: not here"
    exit 77
fi
trap 'umount "$work/disk"; rm -rf "$work"' EXIT

run 1 vkbert train $tiny --do_train --max_steps 3 -o disk/out # 4 MiB would be needed
sentence
has "$err" "disk/out"
check test ! -e disk/out/model.safetensors
same "$(find disk -name '*tmp*')" ""
for file in $(find disk -name '*.json'); do is_json $file; done
rm -rf disk/out

# full from the start: refused before anything is trained
head -c 1M /dev/zero > disk/fill 2> /dev/null
run 1 vkbert train $tiny --do_train --max_steps 3 -o disk/out
sentence
check test ! -e disk/out
run 1 vkbert vocab --text text.txt -o disk/voc
sentence
check test ! -e disk/voc
report
