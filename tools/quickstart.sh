#!/usr/bin/env bash
# From a bare system to a BERT that has read a book: installs what is missing, builds, fetches a
# faster software driver where that helps, shows the device, trains a small model on English text,
# says how much it learnt, and fills masks in sentences that it has never seen.
#
#   tools/quickstart.sh                     the King James Bible, in under five minutes on two CPU cores
#   tools/quickstart.sh TEXT...             your own text files
#   tools/quickstart.sh --seconds N ...     a time budget for everything, set-up included [280]
#
# Each run writes a new folder out/quickstart-N.
set -euo pipefail
. "$(dirname "$0")/common.sh"

# Every flag of the run that is not a path. The small recipe makes a small model learn within
# minutes; --max_seconds trains for the time that is left, and the rate follows it.
train_flags=(--recipe small --do_train --do_eval)
fill_flags=(--quiet --top-k 5)
after_training=40       # seconds kept for what surrounds the steps: vocabulary, two evaluations, saving, filling masks
shortest_training=45    # a slow set-up does not shorten training below this
least_budget=$((after_training + shortest_training))
fewest_lines=200
book=https://www.gutenberg.org/cache/epub/10/pg10.txt   # the same book, public domain, where no package has it

budget=280
if [ "${1:-}" = --seconds ]; then
    [[ ${2:-} =~ ^[1-9][0-9]{0,8}$ ]] || fail "--seconds wants a whole number of seconds"
    budget=$2
    [ "$budget" -ge $least_budget ] ||
        fail "--seconds $budget is too little for a model to learn anything: give at least $least_budget"
    shift 2
fi
texts=()
for text in "$@"; do
    case $text in -*) fail "unknown option \"$text\": --seconds N, then text files" ;; esac
    [ -f "$text" ] && [ -r "$text" ] || fail "$text is not a file that can be read"
    texts+=("$(cd "$(dirname "$text")" && pwd)/$(basename "$text")")
