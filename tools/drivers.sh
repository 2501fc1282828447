#!/usr/bin/env bash
# Fetches extra software drivers to test against, without installing them: unpacked under DIR,
# each with an ICD file that VK_DRIVER_FILES can name.
#
#   tools/drivers.sh DIR NAME...
#
#   swiftshader      Google's CPU driver, as Debian's chromium-common carries it: subgroups of 4, no 16-bit types
#   mesa-backports   Mesa from the distribution's backports: a newer llvmpipe than the system's
#
# What is already there and still loads is kept. A driver gets its name when it is whole: whatever ends
# this in between leaves at most a hidden folder, which the next run removes; one run at a time works
# on DIR. Works as any user, on Debian and systems like it; the machine's package configuration is
# read (its mirror, its keys), never changed: apt runs on a configuration of its own in a temporary
# folder.
set -euo pipefail
shopt -s inherit_errexit

. "$(dirname "$0")/common.sh"

[ $# -ge 2 ] || fail "usage: tools/drivers.sh DIR swiftshader|mesa-backports..."
command -v apt-get > /dev/null && command -v dpkg-deb > /dev/null || fail "needs apt-get and dpkg-deb (Debian, Ubuntu)"
umask 022       # vkbert loads no driver that others could have written
case $1 in
    /*) root=$1 ;;
    *) root=$PWD/$1 ;;
esac
shift
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
[ -n "$codename" ] || fail "/etc/os-release names no release, of which there could be backports"
triplet=$(dpkg-architecture -qDEB_HOST_MULTIARCH 2> /dev/null || basename "$(dirname "$(ls -d /usr/lib/*/libc.so.6)")")

work=$(mktemp -d)
locked=no
clean_up() {
    rm -rf "$work" "$logs"
    [ $locked = no ] || rm -rf "$root"/.*.new
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
mkdir -p "$work"/lists/partial "$work"/cache/archives/partial "$work"/tools

quietly() {     # runs a command and shows what it said only when it fails
    "$@" > "$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; return 1; }
}

# From here to its end this is the only run that fetches into the folder.
lock() {
    [ $locked = no ] || return 0
    mkdir -p "$root" 2> /dev/null && [ -w "$root" ] || fail "$root is no folder that can be written to"
    exec 9> "$root/.lock"
    flock 9
    locked=yes
}

# apt-get and apt-cache on the temporary configuration: the machine's own suites and, beside them,
# its mirror's backports.
private() {     # PROGRAM...
    "$1" -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts="$work/none" \
            -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" -o Dir::Etc::PreferencesParts="$work/none" \
            -o Debug::NoLocking=1 -o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=2 \
            -o Acquire::http::Timeout=15 -o APT::Update::Error-Mode=any "${@:2}" 9>&-
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
    quietly private apt-get update || fail "apt could not read the package lists of $codename and $codename-backports: is there a network?"
}

fetch_deb() {   # NAME: downloads it, prints the path of the .deb
    (cd "$work/cache" && rm -f "$1"_*.deb && quietly private apt-get download "$1") ||
        fail "package $1 could not be downloaded from $codename"
    ls "$work/cache/$1"_*.deb
}

library_of() {  # ICD: the path of the library it names
    local library
    library=$(sed -n 's/.*"library_path": *"\([^"]*\)".*/\1/p' "$1")
    case $library in
        /*) echo "$library" ;;
        *) echo "$(dirname "$1")/$library" ;;
    esac
}

loads() {       # ICD: whether the library it names is whole, and every library and name that it needs is found
    local library said
    [ -s "$1" ] && library=$(library_of "$1") && [ -f "$library" ] &&
        said=$(ldd -r "$library" 2>&1) && ! grep -qE 'not found|undefined symbol' <<< "$said"
}

write_icd() {   # SOURCE TARGET LIBRARY: the package's ICD file, naming the library beside it
    sed "s|\"library_path\": *\"[^\"]*\"|\"library_path\": \"./$3\"|" "$1" > "$2"
}

swiftshader() {
    local to=$1 deb
    deb=$(fetch_deb chromium-common)
    mkdir -p "$work/swiftshader"
    dpkg-deb --fsys-tarfile "$deb" |
        tar -x -C "$work/swiftshader" --wildcards '*/libvk_swiftshader.so' '*/vk_swiftshader_icd.json'
    cp "$work"/swiftshader/usr/lib/chromium/libvk_swiftshader.so "$to/"
    write_icd "$work"/swiftshader/usr/lib/chromium/vk_swiftshader_icd.json "$to/vk_swiftshader_icd.json" \
              libvk_swiftshader.so
}

patchelf_program() {    # the installed one, or one unpacked beside
    local deb
    command -v patchelf && return
    deb=$(fetch_deb patchelf)
    dpkg-deb -x "$deb" "$work/tools"
    echo "$work/tools/usr/bin/patchelf"
}

mesa_backports() {
    local to=$1 tree=$work/mesa deb driver library patchelf offered
    # There may be backports without a Mesa, as Ubuntu's
    offered=$(private apt-cache madison mesa-vulkan-drivers) && [[ $offered == *" $codename-backports/"* ]] ||
        fail "$codename-backports has no Mesa"
    # --reinstall: the driver itself even where this version is installed; what it needs comes
    # as apt sees fit
    quietly private apt-get -y -d --no-install-recommends --reinstall -t "$codename-backports" install mesa-vulkan-drivers ||
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
    write_icd "$(find "$tree" -name 'lvp_icd*.json' | head -n 1)" "$to/lvp_icd.json" libvulkan_lvp.so
}

for name in "$@"; do
    case $name in
        swiftshader) icd=vk_swiftshader_icd.json; fetch=swiftshader ;;
        mesa-backports) icd=lvp_icd.json; fetch=mesa_backports ;;
        *) fail "unknown driver \"$name\": swiftshader or mesa-backports" ;;
    esac
    loads "$root/$name/$icd" || lock
    if ! loads "$root/$name/$icd"; then     # nor has another run fetched it meanwhile
        prepare_apt
        new=$root/.$name.new
        rm -rf "$new"
        mkdir "$new"
        "$fetch" "$new"
        loads "$new/$icd" || { ldd -r "$new"/*.so >&2 || true; fail "the $name driver of $codename does not load here"; }
        sync "$new"/* "$new"
        rm -rf "${root:?}/$name"
        mv "$new" "$root/$name"
    fi
    echo "$root/$name/$icd"
done
