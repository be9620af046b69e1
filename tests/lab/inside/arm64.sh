#!/usr/bin/env bash
# What scripts/lab-arm64 proves inside its arm64 system: one line for each sentence, and every sentence has its turn.
# shellcheck disable=SC2317  # the sentences' functions are called by "$@"
set -uo pipefail
failed=0
said=/tmp/said
program=/opt/hallctl/current/bin
bundle=$(echo /stick/hallctl-*)

proves() { # proves SENTENCE COMMAND...
    local sentence=$1 begun=$SECONDS
    shift
    if ("$@") > "$said" 2>&1; then
        printf 'ok   %5d s  arm64: %s\n' $((SECONDS - begun)) "$sentence"
    else
        failed=1
        printf 'FAIL %5d s  arm64: %s\n' $((SECONDS - begun)) "$sentence"
        sed 's/^/       /' "$said"
    fi
}

tree() { find /opt/hallctl /etc /usr/local /var/lib/hallctl -printf '%p %y %s %m %u %g %T@ %l\n' | sort; }

installs() {
    set -e
    [ "$(uname -m)" = aarch64 ]
    if python3 -c 'import ensurepip' 2>/dev/null; then return 1; fi # python3-venv is there: this would prove less than it says
    "$bundle/install.sh"
    [ "$(hallctl --version)" = "hallctl $(sed -n 's/^version=//p' "$bundle/VERSION")" ]
}

again() {
    set -e
    tree > /tmp/before
    "$bundle/install.sh"
    tree > /tmp/after
    diff /tmp/before /tmp/after
}

checks() {
    set -e
    cp /etc/hallctl/examples/*.yaml /etc/hallctl/
    hallctl check --documents-only /etc/hallctl/controller.yaml
}

loads() { # every module of the compiled packages
    "$program/python" - <<'PY'
import importlib
import sysconfig
from pathlib import Path

folder = Path(sysconfig.get_path("platlib"))
names = {path.relative_to(folder).parts[0].split(".")[0] for path in folder.rglob("*.so*")}
packages = sorted(name for name in names if (folder / name / "__init__.py").exists() or list(folder.glob(f"{name}.*.so")))
assert len(packages) > 5, packages
for name in packages:
    importlib.import_module(name)
import libusb_package
import usb.core

assert libusb_package.get_libusb1_backend() is not None
print(packages)
PY
}

proves "install.sh installs, without internet and without python3-venv" installs
proves "running it a second time changes nothing" again
proves "hallctl check is content with the small hall" checks
proves "every compiled package loads" loads
proves "the detector finds a person, and nobody where nobody is" "$program/python" /stick/arm64_detector.py /stick/person.png
exit $failed
