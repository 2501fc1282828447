# Models by name: the hub's cache, what goes wrong on the way, and that nothing leaves the way. Against a hub on this machine.
. "$(dirname "$0")/lib.sh"
if ! command -v python3 > /dev/null; then
    skip "the hub that is played here needs python3"
    exit 77
fi

# ---- A hub with a few models ----
mkdir -p root/owner
fixture=$cli_tests/../fixtures/tanh
run 0 vkbert vocab --text text.txt --vocab-size 60 -o voc
add_model() { # NAME
    mkdir -p root/owner/$1
    cp voc/* $fixture/config.json $fixture/model.safetensors root/owner/$1
    echo "$1" > root/owner/$1/README.md
}
add_model tiny
mkdir -p root/owner/tiny/onnx
echo other > root/owner/tiny/onnx/model.onnx
weights=$(python3 -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' $fixture/model.safetensors)
if command -v openssl > /dev/null; then
    openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=127.0.0.1 \
        -addext subjectAltName=IP:127.0.0.1 2> openssl.err && cat cert.pem key.pem > root/tls.pem
fi
touch root/log root/faults
python3 "$cli_tests/hub_server.py" root > ports &
server=$!
trap 'kill $server 2> /dev/null; rm -rf "$work"' EXIT
wait_for $server test -s ports
read -r hub cdn tls < ports
unset HF_HUB_OFFLINE http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY CURL_CA_BUNDLE REQUESTS_CA_BUNDLE
export HF_ENDPOINT=http://127.0.0.1:$hub no_proxy=127.0.0.1

requests() { grep -c "^$1" root/log; } # of a beginning
fresh() { # [FAULT...]: an empty cache, an empty log, and faults, a line each
    rm -rf hf
    : > root/log
    printf '%s\n' "$@" > root/faults.new
    mv root/faults.new root/faults
}
cache=hf/hub/models--owner--tiny
snapshot() { echo "$cache/snapshots/$(cat $cache/refs/main)"; }
whole() { # the snapshot of owner/tiny has the hub's files and nothing is left over
    local name
    for name in config.json model.safetensors vocab.txt tokenizer.json README.md; do
        check cmp -s root/owner/tiny/$name "$(snapshot)/$name"
    done
    same "$(find hf -name '*.incomplete' -o -name '*.tmp')" ""
}

# ---- Pull, and find again ----
fresh
HF_TOKEN=hf_secret run 0 vkbert pull tiny # renamed: the hub redirects to owner/tiny
cache=hf/hub/models--tiny
same "$out" "$work/$(snapshot)"
has "$err" "tiny@main: fetched"
whole
same "$(readlink "$(snapshot)/model.safetensors")" "../../blobs/$weights"
check test ! -e "$(snapshot)/onnx"
same "$(requests 'hub .*auth=Bearer_hf_secret')" "$(requests 'hub ')"
same "$(requests 'cdn .*auth')" 0
same "$(requests 'cdn GET')" 1
commit=$(cat hf/hub/models--tiny/refs/main)
cache=hf/hub/models--owner--tiny
fresh
run 0 vkbert pull owner/tiny
whole
: > root/log
run 0 vkbert pull owner/tiny
has "$err" "up to date"
same "$(requests 'hub ')" 1
run 0 vkbert info -m owner/tiny
has "$out" "from        owner/tiny@main on the hub, commit $commit"
run 0 vkbert info -m owner/tiny@$commit --json
is_json out
has "$(tr -d ' \t\n' < out)" "\"name\":\"owner/tiny\",\"revision\":\"$commit\",\"commit\":\"$commit\""
same "$(requests 'hub ')" 1 # still
echo the > lines
stdin=lines run 0 vkbert tokenize -m owner/tiny
for offline in 1 true; do
    HF_HUB_OFFLINE=$offline run 0 vkbert pull owner/tiny
    has "$out" "snapshots/$commit"
done
HF_HUB_OFFLINE=1 run 3 vkbert info -m owner/tiny@v1
sentence
has "$err" "not in the hub's cache"
same "$(requests 'hub ')" 1
run 0 vkbert info -m owner/tiny@v1 # another name of the commit: nothing is fetched twice
same "$(requests 'hub GET')" 2
same "$(cat $cache/refs/v1)" $commit
run 0 vkbert pull owner/tiny --revision refs/pr/1 --json
is_json out
has "$(tr -d ' \t\n' < out)" '"revision":"refs/pr/1"'

# only what is needed
fresh
stdin=lines run 0 vkbert tokenize -m owner/tiny
check test -e "$(snapshot)/tokenizer.json"
check test ! -e "$(snapshot)/model.safetensors"
run 0 vkbert train -m owner/tiny --train_file text.txt -o out --plan --model_revision main --max_seq_length 8
whole
fresh
run 0 vkbert train --config_name owner/tiny --train_file text.txt -o out --plan --max_seq_length 8 --cache_dir other --token hf_given
check test -e other/models--owner--tiny/refs/main
check test ! -e hf
same "$(requests 'hub .*auth=Bearer_hf_given')" "$(requests 'hub ')"
same "$(requests cdn)" 0
# a model without a tokenizer is asked about once
add_model bare
rm root/owner/bare/vocab.txt root/owner/bare/*token*
run 0 vkbert pull owner/bare
: > root/log
run 0 vkbert info -m owner/bare
has "$out" "tokenizer   none"
same "$(requests hub)" 0

# ---- The environment ----
where() { vkbert pull owner/tiny 2> err; }
fresh
has "$(HF_HUB_CACHE=$work/a where)" "$work/a/models--owner--tiny/"
has "$(HUGGINGFACE_HUB_CACHE=$work/b where)" "$work/b/models--owner--tiny/"
has "$(HF_HOME= where)" "$work/cache/huggingface/hub/models--owner--tiny/"
has "$(HF_HOME= XDG_CACHE_HOME= HOME=$work/home where)" "$work/home/.cache/huggingface/hub/"
has "$(HF_HOME='~/h' HOME=$work where)" "$work/h/hub/"
fresh
mkdir -p hf
printf ' hf_of_file\n' > hf/token
run 0 vkbert pull owner/tiny
same "$(requests 'hub .*auth=Bearer_hf_of_file$')" "$(requests hub)"
HF_TOKEN=$'a\nb' run 2 vkbert pull owner/tiny
sentence
HF_ENDPOINT=ftp://x run 2 vkbert pull owner/tiny
has "$err" "HF_ENDPOINT"
fresh
http_proxy=http://127.0.0.1:$hub HF_ENDPOINT=http://hub.invalid run 0 vkbert pull owner/bare
has "$(cat root/log)" "hub GET http://hub.invalid/api/models/owner/bare"

# ---- Names ----
fresh
while read -r name; do
    run 2 vkbert pull "$name"
    sentence
    run 2 vkbert info -m "$name"
    sentence
    has "$err" "no such folder"
    has "$err" "no model's name"
done <<'NAMES'
a/b/c
a b
a--b
a..b
a.git
tiny@
tiny@../../x
tiny@a b
tiny@/x
@main
NAMES
run 2 vkbert pull
run 2 vkbert pull a b
run 3 vkbert info -m ./nowhere
run 3 vkbert info -m text.txt
has "$err" "is a file"
same "$(requests hub)" 0
mkdir tiny
run 3 vkbert info -m tiny # a folder comes first
has "$err" "has no config.json"
rmdir tiny
run 3 vkbert info -m nowhere
sentence
has "$err" "nowhere: there is no such folder"
has "$err" "knows no model nowhere"
run 3 vkbert pull owner/tiny@nope
has "$err" 'no revision "nope"'
check test ! -e hf

# ---- What the hub refuses ----
refuses() { # CODE SENTENCE FAULT [COMMAND...]
    fresh "$3"
    run $1 "${@:4}" vkbert pull owner/tiny
    sentence
    has "$err" "$2"
    check test ! -e $cache/refs
}
refuses 3 "or it is private (401)" "api status 401"
HF_TOKEN=hf_bad refuses 1 "takes your token not" "api status 401"
refuses 1 "is gated: ask for access at $HF_ENDPOINT/owner/tiny" "head status 403 X-Error-Code=GatedRepo"
HF_TOKEN=hf_bad refuses 1 "your token has no access" "head status 403 X-Error-Code=GatedRepo"
refuses 1 "refuses access" "api status 403"
refuses 3 "has no vocab.txt" "head/vocab.txt status 404"
refuses 1 "no more requests for now (429): try again in some minutes" "api status 429 Retry-After=3600"
same "$(requests hub)" 1
refuses 1 "fault of its own (503)" "api status 503 Retry-After=0"
same "$(requests hub)" 5
refuses 1 "answers 418" "api status 418"
fresh "api status 429 Retry-After=0 times=2" "head status 502 Retry-After=0 times=2" "cdn status 504 Retry-After=0 times=2"
run 0 vkbert pull owner/tiny
whole
lacks "$err" "trying again"
fresh "api status 503 Retry-After=3 times=1" # a wait that people would wonder about
run 0 vkbert pull owner/tiny
has "$err" "answers 503; trying again in 3 s"

# ---- What is no hub ----
for fault in "api html" "head html" "api text oops" "api drop"; do
    fresh "$fault"
    run 1 vkbert pull owner/tiny
    sentence
done
refuses 1 "sign-in page" "api html"
refuses 1 "sign-in page" "head html"
refuses 3 "not JSON" 'api text {"sha": '
refuses 3 "sha" "api text {}"
refuses 3 "siblings" "api text {\"sha\":\"$commit\"}"
refuses 3 "rfilename" "api text {\"sha\":\"$commit\",\"siblings\":[{}]}"
refuses 3 "no config.json" "api text {\"sha\":\"$commit\",\"siblings\":[]}"
for sha in ../../x $commit/../x ${commit}0 main; do refuses 3 "sha is" "api sha $sha"; done
for name in ../../x /x a/../x a//b 'a\b' .. ./x; do refuses 3 "outside the model's folder" "api sibling $name"; done
for etag in ../../x /x .. .x a/b "$(printf 'x%.0s' {1..140})"; do refuses 3 "no etag" "head etag $etag"; done
for other in ../../x ${commit:1}0; do refuses 3 "expected $commit" "head commit $other"; done
refuses 1 "in a circle" "api circle"
refuses 1 "not https" "api to file:///etc/passwd"
HF_TOKEN=hf_secret refuses 3 "owner/tiny" "api to http://127.0.0.1:$cdn/elsewhere"
same "$(requests 'cdn .*auth')" 0
same "$(requests 'cdn')" 1
same "$(find . -name x -o -name passwd)" ""

# ---- Downloads that break ----
fresh "cdn cut 20000 times=2"
run 0 vkbert pull owner/tiny
whole
same "$(grep -o 'cdn .*range=.*' root/log | sed 's/.* //')" "$(printf 'range=bytes=20000-\nrange=bytes=40000-')"
fresh "cdn cut 20000 times=1" "cdn norange"
run 0 vkbert pull owner/tiny
whole
for fault in 416 shifted; do
    fresh "cdn cut 20000 times=1" "cdn $fault times=1"
    run 0 vkbert pull owner/tiny
    whole
done
fresh "cdn cut 0"
run 1 vkbert pull owner/tiny
sentence
has "$err" "model.safetensors"
same "$(requests cdn)" 5
for fault in "cdn corrupt" "get/vocab.txt corrupt" "cdn short" "cdn long" "head/model.safetensors size 17" "head/vocab.txt size 9999"; do
    fresh "$fault"
    run 1 vkbert pull owner/tiny
    sentence
    has "$err" "removed: try again"
    check test ! -e "$cache/refs"
    file=${fault#*/} file=${file% *}
    case $file in vocab*) ;; *) check test ! -e $cache/blobs/$weights.incomplete -a ! -e $cache/blobs/$weights ;; esac
    : > root/faults
    run 0 vkbert pull owner/tiny
    whole