done
if [ ${#texts[@]} -gt 0 ]; then
    lines=$(cat "${texts[@]}" | awk 'NF { n++ } END { print n + 0 }')
    [ "$lines" -ge $fewest_lines ] ||
        fail "the text has $lines lines, too few to learn from: give at least $fewest_lines, better some thousand"
fi

step() { printf '\n== %s\n' "$1"; }

default_text() {    # the verses, one a line, without their numbers
    if command -v bible > /dev/null; then
        bible -f Gen1:1-Rev22:21 | sed 's/^[^ ]* *//'
    else
        curl -fsSL --retry 3 "$book" | tr -d '\r' | awk '
            /^\*\*\* *START/ { inside = 1; next }
            /^\*\*\* *END/ { inside = 0 }
            inside { while (match($0, /(^| )[0-9]+:[0-9]+ /)) {
                         if (RSTART > 1) verse = verse (verse == "" ? "" : " ") substr($0, 1, RSTART - 1)
                         if (verse != "") print verse
                         verse = ""
                         $0 = substr($0, RSTART + RLENGTH)
                     }
                     if ($0 == "") { if (verse != "") print verse; verse = "" }
                     else verse = verse (verse == "" ? "" : " ") $0 }
            END { if (verse != "") print verse }'
    fi
}

prepare_text() {    # every 20th line is held out
    if [ ${#texts[@]} -gt 0 ]; then cat "${texts[@]}"; else default_text; fi |
        awk -v train="$work/train.txt" -v held_out="$work/held_out.txt" \
            'NF { print > (++line % 20 == 0 ? held_out : train) }'
    [ -s "$work/held_out.txt" ] || { rm -r "$work"; return 1; }
}

held_out_sentences() {  # three lines of the held-out text: the line with its middle word masked, a tab, that word
    awk 'NF >= 8 && NF <= 16 && !/\[MASK\]/ {
             middle = int(NF / 2) + 1
             if (match($middle, /^[A-Za-z]+/) == 0) next
             word = substr($middle, 1, RLENGTH)
             $middle = "[MASK]" substr($middle, RLENGTH + 1)
             found[n++] = $0 "\t" word
         }
         END { for (i = 0; i < 3 && i < n; i++) print found[int(n * (2 * i + 1) / 6)] }' "$work/held_out.txt"
}

result() {  # KEY: a number of the run's all_results.json
    sed -n 's/.*"'"$1"'":[[:space:]]*\([-+.0-9eE]*\).*/\1/p' "$out/all_results.json" | head -n 1
}

step "Set-up"
if [ ${#texts[@]} -gt 0 ]; then "$top/tools/setup.sh"; else "$top/tools/setup.sh" --text; fi || fail "set-up did not finish"
stage "building" build release "$top/build" vkbert_program || fail "the build failed"
vkbert=$top/build/vkbert
"$top/tools/newer_driver.sh" "$vkbert"

step "The Vulkan devices of this machine"
"$vkbert" devices || fail "no Vulkan device can be used"

n=1
while [ -e "$top/out/quickstart-$n" ] || [ -e "$top/out/quickstart-$n.text" ]; do n=$((n + 1)); done
out=$top/out/quickstart-$n
work=$out.text
mkdir -p "$work"
step "The text"
stage "preparing it" prepare_text || fail "there is no text: give files with some thousand lines"
printf '%s lines to learn from, %s held out (every 20th), in %s\n' \
       "$(wc -l < "$work/train.txt")" "$(wc -l < "$work/held_out.txt")" "${work#"$PWD"/}"

left=$((budget - SECONDS - after_training))
[ $left -ge $shortest_training ] || left=$shortest_training
step "Training for about $left seconds"
"$vkbert" train "${train_flags[@]}" --max_seconds $left --train_file "$work/train.txt" \
                --validation_file "$work/held_out.txt" --output_dir "$out" || fail "training failed"

step "What it learnt"
for key in eval_loss eval_loss_before unigram_entropy; do
    [ -n "$(result $key)" ] || fail "$out/all_results.json has no $key"
done
awk -v before="$(result eval_loss_before)" -v after="$(result eval_loss)" -v unigram="$(result unigram_entropy)" 'BEGIN {
    printf "Masked words of the held-out text, nats and perplexity:\n\n"
    printf "  before training              %6.3f  %9.1f\n", before, exp(before)
    printf "  word frequencies alone       %6.3f  %9.1f   (the unigram entropy)\n", unigram, exp(unigram)
    printf "  after training               %6.3f  %9.1f   %.2f nats %s word frequencies\n", after, exp(after),
           after < unigram ? unigram - after : after - unigram, after < unigram ? "below" : "above"
}'

step "Filling masks"
sentences=() words=()
[ ${#texts[@]} -gt 0 ] || sentences=("And the [MASK] said unto Moses")
held_out_sentences > "$work/sentences.txt"
while IFS=$'\t' read -r sentence word; do
    sentences+=("$sentence") words+=("$word")
done < "$work/sentences.txt"
if [ ${#sentences[@]} -gt 0 ]; then
    "$vkbert" fill-mask -m "$out" "${fill_flags[@]}" "${sentences[@]}" || fail "fill-mask failed"
fi
[ ${#words[@]} -eq 0 ] || printf '\nThe last %d are held out; the book has there: %s\n' ${#words[@]} "${words[*]}"

here=${out#"$PWD"/}
program=${vkbert#"$PWD"/}
cat <<TEXT

== Done in $SECONDS seconds. The model is in $here. What next:

  $program fill-mask -m $here "In the beginning God created the [MASK] and the earth."
  ${0} YOUR_TEXT.txt                    the same with your own text
  ${0} --seconds 1800 YOUR_TEXT.txt     and more time to learn
  $program train --recipe small --train_file YOUR_TEXT.txt --validation_split_percentage 5 --do_train --do_eval --output_dir out/mine
  $program train --help
TEXT
