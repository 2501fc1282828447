# A fetched software driver instead of the system's old one: what turns it off, what keeps it from being used, and
# what is said. Wants the driver that tools/drivers.sh calls mesa-backports; without it, the sentences alone are tested.
. "$(dirname "$0")/lib.sh"
unset VKBERT_DRIVER VK_DRIVER_FILES VK_ICD_FILENAMES VK_ADD_DRIVER_FILES
fetched=${VKBERT_DRIVERS:-${HOME:-/root}/.cache/vkbert/drivers}/mesa-backports
drivers=$XDG_CACHE_HOME/vkbert/drivers
package=$drivers/mesa-backports

run 2 env VKBERT_DRIVER=newest "$program" devices
sentence
has "$err" 'VKBERT_DRIVER is "newest", expected "system"'

need_device
run 0 vkbert devices --json
major=$(sed -n 's/.*"driver":[[:space:]]*"llvmpipe Mesa \([0-9]*\)\..*/\1/p' out)
if [ "$(grep -c '"usable":[[:space:]]*true' out)" != "$(printf '%s\n' $major | grep -c .)" ] || [ "${major:-99}" -ge 24 ] 2> /dev/null; then
    lacks "$out" faster_driver
    skip "the system's driver is no llvmpipe before Mesa 24"
    [ $failures -eq 0 ] || exit 1
    exit 77
fi

# uses old|new [VARIABLE=VALUE...]: which driver `devices` lists then, and that it lists no other
uses() {
    local expected=$1
    shift
    run 0 env "$@" "$program" devices --json
    same "$(grep -c '"driver":' out)" 1
    case $expected in
        old) has "$out" "llvmpipe Mesa $major."; lacks "$out" instead_of ;;
        new) lacks "$(grep '"driver":' out)" "llvmpipe Mesa $major."; has "$out" '"instead_of":' ;;
    esac
}

# Nothing fetched: how to have it, where the distribution has one; nothing in the log.
uses old A=1
same "$err" ""
if grep -q '^ID=debian$' /etc/os-release; then
    has "$out" "\"tools/drivers.sh $drivers mesa-backports\""
    run 0 vkbert devices
    has "$out" "FASTER       a newer driver is to be had: tools/drivers.sh $drivers mesa-backports"
    run 0 env -u XDG_CACHE_HOME -u HOME "$program" devices
    has "$out" "export VKBERT_CACHE=FOLDER; tools/drivers.sh FOLDER/drivers mesa-backports"
    run 0 env VKBERT_CACHE="it's here" "$program" devices
    has "$out" "tools/drivers.sh 'it'\\''s here/drivers' mesa-backports"
    run 0 env VKBERT_DRIVER=system "$program" devices
    lacks "$out" FASTER
fi

# broken WHAT SENTENCE: the folder as it stands is not used, which one line says, and work goes on
broken() {
    uses old A=1
    same "$(grep -c . err)" 1
    has "$err" "warning: the system's llvmpipe Mesa $major."
    has "$err" "$1"
    has "$err" "rm -r $package; tools/drivers.sh $drivers mesa-backports"
}

mkdir -p "$package"
broken "lvp_icd.json: cannot be opened"
: > "$package/lvp_icd.json"
broken "names no library_path"
for text in '{"ICD"' '[]' '{"ICD": {"library_path": 3}}' '{"ICD": {"library_path": ""}}'; do
    printf '%s' "$text" > "$package/lvp_icd.json"
    broken "names no library_path"
done
echo '{"ICD": {"library_path": "./libvulkan_lvp.so"}}' > "$package/lvp_icd.json"
broken "libvulkan_lvp.so: cannot be opened"
: > "$package/libvulkan_lvp.so"
broken "is no whole library"
echo "no library" > "$package/libvulkan_lvp.so"
broken "is no whole library"
rm "$package/libvulkan_lvp.so"
echo '{"ICD": {"library_path": "libc.so.6"}}' > "$package/lvp_icd.json"    # a bare name: dlopen finds it
broken "libc.so.6: is no Vulkan driver"
rm -r "$package"

if [ ! -f "$fetched/libvulkan_lvp.so" ]; then
    skip "$fetched is not there: tools/drivers.sh fetches it"
    report
    exit