done
fresh "cdn stall 20000 times=1"
HF_HUB_DOWNLOAD_TIMEOUT=3 run 0 vkbert pull owner/tiny
whole
# what an earlier program left: its beginning is used, damage is noticed, too much is no beginning
for left in "head -c 30000 $fixture/model.safetensors" "cat $fixture/model.safetensors" "head -c 30000 /dev/zero" "head -c 999999 /dev/zero"; do
    fresh
    mkdir -p $cache/blobs
    $left > $cache/blobs/$weights.incomplete
    run 0 vkbert pull owner/tiny
    whole
    case $left in
        head*30000*model*) same "$(grep -c 'cdn GET .*range=bytes=30000-' root/log)" 1 ;;
        cat*) same "$(requests cdn)" 0 ;;
        *30000*) same "$(requests cdn)" 2 ;;
        *) same "$(requests cdn)" 1 ;;
    esac
done
run 1 bash -c "trap '' XFSZ; ulimit -f 16; HF_HOME=$work/full '$program' pull owner/tiny"
sentence
has "$err" "cannot be written"
check test ! -e full/hub/models--owner--tiny/refs

# ---- Interrupted ----
fresh "cdn stall 20000 times=1"
HF_HUB_DOWNLOAD_TIMEOUT=3600 "$program" pull owner/tiny > out 2> err &
pid=$!
has_come() { [ "$(stat -c %s $cache/blobs/$weights.incomplete 2> /dev/null)" = "$1" ]; }
wait_for $pid has_come 20000
kill -INT $pid
wait $pid
same $? 130
err=$(cat err)
sentence
has "$err" "interrupted"
same "$(stat -c %s $cache/blobs/$weights.incomplete)" 20000
run 0 vkbert pull owner/tiny
whole
same "$(grep -o 'cdn .*range=.*' root/log | sed 's/.* //')" "range=bytes=20000-"

