# Shared by the scripts that boot a Debian in qemu (scripts/usb-lab, scripts/lab): what can be built here, and how.
# shellcheck shell=bash

# guest_suite: the Debian release of this machine, or nothing where no guest can be built. The guest is of the same
# release: its apt sources fit, and so do the compiled packages of .venv.
guest_suite() {
    [ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ] || return 0
    (. /etc/os-release && if [ "$ID" = debian ]; then echo "$VERSION_CODENAME"; fi)
}

# guest_tools: what builds and boots a guest.
guest_tools() {
    debian mmdebstrap mmdebstrap
    debian genext2fs genext2fs
    debian mke2fs e2fsprogs
    debian qemu-system-x86_64 qemu-system-x86
    export PATH="$PATH:/usr/sbin"
}

# This machine's own apt sources of its release; without any, mmdebstrap knows Debian's.
guest_sources() {
    grep -lsw "$1" /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources \
        | xargs -r grep -lw main || true
}

# What this machine's apt was told about proxies and dates.
guest_apt_options() { apt-config dump | grep -E '^Acquire::(https?|Check-Date|Check-Valid-Until|Retries|ForceIPv[46])\b' || true; }

# build_guest SUITE FOLDER PACKAGES "MODULES OF THE INITRD" "FOLDERS OF MODULES TO LEAVE OUT" [OPTION OF MMDEBSTRAP]...
# puts the root disk base.ext2, vmlinuz and initrd into FOLDER.
# shellcheck disable=SC2016  # the hooks' $1, the guest's folder, is for mmdebstrap to fill in
build_guest() {
    local suite=$1 lab=$2 packages=$3 early=$4 without=$5 path
    shift 5
    local -a mirrors options=(--quiet --variant=minbase "--aptopt=$lab/apt.conf")
    for path in usr/share/doc usr/share/man usr/share/locale; do options+=("--dpkgopt=path-exclude=/$path/*"); done
    for path in $without; do options+=("--dpkgopt=path-exclude=/lib/modules/*/kernel/$path/*"); done
    options+=(
        "--include=linux-image-amd64,initramfs-tools,zstd,kmod,$packages"
        --essential-hook='mkdir -p "$1/etc/initramfs-tools/conf.d" "$1/lab"'
        --essential-hook='echo MODULES=list > "$1/etc/initramfs-tools/conf.d/lab"' # what the root disk needs, no more
        "--essential-hook=printf '%s\n' $early > \"\$1/etc/initramfs-tools/modules\""
        "$@"
        --customize-hook='cp -L "$1/vmlinuz" "$1/lab/vmlinuz"; cp -L "$1/initrd.img" "$1/lab/initrd"'
        --customize-hook="download /lab/vmlinuz $lab/vmlinuz"
        --customize-hook="download /lab/initrd $lab/initrd"
        --customize-hook='rm -rf "$1"/lab/* "$1"/boot/*'
    )
    mapfile -t mirrors < <(guest_sources "$suite")
    guest_apt_options > "$lab/apt.conf"
    mmdebstrap "${options[@]}" "$suite" "$lab/base.ext2" "${mirrors[@]}" 2> "$lab/mmdebstrap.log" || {
        tail -n 20 "$lab/mmdebstrap.log" >&2
        die "mmdebstrap could not build the guest" "its words stand above; as a user who is not root it needs the package uidmap"
    }
}

# guest_packages FOLDER NAME...: copies packages of .venv for the guest's python3, which is of the same release.
guest_packages() {
    local folder=$1 site name
    shift
    site=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    for name in "$@"; do
        # shellcheck disable=SC2086  # a name may be a pattern
        cp -a "$site"/$name "$folder/"
    done
}

# guest_disk FOLDER IMAGE SIZE LABEL: a small ext4 disk with what the folder holds.
guest_disk() {
    rm -f "$2"
    truncate -s "$3" "$2"
    mke2fs -q -F -t ext4 -L "$4" -E root_owner=0:0 -d "$1" "$2"
}
