#!/usr/bin/env bash
# Fetches extra software drivers to test against, without installing them: unpacked under DIR,
# each with an ICD file that VK_DRIVER_FILES can name.
#
#   tools/drivers.sh DIR NAME...
#
#   swiftshader      Google's CPU driver, as Debian's chromium-common carries it: subgroups of 4, no 16-bit types
#   mesa-backports   Mesa from the distribution's backports: a newer llvmpipe than the system's
#
# What is already there and still loads is kept. Works as any user, on Debian and systems like it;
# the machine's package configuration is read (its mirror, its keys), never changed: apt runs on a
# configuration of its own in a temporary folder.
set -euo pipefail

. "$(dirname "$0")/common.sh"

[ $# -ge 2 ] || fail "usage: tools/drivers.sh DIR swiftshader|mesa-backports..."
command -v apt-get > /dev/null && command -v dpkg-deb > /dev/null || fail "needs apt-get and dpkg-deb (Debian, Ubuntu)"
mkdir -p "$1"
root=$(cd "$1" && pwd)
shift
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:?}")
triplet=$(dpkg-architecture -qDEB_HOST_MULTIARCH 2> /dev/null || basename "$(dirname "$(ls -d /usr/lib/*/libc.so.6)")")

work=$(mktemp -d)
trap 'rm -rf "$work" "$logs"' EXIT
mkdir -p "$work"/lists/partial "$work"/cache/archives/partial "$work"/tools

quietly() {     # runs a command and shows what it said only when it fails
    "$@" > "$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; return 1; }
}

# apt on the temporary configuration: the machine's own suites and, beside them, its mirror's
# backports.
private_apt() {
    apt-get -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts="$work/none" \
            -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" -o Dir::Etc::PreferencesParts="$work/none" \
            -o Debug::NoLocking=1 -o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=3 "$@"
}

prepare_apt() {
    [ ! -s "$work/sources.list" ] || return 0
    local distribution key option=
    distribution=$(. /etc/os-release && echo "$ID")
    key=/usr/share/keyrings/$distribution-archive-keyring.gpg
    [ ! -f "$key" ] || option="[signed-by=$key] "
    # REPO_URI ends with a slash; RELEASE is the suite as the sources say it
    apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
    while read -r uri suite; do
        case $suite in
            "$codename") printf "deb $option%s %s main\n" "$uri" "$suite" "$uri" "$suite-backports" ;;
            "$codename"-updates | "$codename"-security) printf "deb $option%s %s main\n" "$uri" "$suite" ;;
        esac
    done | sort -u > "$work/sources.list"
    [ -s "$work/sources.list" ] || fail "apt's configuration names no mirror of $codename"
    quietly private_apt update || fail "apt could not read the package lists of $codename and $codename-backports"
}

fetch_deb() {   # NAME: downloads it, prints the path of the .deb
    (cd "$work/cache" && rm -f "$1"_*.deb && quietly private_apt download "$1") ||
        fail "package $1 could not be downloaded from $codename"
    ls "$work/cache/$1"_*.deb
}

loads() {       # ICD: whether the library it names is there and every library that needs is found
    local library
    [ -f "$1" ] || return 1
    library=$(sed -n 's/.*"library_path": *"\([^"]*\)".*/\1/p' "$1")
    [ -f "$library" ] && ! ldd "$library" | grep -q 'not found'
}

write_icd() {   # SOURCE TARGET LIBRARY: the package's ICD file, naming the library where it lies now
    sed "s|\"library_path\": *\"[^\"]*\"|\"library_path\": \"$3\"|" "$1" > "$2"
}

swiftshader() {
    local to=$1 deb
    deb=$(fetch_deb chromium-common)
    mkdir -p "$work/swiftshader"
    dpkg-deb --fsys-tarfile "$deb" |
        tar -x -C "$work/swiftshader" --wildcards '*/libvk_swiftshader.so' '*/vk_swiftshader_icd.json'
    cp "$work"/swiftshader/usr/lib/chromium/libvk_swiftshader.so "$to/"
    write_icd "$work"/swiftshader/usr/lib/chromium/vk_swiftshader_icd.json "$to/vk_swiftshader_icd.json" \
              "$to/libvk_swiftshader.so"
}

patchelf_program() {    # the installed one, or one unpacked beside
    command -v patchelf && return
    dpkg-deb -x "$(fetch_deb patchelf)" "$work/tools"
    echo "$work/tools/usr/bin/patchelf"
}

mesa_backports() {
    local to=$1 tree=$work/mesa deb driver library patchelf
    # --reinstall: the driver itself even where this version is installed; what it needs comes
    # as apt sees fit
    quietly private_apt -y -d --no-install-recommends --reinstall -t "$codename-backports" install mesa-vulkan-drivers ||
        fail "mesa-vulkan-drivers could not be downloaded from $codename-backports"
    mkdir -p "$tree"
    for deb in "$work"/cache/archives/*.deb; do
        case $(basename "$deb") in
            libc6_*) fail "Mesa of $codename-backports wants a newer libc than this system has" ;;
        esac
        dpkg-deb -x "$deb" "$tree"
    done
    driver=$(find "$tree" -name libvulkan_lvp.so)
    [ -n "$driver" ] || fail "mesa-vulkan-drivers of $codename-backports carries no libvulkan_lvp.so"

    # Only the libraries that llvmpipe reaches, side by side, each told to look beside itself:
    # no LD_LIBRARY_PATH needed.
    patchelf=$(patchelf_program)
    { echo "$driver"
      LD_LIBRARY_PATH="$tree/usr/lib/$triplet" ldd "$driver" | awk -v tree="$tree/" 'index($3, tree) == 1 { print $3 }'
    } | while read -r library; do
        cp -L "$library" "$to/"
        "$patchelf" --set-rpath '$ORIGIN' "$to/$(basename "$library")"
    done
    write_icd "$(find "$tree" -name 'lvp_icd*.json' | head -n 1)" "$to/lvp_icd.json" "$to/libvulkan_lvp.so"
}

for name in "$@"; do
    case $name in
        swiftshader) icd=$root/$name/vk_swiftshader_icd.json; fetch=swiftshader ;;
        mesa-backports) icd=$root/$name/lvp_icd.json; fetch=mesa_backports ;;
        *) fail "unknown driver \"$name\": swiftshader or mesa-backports" ;;
    esac
    if ! loads "$icd"; then
        prepare_apt
        rm -rf "${root:?}/$name" "$root/$name.new"
        mkdir "$root/$name"
        "$fetch" "$root/$name"
        loads "$icd" || { ldd "$root/$name"/*.so >&2 || true; fail "the $name driver in $root/$name does not load"; }
    fi
    echo "$icd"
done
