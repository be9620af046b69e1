"""From the facts of a box, and what was found about its terminals, to one list: what takes the most along first."""

from collections.abc import Iterator, Sequence

from hallctl.diagnose.evidence import BoxFacts
from hallctl.diagnose.finding import Finding, Weight

_DECISIONS = {
    "rejected": "was refused",
    "rolled_back": "was taken back",
    "partial": "runs, but not all of it",
}


def judge_box(facts: BoxFacts, terminals: Sequence[Finding] = ()) -> list[Finding]:
    """What is wrong; empty: all is well."""
    own = [*_disk(facts), *_clock(facts), *_link(facts), *_configuration(facts), *_model(facts), *_certificate(facts)]
    return sorted([*own, *_merged(facts, terminals)], key=lambda one: one.weight)


def _disk(facts: BoxFacts) -> Iterator[Finding]:
    if facts.disk_free_mib is not None and facts.disk_free_mib < facts.disk_wanted_mib:
        message = f"the disk is nearly full: {facts.disk_free_mib} MiB are free at {facts.disk_path}"
        hint = f"make room (du -xh --max-depth=2 / | sort -h); at least {facts.disk_wanted_mib} MiB are wanted"
        yield Finding("disk.full", message, hint, weight=Weight.BOX)


def _clock(facts: BoxFacts) -> Iterator[Finding]:
    if facts.clock:
        return
    then = "commands of the centre are refused" if facts.broker else "events get this time"
    weight = Weight.BOX if facts.broker else Weight.WARNING
    message = f"the clock is not synchronised (it says {facts.now}): {then}"
    hint = "start an NTP client and let it reach its server: timedatectl set-ntp true; timedatectl timesync-status"
    yield Finding("clock.unsynchronised", message, hint, weight=weight)


def _link(facts: BoxFacts) -> Iterator[Finding]:
    if not facts.broker or facts.connected:
        return
    kept = f"; {facts.unsent} events wait here" if facts.unsent else ""
    message = f"the centre does not hear this box: {facts.link_message or 'not connected yet'}{kept}"
    yield Finding(facts.link_code or "link.error", message, facts.link_hint, weight=Weight.CENTRE)


def _configuration(facts: BoxFacts) -> Iterator[Finding]:
    if facts.config_status not in _DECISIONS or not facts.config_message:
        return
    version = facts.config_version
    which = f"version {version} of the centre's document" if version else "hall.yaml"
    weight = Weight.WARNING if facts.config_status == "partial" else Weight.LINE
    message = f"{which} {_DECISIONS[facts.config_status]}: {facts.config_message}"
    hint = facts.config_hint or "correct the document and push it again; the box runs the last good one"
    yield Finding("config.invalid", message, hint, weight=weight)


def _model(facts: BoxFacts) -> Iterator[Finding]:
    if facts.needs_model and facts.model_problem:
        hint = "copy it again from the bundle, or name another one in controller.yaml: model:"
        yield Finding(
            "camera.model", f"no camera can tell who is there: {facts.model_problem}", hint, weight=Weight.LINE
        )


def _certificate(facts: BoxFacts) -> Iterator[Finding]:
    if facts.certificate:
        hint = "`hallctl enroll` renews it; docs/security.md says how"
        yield Finding("certificate.expiring", facts.certificate, hint, weight=Weight.WARNING)


def _merged(facts: BoxFacts, terminals: Sequence[Finding]) -> Iterator[Finding]:
    """A line that is down is one cause, however many hang on it; what the model explains is not said again."""
    lines: set[tuple[str, object]] = set()
    for found in terminals:
        key = (found.code, found.params.get("bus"))
        if found.params.get("bus") and found.weight is Weight.LINE:
            if key in lines:
                continue
            lines.add(key)
        if found.weight is Weight.NOTE or (found.code == "camera.model" and facts.model_problem):
            continue
        yield found
