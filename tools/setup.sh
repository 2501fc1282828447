#!/usr/bin/env bash
# Installs what vkbert is built from, and only what is missing.
#
#   tools/setup.sh            what building and running needs
#   tools/setup.sh --tests    and what tools/test.sh needs
#   tools/setup.sh --text     and the quick start's default text
#
# On Debian, Ubuntu and systems made from them it installs, as root or through sudo. On Fedora,
# Arch and macOS it says what to type and exits with 1 when something is missing. Why each package
# is needed stands in README.md.
set -euo pipefail
. "$(dirname "$0")/common.sh"

tests=no text=no
for word in "$@"; do
    case $word in
        --tests) tests=yes ;;
        --text) text=yes ;;
        *) fail "unknown option \"$word\": --tests, --text" ;;
    esac
done

# Every system: the names of its packages in `build`, `tests`, `text`, and `has NAME`.
case $(uname -s):$(. /etc/os-release 2> /dev/null && echo " ${ID:-} ${ID_LIKE:-} ") in
    *" debian "* | *" ubuntu "*)
        build_packages="gcc libc6-dev cmake ninja-build git ca-certificates glslang-tools libvulkan1 libvulkan-dev
                        libvulkan-volk-dev mesa-vulkan-drivers libcjson-dev libutf8proc-dev
                        zlib1g-dev libzstd-dev libcurl4-openssl-dev libssl-dev"
        test_packages="vulkan-validationlayers spirv-tools python3"
        text_packages="bible-kjv"
        has() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2> /dev/null)" = installed ]; }
        ;;
    *" fedora "*)
        build_packages="gcc cmake ninja-build git glslang vulkan-loader vulkan-headers vulkan-volk-devel
                        mesa-vulkan-drivers cjson-devel utf8proc-devel zlib-devel libzstd-devel
                        libcurl-devel openssl-devel"
        test_packages="vulkan-validation-layers spirv-tools python3 libasan libubsan"
        text_packages="curl"
        has() { rpm -q --quiet --whatprovides "$1"; }
        by_hand="sudo dnf install"
        ;;
    *" arch "*)
        build_packages="gcc cmake ninja git glslang vulkan-icd-loader vulkan-headers volk vulkan-swrast cjson libutf8proc zlib zstd curl openssl"
        test_packages="vulkan-validation-layers spirv-tools python"
        text_packages="curl"
        has() { pacman -Qq "$1" > /dev/null 2>&1; }
        by_hand="sudo pacman -S --needed"
        ;;
    Darwin:*)
        command -v brew > /dev/null || fail "Homebrew is missing: see https://brew.sh, then run this again"
        build_packages="cmake ninja git glslang vulkan-loader vulkan-headers vulkan-volk molten-vk cjson utf8proc zlib zstd curl openssl@3"
        test_packages="vulkan-validationlayers spirv-tools python3"
        text_packages="curl"
        has() { brew list --versions "$1" > /dev/null 2>&1; }
        by_hand="brew install"
        ;;
    *)
        fail "this system's packages are not known here: README.md names what vkbert needs, then build with cmake --preset release"
        ;;
esac

wanted=$build_packages
[ $tests = no ] || wanted="$wanted $test_packages"
[ $text = no ] || wanted="$wanted $text_packages"
missing=()
for package in $wanted; do
    has "$package" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
if [ -n "${by_hand:-}" ]; then
    printf 'vkbert needs some packages that are not here yet. Type\n\n    %s %s\n\nand run this again.\n' \
           "$by_hand" "${missing[*]}" >&2
    exit 1
fi

as_root=(env DEBIAN_FRONTEND=noninteractive)
if [ "$(id -u)" != 0 ]; then
    command -v sudo > /dev/null ||
        fail "these packages are missing, and installing them needs root: ${missing[*]}"
    sudo -v || fail "installing ${missing[*]} needs root"
    as_root=(sudo env DEBIAN_FRONTEND=noninteractive)
fi
apt=("${as_root[@]}" apt-get -q -y -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3 -o APT::Update::Error-Mode=any)
stage "reading the package lists" "${apt[@]}" update ||
    fail "apt-get update failed: is there a network?"
stage "installing ${#missing[@]} packages" "${apt[@]}" --no-install-recommends install "${missing[@]}" ||
    fail "the packages could not be installed: ${missing[*]}"
