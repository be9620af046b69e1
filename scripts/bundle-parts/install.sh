#!/usr/bin/env bash
# Installs hallctl from this folder, without internet. As root, on Debian 12 or later (or another systemd Linux with
# Python and glibc 2.28 or later).
#
#   ./install.sh                     install; where another version is installed it says what to do
#   ./install.sh --upgrade           replace the installed version; goes back by itself when the new one isn't healthy
#   ./install.sh --uninstall         remove hallctl; configuration and data stay
#   ./install.sh --uninstall --purge the same, with configuration, data and the user
#   ./install.sh --verify            only check that this folder is complete and fits this machine
#
#   --window SECONDS                 how long an upgrade is watched; default 60
#   --root FOLDER                    install into an image mounted there; nothing is started
#
# Configuration that is there (/etc/hallctl) is never touched. Running it twice changes nothing.
# Exit codes: 0 done, 1 it can't be done (nothing was changed), 2 wrong usage, 3 the new version was not healthy and the
# old one runs again. An upgrade whose session ends goes on by itself, and writes into /var/log/hallctl-upgrade.log.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root="" action=install window=60 purge=no activate=""

say() { printf '==> %s\n' "$*"; }
die() { printf 'error: %s\n' "$1" >&2; [ $# -lt 2 ] || printf 'hint: %s\n' "$2" >&2; exit 1; }
usage() { sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p}' "$0"; }

while [ $# -gt 0 ]; do
    case $1 in
        --upgrade | --uninstall | --verify) action=${1#--}; shift ;;
        --purge) purge=yes; shift ;;
        --window) window=${2:-}; shift; shift $(($# > 0)) ;;
        --root) [ -n "${2:-}" ] || { printf 'error: --root wants a folder\n' >&2; exit 2; }; root=$2; shift 2 ;;
        --activate) action=activate activate=${2:?}; shift 2 ;; # for trial.sh
        --try) action=try; shift ;; # for --upgrade itself
        -h | --help) usage; exit 0 ;;
        *) usage >&2; printf 'error: %s is unknown\n' "$1" >&2; exit 2 ;;
    esac
done
case $window in '' | *[!0-9]*) printf 'error: --window wants seconds\n' >&2; exit 2 ;; esac
[ -z "$root" ] || { [ -d "$root" ] || die "there is no folder $root"; root=$(cd "$root" && pwd); }
[ "$purge" = no ] || [ "$action" = uninstall ] || { printf 'error: --purge belongs to --uninstall\n' >&2; exit 2; }

prefix=$root/opt/hallctl
config=$root/etc/hallctl
state=$root/var/lib/hallctl
units=$root/usr/local/lib/systemd/system
log=/var/log/hallctl-upgrade.log
version="" commit="" arch="" python=""
# shellcheck disable=SC1091
. "$here/VERSION"

running() { [ -z "$root" ] && [ -d /run/systemd/system ]; }
current() { basename "$(readlink "$prefix/current" 2>/dev/null || true)"; }

# --- what has to be true before anything is changed ---------------------------------------------------------------

verify() {
    say "checking the bundle (hallctl $version, commit $commit, for $arch)"
    local missing
    missing=$(sed 's/^[^ ]*  //' "$here/SHA256SUMS" | while IFS= read -r file; do [ -f "$here/$file" ] || echo "$file"; done | head -n 3 | xargs)
    [ -z "$missing" ] || die "files of the bundle are missing in $here: $missing" "unpack the archive again: tar xzf hallctl-...tar.gz"
    (cd "$here" && sha256sum --quiet --check SHA256SUMS >/dev/null 2>&1) \
        || die "a file of the bundle is damaged: $(cd "$here" && sha256sum --quiet --check SHA256SUMS 2>/dev/null | cut -d: -f1 | head -n 3 | xargs)" \
               "copy the archive again, compare it with its .sha256, and unpack it again"
}

