# tools/drivers.sh and tools/newer_driver.sh with an apt that is made up: fetching, being interrupted, two at once,
# no network, no backports. Nothing is asked for outside of this machine.
. "$(dirname "$0")/lib.sh"
tools=$(cd "$cli_tests/../../tools" && pwd)
for needed in dpkg-deb flock ldd; do
    command -v $needed > /dev/null || { skip "there is no $needed"; exit 77; }
done
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
some_library=$(ldd "$program" | awk '/libz\.so/ { print $3 }')
[ -n "$codename" ] && [ -f "$some_library" ] || { skip "no Debian, or nothing to take for a driver"; exit 77; }

# The package: a library that loads, under the driver's name.
mkdir -p package/DEBIAN package/usr/lib/x package/usr/share/vulkan/icd.d shims
cp -L "$some_library" package/usr/lib/x/libvulkan_lvp.so
echo '{ "ICD": { "library_path": "/usr/lib/x/libvulkan_lvp.so" } }' > package/usr/share/vulkan/icd.d/lvp_icd.json
printf 'Package: mesa-vulkan-drivers\nVersion: 1\nArchitecture: all\nMaintainer: a test <test@example.org>\nDescription: made up\n' \
    > package/DEBIAN/control
dpkg-deb -b package mesa.deb > /dev/null || fail "the package was not made"

cat > shims/apt-get <<SHIM
#!/usr/bin/env bash
case "\$*" in
    *indextargets*) echo "http://nowhere.example/ $codename" ;;
    *" update"*) [ ! -e "$work/offline" ] || { echo "E: nobody answers"; exit 100; } ;;
    *" install "*)
        echo fetched >> "$work/fetches"
        while [ -e "$work/hang" ]; do sleep 0.1; done
        cp "$work/mesa.deb" "\$(sed 's/.*Dir::Cache=\([^ ]*\).*/\1/' <<< "\$*")/archives/" ;;
esac
SHIM
cat > shims/apt-cache <<SHIM
#!/usr/bin/env bash
echo "mesa-vulkan-drivers | 1 | http://nowhere.example $codename/main amd64 Packages"
[ -e "$work/none" ] || echo "mesa-vulkan-drivers | 9 | http://nowhere.example $codename-backports/main amd64 Packages"
SHIM
printf '#!/bin/sh\n' > shims/patchelf
chmod +x shims/*
PATH=$work/shims:$PATH
export TMPDIR=$work/tmp     # what the scripts leave behind is seen there
mkdir tmp

fetch() { "$tools/drivers.sh" "$work/drivers" mesa-backports; }
fetches() { grep -c . fetches; }
is_whole() { cmp -s drivers/mesa-backports/libvulkan_lvp.so "$some_library" && [ "$(ls -A drivers tmp | grep -c '\.new')" = 0 ]; }
is_absent() { [ ! -e drivers/mesa-backports ]; }

# Fetched whole, its .json naming the library beside it; kept; fetched again when it is damaged.
run 0 fetch
same "$out" "$work/drivers/mesa-backports/lvp_icd.json"
check is_whole
has "$(cat drivers/mesa-backports/lvp_icd.json)" '"library_path": "./libvulkan_lvp.so"'
same "$(find drivers -perm /022)" ""
same "$(ls -A tmp)" ""
chmod a-w drivers       # nothing to write, whoever looks
run 0 fetch
chmod u+w drivers
same "$(fetches)" 1
for damage in 'head -c 30000' 'head -c 0' 'echo text'; do
    $damage < "$some_library" > drivers/mesa-backports/libvulkan_lvp.so
    run 0 fetch
    check is_whole
done
same "$(fetches)" 4
: > drivers/mesa-backports/lvp_icd.json
run 0 fetch
check is_whole
rm -r drivers

# A fetch that is ended leaves nothing that is taken for a driver, and the next one goes through.
for signal in TERM KILL; do
    rm -rf fetches drivers
    touch hang
    fetch > /dev/null 2>&1 &
    until [ -s fetches ]; do sleep 0.05; done
    kill -$signal $!
    [ $signal = KILL ] || rm hang   # bash waits for what it runs
    wait $! 2> /dev/null
    rm -f hang
    check is_absent
    run 0 fetch
    check is_whole
done

# Two at once: one fetches, both have it.
rm -rf fetches drivers
fetch > one 2>&1 &
run 0 fetch
check wait $!
same "$(cat one)" "$work/drivers/mesa-backports/lvp_icd.json"
same "$(fetches)" 1
check is_whole

# No network, no Mesa among the backports, no folder: one sentence at the end, and nothing there.
rm -rf drivers
touch offline
run 1 fetch
has "$(tail -n 1 err)" "could not read the package lists of $codename"
check is_absent
rm offline
touch none
run 1 fetch
has "$err" "$codename-backports has no Mesa"
check is_absent
rm none
run 1 "$tools/drivers.sh" /dev/null/x mesa-backports
has "$err" "/dev/null/x is no folder that can be written to"

# ---- Set-up: fetched where vkbert says that it helps; without it set-up goes on ----

cache=$XDG_CACHE_HOME/vkbert
cat > vkbert-slow <<PROGRAM
#!/usr/bin/env bash
if [ -e "$cache/drivers/mesa-backports" ]; then echo '{"instead_of": "the old one"}'; else echo '{"faster_driver": "a command"}'; fi
PROGRAM
printf '#!/bin/sh\necho "{}"\n' > vkbert-fast
printf '#!/bin/sh\necho "vkbert: no Vulkan driver was found" >&2\nexit 4\n' > vkbert-none
chmod +x vkbert-*
set_up() { "$tools/newer_driver.sh" "$work/vkbert-slow"; }

run 0 "$tools/newer_driver.sh" "$work/vkbert-fast"
same "$out$err" ""
run 0 "$tools/newer_driver.sh" "$work/vkbert-none"
same "$out$err" ""
touch offline
run 0 set_up
same "$err" ""
same "$(grep -c "system's software driver will do.*is there a network" out)" 1
rm offline
touch none
run 0 set_up
has "$out" "system's software driver will do, since a faster one cannot be had: $codename-backports has no Mesa"
rm none
run 0 env -u XDG_CACHE_HOME -u HOME "$tools/newer_driver.sh" "$work/vkbert-slow"
has "$out" "set HOME or VKBERT_CACHE"
run 0 env VKBERT_CACHE=/dev/null "$tools/newer_driver.sh" "$work/vkbert-slow"
has "$out" "/dev/null/drivers is no folder that can be written to"
run 0 set_up
has "$out" " s"
has "$out" "It is in $cache/drivers/mesa-backports: rm -r undoes that, VKBERT_DRIVER=system turns it off."
run 0 set_up
same "$out$err" ""

# Scripts and library mean the same folder.
unset VKBERT_DRIVER VK_DRIVER_FILES VK_ICD_FILENAMES VK_ADD_DRIVER_FILES
for settings in "VKBERT_CACHE=$work/a" "XDG_CACHE_HOME=$work/b VKBERT_CACHE=" "XDG_CACHE_HOME= HOME=$work/c"; do
    run 0 env $settings bash -c ". '$tools/common.sh'; cache_folder"
    folder=$out
    run 0 env $settings "$program" devices --json
    ! grep -q '"faster_driver"' out || has "$out" "tools/drivers.sh $folder/drivers "
done
report
