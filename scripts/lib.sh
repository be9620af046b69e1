# Shared by the scripts: makes the virtual environment once, and says clearly what is missing.
# shellcheck shell=bash

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$1" >&2; [ $# -lt 2 ] || printf 'hint: %s\n' "$2" >&2; exit 1; }

# environment EXTRA: .venv holds hallctl (editable) and what requirements/EXTRA.txt pins; prints nothing when up to date.
environment() {
    local extra=$1 stamp=.venv/.hallctl-$1 want
    want=$(cat pyproject.toml "requirements/$extra.txt" | sha256sum)
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ]; then return; fi
    local python
    python=$(command -v python3.11 || command -v python3) || die "python3 is missing" "apt-get install python3 python3-venv"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
        || die "hallctl needs Python 3.11 or later; this is $("$python" --version)" "apt-get install python3.11 python3.11-venv"
    if [ ! -x .venv/bin/python ]; then
        say "making the virtual environment .venv"
        "$python" -m venv .venv 2>/dev/null \
            || { rm -rf .venv; die "python3 can't make a virtual environment" "apt-get install python3-venv, then run this again"; }
    fi
    say "installing the pinned packages (requirements/$extra.txt)"
    .venv/bin/python -m pip --quiet --disable-pip-version-check install --require-hashes -r "requirements/$extra.txt"
    .venv/bin/python -m pip --quiet --disable-pip-version-check install --no-deps --no-build-isolation --editable .
    echo "$want" > "$stamp"
}

# as_root COMMAND...: runs it as root when that is possible without asking for a password.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then sudo "$@"; else return 1; fi
}

# debian COMMAND PACKAGE: makes sure that COMMAND exists, installing Debian's PACKAGE where that is possible.
debian() {
    command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] && return
    say "installing $2"
    { as_root apt-get -qq update && as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq install -y --no-install-recommends "$2" >/dev/null; } \
        || die "$1 is missing and could not be installed" "apt-get install $2, then run this again"
}
