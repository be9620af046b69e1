#!/usr/bin/env bash
# Watches a new version of hallctl for its window, and goes back to the old one when it isn't healthy. Called by
# install.sh --upgrade (in hallctl-upgrade.service), and by hallctl-trial.service at boot where a power cut ended the
# window: /opt/hallctl/trial then still says what is being tried.
#   trial.sh watch      0: the new version stays; 3: it went back
# Healthy is: the daemon is active, it was not started again, it says so itself (health.json), as many terminals are online
# as before, and it has a connection to the broker where the old version had one.
set -euo pipefail
prefix=/opt/hallctl
trial=$prefix/trial
health=/run/hallctl/health.json

say() { printf '==> %s\n' "$*"; }

field() { # field KEY: from health.json, or nothing; the daemon writes it whole, in one line
    sed -n "s/.*\"$1\": *\"\{0,1\}\([^\",}]*\).*/\1/p" "$health" 2>/dev/null || true
}

restarts() { systemctl show hallctl.service --property=NRestarts --value; }

# unhealthy BEFORE RESTARTS: says why the daemon is not healthy now; nothing where it is
unhealthy() {
    local state
    if [ "$(restarts)" != "$2" ]; then echo "the daemon had to be started again"; return; fi
    state=$(systemctl is-active hallctl.service || true)
    case $state in
        active) ;;
        activating) echo "it is still starting"; return ;;
        *) echo "the daemon is $state"; return ;;
    esac
    if [ -z "$(find "$health" -newermt '-20 seconds' 2>/dev/null)" ]; then echo "the daemon gives no sign of life (health.json)"; return; fi
    if [ "$(field version)" != "$new" ]; then echo "version $(field version) runs instead of $new"; return; fi
    if [ "$(field ready)" != true ]; then echo "it is not ready"; return; fi
    if [ "$(field online)" -lt "$1" ]; then echo "$(field online) terminals are online, before the upgrade there were $1"; return; fi
    if [ "$connected" = true ] && [ "$(field connected)" != true ]; then echo "it has no connection to the broker, the old version had one"; fi
}

job() { systemctl show hallctl.service --property=Job --value; } # nothing, unless it is about to be started or stopped

fatal() { # fatal RESTARTS: whether waiting any longer is of no use
    case $(systemctl is-active hallctl.service || true) in failed | inactive) [ -n "$(job)" ] || return 0 ;; esac
    [ "$(restarts)" != "$1" ]
}

back() {
    say "going back to $old: $1"
    systemctl stop hallctl.service || true
    "$prefix/$old/installer/install.sh" --activate "$old"
    rm -f "$trial"
    sync "$prefix"
    systemctl reset-failed hallctl.service || true
    systemctl restart hallctl.service || true
    logger -t hallctl-upgrade -p daemon.err "version $new was not healthy ($1); $old runs again" 2>/dev/null || true
    local state
    state=$(systemctl is-active hallctl.service || true)
    say "version $old is $state. What the new one said: journalctl -u hallctl --since '10 minutes ago'"
}

[ "${1:-}" = watch ] || { echo "usage: trial.sh watch" >&2; exit 2; }
[ -f "$trial" ] || { say "no upgrade is being tried"; exit 0; }
old="" new="" window=60 before=0 connected=false
# Written by install.sh alone: old=..., new=..., window=..., before=..., connected=...
# shellcheck disable=SC1090
. "$trial"
started=$(restarts)
end=$((SECONDS + window))
why="it was not healthy once"
settled=0
while [ $SECONDS -lt $end ]; do
    if fatal "$started"; then why=$(unhealthy "$before" "$started"); why=${why:-the daemon failed}; back "$why"; exit 3; fi
    why=$(unhealthy "$before" "$started")
    if [ -z "$why" ]; then settled=$((settled + 1)); else settled=0; fi
    sleep 1
done
if [ -n "$why" ] || [ $settled = 0 ]; then back "$why"; exit 3; fi
rm -f "$trial"
sync "$prefix"
say "version $new is healthy: $(field online) of $(field terminals) terminals are online"