fi
mkdir -p "$package"
cp "$fetched"/*.so* "$package/"
echo '{"ICD": {"library_path": "./libvulkan_lvp.so"}}' > "$package/lvp_icd.json"

# It is used, and said once, whatever finds the cache; the flag and the variables turn it off.
uses new A=1
is_json out
same "$(grep -c . err)" 1
has "$err" "VKBERT_DRIVER=system turns this off"
uses new -u HOME
uses new -u XDG_CACHE_HOME VKBERT_CACHE="$XDG_CACHE_HOME/vkbert"
uses new -u XDG_CACHE_HOME HOME="$work" A=1 VKBERT_CACHE=cache/vkbert
uses new VKBERT_DRIVER=
uses old -u XDG_CACHE_HOME -u HOME
uses old VKBERT_DRIVER=system
same "$err" ""
system_file=$(ls /usr/share/vulkan/icd.d/lvp_icd*.json /etc/vulkan/icd.d/lvp_icd*.json 2> /dev/null | grep -v 'i[3-6]86' | head -n 1)
if [ -n "$system_file" ]; then
    uses old VK_DRIVER_FILES="$system_file"
    same "$err" ""
    uses old VK_ICD_FILENAMES="$system_file"
fi
uses old VK_ADD_DRIVER_FILES=/nonexistent.json
run 0 vkbert devices
has "$out" "fetched as   $package/lvp_icd.json"
lacks "$out" FASTER

# A command that works says it once, and works.
run 0 vkbert train $tiny --do_train --max_steps 2 --output_dir trained
same "$(grep -c "instead of the system's" err)" 1
check test -s trained/model.safetensors
run 0 vkbert fill-mask -m trained "the [MASK] sees the river"
same "$(grep -c "instead of the system's" err)" 1

# The caches of the two drivers lie apart.
run 0 env VKBERT_DRIVER=system "$program" fill-mask -m trained "the [MASK] sees the river"
same "$(ls "$XDG_CACHE_HOME"/vkbert/pipelines-* | wc -l)" 2

# Cut off anywhere, itself or a library that came with it; and one that needs what is not there.
for bytes in 100 5000000 10000000; do
    head -c $bytes "$fetched/libvulkan_lvp.so" > "$package/libvulkan_lvp.so"
    broken "libvulkan_lvp.so: is no whole library"
done
cp "$fetched/libvulkan_lvp.so" "$package/"
if [ -f "$fetched/libdrm.so.2" ]; then
    head -c 50000 "$fetched/libdrm.so.2" > "$package/libdrm.so.2"
    broken "libdrm.so.2: is no whole library"
    cp "$fetched/libdrm.so.2" "$package/"
fi
sed 's/libexpat\.so\.1/libexpaT.so.1/' "$fetched/libvulkan_lvp.so" > "$package/libvulkan_lvp.so"
broken "libexpaT.so.1: cannot open shared object file"
cp "$fetched/libvulkan_lvp.so" "$package/"
if [ -n "$system_file" ]; then  # no newer than what there is
    mv "$package/lvp_icd.json" kept.json
    cp "$system_file" "$package/lvp_icd.json"
    broken "expected an llvmpipe newer than llvmpipe Mesa $major."
    mv kept.json "$package/lvp_icd.json"
fi

# Where others can write, nothing is loaded from.
for path in "$package" "$drivers" "$XDG_CACHE_HOME/vkbert" "$package/lvp_icd.json" "$package/libvulkan_lvp.so"; do
    for mode in o+w g+w; do
        chmod $mode "$path"
        uses old A=1
        same "$(grep -c . err)" 1
        has "$err" "$path can be written by other users"
        has "$err" "chmod go-w"
        chmod go-w "$path"
    done
done
if [ "$(id -u)" = 0 ]; then
    chown 12345 "$package/libvulkan_lvp.so"
    uses old A=1
    has "$err" "libvulkan_lvp.so belongs to another user (12345)"
    chown 0 "$package/libvulkan_lvp.so"
fi

# A read-only cache: what is there is used; a link to it, too.
chmod -R a-w "$XDG_CACHE_HOME/vkbert"
uses new A=1
chmod -R u+w "$XDG_CACHE_HOME/vkbert"
mv "$package" "$work/elsewhere"
ln -s "$work/elsewhere" "$package"
uses new A=1
report