# ---- Two at once ----
fresh
mkdir -p hf/hub/.locks/models--owner--tiny
mkfifo release
python3 -c 'import fcntl, sys
lock = open(sys.argv[1], "w"); fcntl.flock(lock, fcntl.LOCK_EX); open("held", "w"); open("release").read()' \
    hf/hub/.locks/models--owner--tiny/$weights.lock &
wait_for $! test -e held
"$program" pull owner/tiny > out 2> err &
pid=$!
wait_for $pid grep -q "another program is fetching it" err
check kill -0 $pid # it waits
: > release
check wait $pid
whole
fresh
"$program" pull owner/tiny > out1 2> err1 &
pid=$!
run 0 vkbert pull owner/tiny
check wait $pid
whole
same "$(requests 'cdn GET')" 1

# ---- Without a network ----
closed=http://127.0.0.1:$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
HF_ENDPOINT=$closed run 0 vkbert pull owner/tiny
has "$err" "cannot be reached"
has "$err" "the copy in the cache is used"
HF_ENDPOINT=$closed run 0 vkbert info -m owner/tiny
same "$err" ""
HF_ENDPOINT=$closed run 1 vkbert info -m owner/other
sentence
has "$err" "is there a network?"
HF_ENDPOINT=http://hub.invalid run 1 vkbert pull owner/other
sentence
HF_ENDPOINT=https://127.0.0.1:$hub run 1 vkbert pull owner/other # no TLS there
sentence
has "$err" "no safe connection"
if [ -e root/tls.pem ]; then
    fresh
    HF_ENDPOINT=https://127.0.0.1:$tls run 1 vkbert pull owner/tiny
    sentence
    has "$err" "CURL_CA_BUNDLE"
    same "$(requests hub)" 0
    # with the certificate it goes on, until a redirect leaves TLS
    CURL_CA_BUNDLE=$work/cert.pem HF_ENDPOINT=https://127.0.0.1:$tls run 1 vkbert pull owner/tiny
    has "$err" "not https"
    has "$(requests 'hub HEAD')" 7