fits() {
    [ "$(uname -m)" = "$arch" ] || die "this bundle is for $arch, this machine is $(uname -m)" "take the bundle for $(uname -m)"
    command -v python3 >/dev/null || die "python3 is missing" "apt-get install python3 (it stands on Debian's installation medium)"
    interpreter=$(command -v "python$python" || command -v python3)
    local found
    found=$("$interpreter" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    [ "$found" = "$python" ] || die "this bundle is for Python $python, this machine has $found" "take the bundle for Python $found (scripts/bundle --python $found)"
    "$interpreter" -c 'import venv, ssl, sqlite3, ctypes' 2>/dev/null \
        || die "python3 here lacks a part of its own library (venv, ssl, sqlite3 or ctypes)" "apt-get install libpython$python-stdlib"
    "$interpreter" -c 'import ctypes; ctypes.CDLL("libstdc++.so.6")' 2>/dev/null \
        || die "libstdc++.so.6 is missing, which the compiled packages need" "apt-get install libstdc++6"
    local free
    free=$(df -Pk "$(existing "$prefix")" | awk 'NR == 2 {print int($4 / 1024)}')
    [ "$free" -ge 700 ] || die "only $free MiB are free for $prefix; 700 are needed" "make room, or remove old versions there"
}

existing() { local path=$1; while [ ! -e "$path" ]; do path=$(dirname "$path"); done; echo "$path"; }

as_root() {
    [ "$(id -u)" = 0 ] || [ -n "$root" ] || die "this has to run as root" "sudo $0"
}

# --- one version ---------------------------------------------------------------------------------------------------

# A virtual environment of its own: the system's Python packages are neither used nor changed (PEP 668), and pip comes
# with the bundle, so that python3-venv is not needed.
build() {
    local target=$prefix/$version
    if [ -f "$target/complete" ]; then
        cmp -s "$target/complete" "$here/SHA256SUMS" && return
        [ "$(current)" != "$version" ] || die "another build of $version is installed and runs" "give the new one a version of its own, or --uninstall first"
    fi
    say "installing into /opt/hallctl/$version"
    rm -rf "$target"
    mkdir -p "$target"
    "$interpreter" -m venv --without-pip "$target" || die "python3 could not make a virtual environment in $target"
    local pip
    pip=$(echo "$here"/wheels/pip-*.whl)
    offline() { "$target/bin/python" "$pip/pip" --isolated --no-cache-dir --disable-pip-version-check --quiet install --no-index --no-compile --no-warn-script-location "$@"; }
    offline --find-links "$here/wheels" --require-hashes -r "$here/requirements.txt" \
        || die "the packages could not be installed" "the lines above say which; is the bundle complete? ./install.sh --verify"
    offline --no-deps "$here"/wheels/hallctl-*.whl || die "hallctl's own wheel could not be installed"
    "$target/bin/python" -m compileall -q -j 0 "$target/lib" >/dev/null 2>&1 || true # the daemon can't write there
    mkdir -p "$target/installer"
    cp -r "$here/model" "$here/docs" "$here/configs" "$here/systemd" "$target/"
    cp "$here/VERSION" "$here/install.sh" "$here/trial.sh" "$target/installer/"
    cp -r "$here/systemd" "$target/installer/systemd"
    cp "$here/LICENSE" "$here/CHANGELOG.md" "$target/"
    if [ -n "$root" ]; then # scripts name the interpreter by its path: that of the running system, not of the image's mount
        grep -rlI "^#!$target/bin/" "$target/bin" | xargs -r sed -i "1s|^#!$root|#!|"
    fi
    chmod -R u=rwX,go=rX "$target"
    cp "$here/SHA256SUMS" "$target/complete" # the last word: without it the folder is made anew
    sync -f "$target"
}

# activate VERSION: what the system starts from now on. Everything is replaced by renaming: a power cut leaves old or new.
activate() {
    local from=$prefix/$1/installer
    [ -d "$from" ] || die "version $1 is not installed"
    put 644 "$from/systemd/hallctl.service" "$units/hallctl.service"
    put 644 "$from/systemd/hallctl-trial.service" "$units/hallctl-trial.service"
    put 644 "$from/systemd/hallctl.sysusers" "$root/usr/local/lib/sysusers.d/hallctl.conf"
    put 644 "$from/systemd/hallctl.tmpfiles" "$root/usr/local/lib/tmpfiles.d/hallctl.conf"
    put 644 "$from/systemd/70-hallctl.rules" "$root/etc/udev/rules.d/70-hallctl.rules"
    put 755 "$from/trial.sh" "$prefix/trial.sh"
    link "$1" "$prefix/current"
    link /opt/hallctl/current/bin/hallctl "$root/usr/local/bin/hallctl"
    sync -f "$prefix"
    if running; then
        systemctl daemon-reload
        udevadm control --reload 2>/dev/null || true
    fi
}

put() { # put MODE FROM TO
    if cmp -s "$2" "$3"; then return; fi
    mkdir -p "$(dirname "$3")"
    install -m "$1" "$2" "$3.new"
    mv -f "$3.new" "$3"
}

link() { # link TO NAME
    [ "$(readlink "$2" 2>/dev/null || true)" != "$1" ] || return 0
    mkdir -p "$(dirname "$2")"
    ln -sfn "$1" "$2.new"
    mv -fT "$2.new" "$2"
}

# --- user, folders, first configuration -------------------------------------------------------------------------

people() {
    if command -v systemd-sysusers >/dev/null; then
        systemd-sysusers ${root:+--root="$root"} "$root/usr/local/lib/sysusers.d/hallctl.conf"
    elif [ -z "$root" ] && ! getent passwd hallctl >/dev/null; then
        useradd --system --user-group --home-dir /var/lib/hallctl --no-create-home --shell /usr/sbin/nologin hallctl
    fi
    if [ -z "$root" ]; then
        systemd-tmpfiles --create /usr/local/lib/tmpfiles.d/hallctl.conf 2>/dev/null || {
            install -d -m 750 -o root -g hallctl "$config" "$config/secrets"
            install -d -m 700 -o hallctl -g hallctl "$state"
        }
    else
        systemd-tmpfiles --root="$root" --create "$root/usr/local/lib/tmpfiles.d/hallctl.conf" 2>/dev/null || mkdir -p "$config/secrets" "$state"
    fi
}

first_configuration() {
    local name
    mkdir -p "$config/examples"
    for name in controller.yaml hall.yaml; do put 644 "$prefix/$version/configs/small-hall/$name" "$config/examples/$name"; done
    [ -z "$root" ] && chgrp -R hallctl "$config/examples" 2>/dev/null || true
}

configured() { [ -f "$config/controller.yaml" ]; }

checks() { # checks VERSION: what the daemon of that version would say of the configuration, as the user that it runs as
    local check=("$prefix/$1/bin/hallctl" check --documents-only "$config/controller.yaml")
    if command -v runuser >/dev/null; then runuser -u hallctl -- "${check[@]}"; else "${check[@]}"; fi
}

# --- what is asked for ----------------------------------------------------------------------------------------------

install_fresh() {
    local installed
    installed=$(current)
    if [ -n "$installed" ] && [ "$installed" != "$version" ]; then
        die "hallctl $installed is installed already" "sudo $0 --upgrade replaces it by $version and goes back if that isn't healthy"
    fi
    fits
    build
    activate "$version"
    people
    first_configuration
    if ! running; then say "installed; it starts with the system once /etc/hallctl/controller.yaml is there"; enable_in_image; return; fi
    systemctl enable --quiet hallctl.service hallctl-trial.service
    udevadm trigger --subsystem-match=usb --subsystem-match=tty --subsystem-match=usbmisc 2>/dev/null || true
    start_if_configured
}

enable_in_image() {
    local unit
    mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
    for unit in hallctl.service hallctl-trial.service; do
        link "/usr/local/lib/systemd/system/$unit" "$root/etc/systemd/system/multi-user.target.wants/$unit"
    done
}

start_if_configured() {
    if ! configured; then
        say "hallctl $version is installed. Next:"
        cat <<'NEXT'
    1. cp /etc/hallctl/examples/*.yaml /etc/hallctl/     and change the ids, ports and addresses
       hallctl discover                                  says what is plugged in, as ready YAML
    2. hallctl check /etc/hallctl/controller.yaml        until all is right
    3. systemctl start hallctl && hallctl status
NEXT
        return
    fi
    if systemctl is-active --quiet hallctl.service; then say "hallctl $version is installed and runs"; return; fi
    if checks "$version"; then
        systemctl start hallctl.service && say "hallctl $version is installed and runs" \
            || die "hallctl $version is installed and does not start" "journalctl -u hallctl -n 30"
    else
        say "hallctl $version is installed. Its configuration has the mistakes above: mend them, then systemctl start hallctl"
    fi
}

upgrade() {
    local installed before=0 connected=false health=/run/hallctl/health.json
    installed=$(current)
    [ -n "$installed" ] || die "hallctl is not installed here, so there is nothing to upgrade" "sudo $0"
    running || die "an upgrade is watched, so it needs the running system"
    [ ! -f "$prefix/trial" ] || die "an upgrade is being tried just now" "wait for its window to end, or let it begin again: systemctl start hallctl-trial"
    if [ "$installed" = "$version" ]; then say "hallctl $version is installed already"; install_fresh; return; fi
    fits
    build
    if configured; then
        checks "$version" || die "hallctl $version can't use the configuration in /etc/hallctl; $installed goes on" "mend what it names, then run this again"
    fi
    if systemctl is-active --quiet hallctl.service; then
        before=$(sed -n 's/.*"online": *\([0-9]*\).*/\1/p' "$health" 2>/dev/null || true)
        before=${before:-0}
        ! grep -q '"connected": *true' "$health" 2>/dev/null || connected=true
    else
        say "the daemon does not run now, so there is nothing to compare with; $version takes its place"
        activate "$version"; people; first_configuration
        systemctl enable --quiet hallctl.service hallctl-trial.service
        return
    fi
    say "upgrading from $installed to $version; $before terminals are online; it is watched for $window s, also when this session ends"
    printf 'old=%s\nnew=%s\nwindow=%s\nbefore=%s\nconnected=%s\n' "$installed" "$version" "$window" "$before" "$connected" > "$prefix/trial.new"
    mv -f "$prefix/trial.new" "$prefix/trial"
    sync -f "$prefix"
    local code=0
    systemctl reset-failed hallctl-upgrade.service 2>/dev/null || true
    # In a unit of its own: a session that ends in the middle must not leave the hall without its daemon.
    systemd-run --quiet --wait --collect --unit=hallctl-upgrade --property=StandardOutput="truncate:$log" --property=StandardError="append:$log" \
        "$prefix/$version/installer/install.sh" --try || code=$?
    cat "$log"
    [ $code = 0 ] && forget_old "$installed"
    exit $code
}

# What hallctl-upgrade.service does: this is the new version's installer, and all that it needs is in its folder.
try() {
    trap undo EXIT
    systemctl stop hallctl.service # a ticket that is being printed is finished
    activate "$version"
    people
    first_configuration
    systemctl enable --quiet hallctl.service hallctl-trial.service
    systemctl reset-failed hallctl.service 2>/dev/null || true
    systemctl start --no-block hallctl.service
    trap - EXIT
    exec "$prefix/trial.sh" watch
}

undo() { # the swap itself failed half way (a full disk): what ran before runs again
    local old
    old=$(sed -n 's/^old=//p' "$prefix/trial")
    say "going back to $old: $version could not be put in its place"
    "$prefix/$old/installer/install.sh" --activate "$old" || true
    rm -f "$prefix/trial"
    systemctl restart hallctl.service || true
    exit 3
}

forget_old() { # keeps the version that ran before; older ones go
    local one
    for one in "$prefix"/*/; do
        one=$(basename "$one")
        case $one in current | "$version" | "$1") ;; *) [ -d "$prefix/$one/installer" ] && { say "removing $one"; rm -rf "${prefix:?}/$one"; } ;; esac
    done
    return 0
}

uninstall() {
    if running; then
        systemctl stop hallctl-upgrade.service 2>/dev/null || true
        systemctl disable --quiet --now hallctl-trial.service hallctl.service 2>/dev/null || true
    fi
    rm -f "$units/hallctl.service" "$units/hallctl-trial.service" "$root/etc/udev/rules.d/70-hallctl.rules" \
        "$root/usr/local/lib/sysusers.d/hallctl.conf" "$root/usr/local/lib/tmpfiles.d/hallctl.conf" "$root/usr/local/bin/hallctl" \
        "$root"/etc/systemd/system/multi-user.target.wants/hallctl{,-trial}.service
    rm -rf "$prefix"
    if running; then systemctl daemon-reload; udevadm control --reload 2>/dev/null || true; fi
    if [ "$purge" = no ]; then
        say "hallctl is removed. Configuration (/etc/hallctl) and data (/var/lib/hallctl) are still there; --purge removes them"
        return
    fi
    rm -rf "$config" "$state"
    rm -f "$root$log"
    if [ -z "$root" ] && getent passwd hallctl >/dev/null; then userdel hallctl 2>/dev/null || true; fi
    say "hallctl is removed, with its configuration and its data"
}

if [ "$action" = activate ]; then activate "$activate"; exit 0; fi
as_root
case $action in uninstall | try) ;; *) verify ;; esac
case $action in
    verify) fits; say "the bundle is complete and fits this machine" ;;
    install) install_fresh ;;
    upgrade) upgrade ;;
    try) try ;;
    uninstall) uninstall ;;
esac
