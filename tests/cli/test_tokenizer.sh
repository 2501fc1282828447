# tokenize: ids, pieces, pairs, JSON, and back.
. "$(dirname "$0")/lib.sh"
make_text text.txt 200 0
run 0 vkbert vocab --text text.txt --vocab-size 200 -o voc
piece() { awk -v word="$1" '$0 == word { print NR - 1 }' voc/vocab.txt; }
cls=$(piece '[CLS]') sep=$(piece '[SEP]') the=$(piece the) king=$(piece king)

printf 'The king\r\nking\n\nthe' > lines
stdin=lines run 0 vkbert tokenize -m voc
same "$out" "$(printf '%s\n' "$cls $the $king $sep" "$cls $king $sep" "$cls $sep" "$cls $the $sep")"
stdin=lines run 0 vkbert tokenize -m voc --no-special-tokens
same "$out" "$(printf '%s\n' "$the $king" "$king" "" "$the")"
stdin=lines run 0 vkbert tokenize -m voc --tokens
has "$out" "[CLS] the king [SEP]"

printf 'the\tking\n' > pair
stdin=pair run 0 vkbert tokenize -m voc --pair
same "$out" "$cls $the $sep $king $sep"
stdin=lines run 3 vkbert tokenize -m voc --pair
sentence
has "$err" "line 1"

printf '%s\n' "$cls $the $king $sep" "[$the, $king]" "" > ids
stdin=ids run 0 vkbert tokenize -m voc --decode
same "$(sed -n 1,2p out)" "$(printf '[CLS] the king [SEP]\nthe king')"
stdin=ids run 0 vkbert tokenize -m voc --decode --no-special-tokens
same "$(sed -n 1p out)" "the king"
for wrong in 99999 -1 king 4294967296 99999999999999999999 "$the.5"; do
    printf '%s\n' "$the" "$wrong" > ids
    stdin=ids run 3 vkbert tokenize -m voc --decode
    sentence
    has "$err" "line 2"
done

# offsets count characters: é is one
printf 'the é king\n' > lines
stdin=lines run 0 vkbert tokenize -m voc --json
is_json out
has "$(tr -d ' \t\n' < out)" '"offsets":[[0,0],[0,3],'
has "$(tr -d ' \t\n' < out)" '[6,10],[0,0]]'
printf 'the \377\376 king\n' > lines # not UTF-8
stdin=lines run 0 vkbert tokenize -m voc --json
is_json out
has "$err" "2 bytes are not UTF-8"
{ echo the; head -c 268435456 /dev/zero | tr '\0' a; } > lines
stdin=lines run 3 vkbert tokenize -m voc
sentence
has "$err" "standard input, line 2: 268435456 bytes are too many"
stdin=/dev/null run 0 vkbert tokenize -m voc --json
is_json out
same "$(tr -d ' \t\n' < out)" "[]"
stdin=/dev/null run 0 vkbert tokenize -m voc
same "$out" ""
report