fi

# ---- Shards, and models that cannot be read ----
add_model shards
rm root/owner/shards/model.safetensors
cp $fixture/model.safetensors root/owner/shards/model-00001-of-00001.safetensors
index() { printf '{"weight_map": {"a": "%s"}}' "$1" > root/owner/shards/model.safetensors.index.json; }
index model-00001-of-00001.safetensors
fresh
run 0 vkbert pull owner/shards
check test -e "$out/model-00001-of-00001.safetensors"
rm "$out/model-00001-of-00001.safetensors" # a shard is missing: the copy is not whole
HF_HUB_OFFLINE=1 run 3 vkbert pull owner/shards
run 0 vkbert pull owner/shards
for name in ../x /etc/passwd a/b ..; do
    index $name
    run 3 vkbert pull owner/shards
    has "$err" "beside the index"
done
index gone.safetensors
run 3 vkbert pull owner/shards
has "$err" "has no gone.safetensors"
add_model nothing
rm root/owner/nothing/model.safetensors
run 3 vkbert pull owner/nothing
has "$err" "neither model.safetensors nor pytorch_model.bin"

# ---- huggingface_hub finds what vkbert fetched, and the reverse ----
if [ -n "${VKBERT_PYTHON:-}" ]; then
    export HF_HUB_DISABLE_TELEMETRY=1
    fresh
    run 0 vkbert pull owner/tiny
    folder=$out
    : > root/log
    run 0 "$VKBERT_PYTHON" -c 'import huggingface_hub as hub
print(hub.snapshot_download("owner/tiny", local_files_only=True))
print(hub.hf_hub_download("owner/tiny", "model.safetensors"), hub.scan_cache_dir().warnings)'
    same "$out" "$folder
$folder/model.safetensors []"
    same "$(requests cdn)" 0
    fresh
    run 0 "$VKBERT_PYTHON" -c 'import huggingface_hub as hub
print(hub.snapshot_download("owner/tiny", revision="v1"))'
    folder=$out
    : > root/log
    HF_HUB_OFFLINE=1 run 0 vkbert pull owner/tiny@v1
    same "$out" "$folder"
    run 0 vkbert pull owner/tiny@v1
    same "$out" "$folder"
    same "$(requests '')" 1
else
    skip "huggingface_hub is compared with when VKBERT_PYTHON names a Python that has it"
fi

# ---- A terminal sees a bar ----
fresh "cdn stall 20000 times=1"
HF_HUB_DOWNLOAD_TIMEOUT=3 TERM=xterm python3 -c 'import os, pty, sys
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))' "$program" pull owner/tiny > out 2>&1 < /dev/null
has "$(cat out)" "] owner/tiny  "
report
