#!/usr/bin/env bash
# Checks that every folder of src/ includes only itself and what its arrows lead to.
#
#   tests/arrows/arrows.sh SRC      prints FILE:LINE of each include against the arrows; exits with 1 when there is one
#
# An arrow of an arrow is allowed too. Headers outside the folders (<stdio.h>, "vkbert.h",
# "shaders/params.h", a library's) are free, with two exceptions: the command line is made from
# the public API alone, so that beside its own headers it may include "vkbert.h" only; and only
# gpu/ knows Vulkan.
set -euo pipefail
src=${1:?usage: arrows.sh SRC}

arrows="
    cli   :
    train : bert text hf
    bert  : ops hf
    ops   : gpu
    gpu   : base
    text  : hf
    hf    : base
    base  :
"

awk -v src="$src" -v arrows="$arrows" '
    function follow(from, to,    part, n, i) {      # everything that from leads to is allowed to `to`
        allowed[to, from] = 1
        n = split(direct[from], part, " ")
        for (i = 1; i <= n; i++)
            if (!((to, part[i]) in allowed)) follow(part[i], to)
    }
    function complain(why) { printf "%s:%d: %s\n", FILENAME, FNR, why; bad = 1 }
    BEGIN {
        n = split(arrows, line, "\n")
        for (i = 1; i <= n; i++)
            if (split(line[i], side, ":") == 2) { gsub(/ /, "", side[1]); direct[side[1]] = side[2]; names[++rooms] = side[1] }
        for (i = 1; i <= rooms; i++) follow(names[i], names[i])
    }
    FNR == 1 {
        here = substr(FILENAME, length(src) + 2)
        sub(/\/.*/, "", here)
        if (!(here in direct)) complain("src/" here "/ is no folder of the map; its arrows belong into tests/arrows/arrows.sh")
    }
    /^[ \t]*#[ \t]*include[ \t]/ {
        header = $0
        sub(/^[ \t]*#[ \t]*include[ \t]*/, "", header)
        system_header = header ~ /^</
        header = substr(header, 2)
        sub(/[>"].*/, "", header)
        if (header ~ /\.\./) complain("\"" header "\" goes up: include paths start at src/, as \"base/file.h\"")
        if (header ~ /^(vulkan\/|volk)/ && here != "gpu") complain(here "/ includes " header ": only gpu/ knows Vulkan")
        if (system_header) next
        to = header
        if (!sub(/\/.*/, "", to)) to = (header == "vkbert.h") ? "" : here       # "name.h" lies beside the file
        if (to in direct && !((here, to) in allowed)) complain(here "/ may not include " to "/ (\"" header "\")")
        else if (here == "cli" && to != "" && to != "cli") complain("cli/ may include its own headers and vkbert.h only (\"" header "\")")
    }
    END { exit bad }
' $(find "$src" -name '*.[ch]' | sort)
