# Fresh Debian systems in a folder, to prove what the README promises on a machine that has
# nothing; sourced by .ci/run. Needs root and debootstrap. $cache holds what is slow to fetch;
# without it everything is fetched again.

debian_mirror() {   # the mirror that this machine's apt uses, or nothing: debootstrap then takes its own
    local id codename
    id=$(. /etc/os-release && echo "$ID")
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    [ "$id" != debian ] || apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
        awk -v codename="$codename" '$1 == codename { print $2; exit }'
}

# Unpacks a bare system into a new folder and clones the project into its /root/vkbert.
root_make() {   # SUITE FOLDER
    local bare=$cache/root-$1.tar mirror
    if [ -z "$(find "$bare" -mtime -30 2> /dev/null)" ]; then
        rm -rf "$bare" "$2"
        mirror=$(debian_mirror)
        # shellcheck disable=SC2086  # no mirror is no argument
        debootstrap --variant=minbase "$1" "$2" $mirror || return 1
        rm -f "$2"/var/cache/apt/archives/*.deb
        { tar -C "$2" --one-file-system -cf "$bare.new" . && mv "$bare.new" "$bare"; } || rm -f "$bare.new"
    else
        mkdir -p "$2" && tar -C "$2" -xf "$bare" || return 1
    fi
    cp -L /etc/resolv.conf "$2/etc/resolv.conf"
    mkdir -p "$2/root/shaders" "$cache/archives-$1" "$cache/shaders-$1"
    git -c safe.directory="$top" clone -q "file://$top" "$2/root/vkbert"
}

# Runs a command line there, as root, in the project's folder. What a driver compiles is kept for the
# next run in /root/shaders, where the command asks for that by MESA_SHADER_CACHE_DIR. The mounts live in a namespace of
# their own and go with it, as does every process that the command leaves behind.
root_run() {    # SUITE FOLDER COMMAND-LINE
    unshare --mount --pid --fork --kill-child bash -c '
        set -e
        mount -t proc proc "$1/proc"
        mount --rbind /dev "$1/dev"
        mount --bind "$2" "$1/var/cache/apt/archives"
        mount --bind "$3" "$1/root/shaders"
        exec chroot "$1" env -i HOME=/root LANG=C.UTF-8 TERM=dumb PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
            ${http_proxy:+"http_proxy=$http_proxy"} ${https_proxy:+"https_proxy=$https_proxy"} \
            bash -c "cd /root/vkbert && $4"
    ' root_run "$2" "$cache/archives-$1" "$cache/shaders-$1" "$3" < /dev/null
}
