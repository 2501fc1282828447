# What the scripts of this folder share; sourced, never run.
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
logs=$(mktemp -d "${TMPDIR:-/tmp}/vkbert.XXXXXX")
trap '[ $? != 0 ] || rm -rf "$logs"' EXIT     # kept after a failure

fail() {    # SENTENCE
    printf '%s: %s\n' "$(basename "$0")" "$1" >&2
    exit 1
}

# Runs a command and says in one line what it is and how long it took. What the command prints
# goes to a log, which is shown when the command fails; the function then fails too.
stage() {   # WHAT COMMAND...
    local what=$1 from=$SECONDS log
    log=$(mktemp "$logs/stage.XXXXXX")
    shift
    printf '%-58s' "$what"
    if "$@" > "$log" 2>&1 < /dev/null; then
        printf '%5d s\n' $((SECONDS - from))
    else
        printf 'failed\n'
        tail -n 40 "$log" >&2
        printf '(the whole log: %s)\n' "$log" >&2
        return 1
    fi
}

# Where vkbert keeps what can be had again, as path_cache_folder of src/base/file.c has it; nothing
# where there is no home.
cache_folder() {
    if [ -n "${VKBERT_CACHE:-}" ]; then echo "$VKBERT_CACHE"
    elif [ -n "${XDG_CACHE_HOME:-}" ]; then echo "$XDG_CACHE_HOME/vkbert"
    elif [ -n "${HOME:-}" ]; then echo "$HOME/.cache/vkbert"
    fi
}

build() {   # PRESET FOLDER [TARGET]: configures and builds; a configured folder is only built
    { [ -f "$2/build.ninja" ] || cmake --preset "$1" -S "$top" -B "$2"; } && cmake --build "$2" ${3:+--target "$3"}
}
