#!/usr/bin/env bash
# Fetches a newer software driver where vkbert says that it would be faster with one: without a GPU,
# on the old llvmpipe of Debian 12. It is unpacked into vkbert's cache folder, where vkbert finds it;
# nothing is installed. vkbert itself is asked, since what counts is what it would use.
#
#   tools/newer_driver.sh [VKBERT]      the program [build/vkbert]
#
# Everything works without that driver, only slower: where it cannot be had, one sentence says why,
# and the exit code is 0.
set -euo pipefail
. "$(dirname "$0")/common.sh"

program=${1:-$top/build/vkbert}
most=120        # seconds: a network that is slower than that costs more than the driver gains
[ -x "$program" ] || fail "$program is no program: build vkbert first"

devices() { "$program" devices --json 2>&1 || true; }

[[ $(devices) == *'"faster_driver"'* ]] || exit 0
cache=$(cache_folder)
if [ -z "$cache" ]; then
    echo "A faster software driver is not fetched, since there is no home folder for it: set HOME or VKBERT_CACHE."
    exit 0
fi

printf '%-58s' "fetching a faster software driver"
from=$SECONDS status=0
said=$(timeout $most "$top/tools/drivers.sh" "$cache/drivers" mesa-backports 2>&1) || status=$?
if [ $status != 0 ]; then
    printf 'not done\n'
    [ $status != 124 ] || said="it took longer than $most seconds"
    echo "The system's software driver will do, since a faster one cannot be had: $(tail -n 1 <<< "$said" | sed 's/^drivers\.sh: //')"
    exit 0
fi
printf '%5d s\n' $((SECONDS - from))
if said=$(devices) && grep -q '"instead_of"' <<< "$said"; then
    echo "It is in $cache/drivers/mesa-backports: rm -r undoes that, VKBERT_DRIVER=system turns it off."
else
    sed -n '0,/^warning: /s/^warning: //p' <<< "$said"
fi
