# Text of every form through the program: files, folders, globs, standard input, rows, archives; what cannot be read.
. "$(dirname "$0")/lib.sh"
make_text text.txt 60 0
run 0 vkbert vocab --text text.txt --vocab-size 300 -o voc --quiet
cp voc/vocab.txt plain.vocab

# ---- The same text, however it comes, gives the same vocabulary ----
mkdir -p folder/deeper
head -n 20 text.txt > folder/a.txt
sed -n '21,$p' text.txt > folder/deeper/b.txt
gzip -c text.txt > text.txt.gz
gzip -c text.txt > text.unknown
zst=
if command -v zstd > /dev/null; then zstd -q text.txt -o text.txt.zst && zst=text.txt.zst; fi
{ echo text,other; sed 's/"/""/g; s/.*/"&",1/' text.txt; } > text.csv
{ printf 'n\tbody\n'; sed 's/^/1\t/' text.txt; } > text.tsv
sed 's/.*/{"other": 1, "text": "&"}/' text.txt > text.jsonl
{ echo '['; sed 's/.*/{"text": "&"},/; $s/,$//' text.txt; echo ']'; } > list.json
{ echo '{"data": ['; sed 's/.*/{"text": "&"},/; $s/,$//' text.txt; echo ']}'; } > data.json
for source in folder "folder/*" text.txt.gz text.unknown $zst text.csv "text.tsv --text-column body" text.jsonl list.json data.json; do
    set -f
    run 0 vkbert vocab --text $source --vocab-size 300 -o voc --overwrite-output-dir --quiet
    set +f
    check cmp -s voc/vocab.txt plain.vocab
done
stdin=text.txt
run 0 vkbert vocab --text - --vocab-size 300 -o voc --overwrite-output-dir --quiet
unset stdin
check cmp -s voc/vocab.txt plain.vocab

# ---- What cannot be read: file and line ----
while IFS='|' read -r name content sentence; do
    printf "$content" > "$name"
    run 3 vkbert vocab --text "$name" -o new
    sentence
    has "$err" "$name: $sentence"
done <<'FILES'
open.csv|text\n"a\nb\n|line 2: a quote is opened and never closed
ragged.csv|text,b\nc,1\nd\n|line 3: has 1 values, but the header names 2 columns
row.jsonl|{"text": "a"}\n{"text": b}\n|line 2: is not JSON
number.jsonl|{"text": "a"}\n{"text": 5}\n|line 2: "text" is no string
open.json|[{"text": "a"},\n{"text": "b"|line 2: an object is not closed
after.json|[{"text": "a"}]\nmore|line 2: something follows the list
zeros.txt|\000\000\000\000|holds no text
utf16.txt|\377\376a\000|is UTF-16
FILES
run 3 vkbert vocab --text text.csv --text-column body -o new
has "$err" 'text.csv: line 1: has no column "body"; there are: text, other'
head -c 300 text.txt.gz > cut.gz
run 3 vkbert vocab --text cut.gz -o new
has "$err" "cut.gz: the gzip archive is damaged"
run 3 vkbert vocab --text "no*match" -o new
has "$err" "no file matches it"
check test ! -e new
printf 'a b\n\377\376 c\n' > bad.txt
run 0 vkbert vocab --text bad.txt -o new
has "$err" "bad.txt: 2 bytes are not UTF-8"
report
