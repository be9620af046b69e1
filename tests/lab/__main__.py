"""Drives the scenarios: ``python3 -m lab FOLDER [WORD...]``. One line each; exit code 0 only when all are well.

The box that the first scenarios install is kept; every other run begins with it. A scenario that fails leaves its
journal behind, and the next one begins with a new box.
"""

import hashlib
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from guest.report import show

from lab import (  # importing them puts their scenarios on the list
    cutting,
    devices,
    failing,
    installing,
    shutting,
    upgrading,
)
from lab.bench import SCENARIOS, Scenario
from lab.box import HALL, Box
from lab.centre import Centre

ORDER = [part.__name__ for part in (installing, devices, shutting, failing, cutting, upgrading)]


class Run:
    """One run of the lab."""

    def __init__(self, lab: Path, box: Box) -> None:
        self._lab = lab
        self._box = box
        self._installed = lab / "installed.qcow2"
        self._stamp = lab / "installed.stamp"
        self.failed = 0

    def all(self, chosen: list[Scenario]) -> None:
        """Those on a fresh box first; what they installed is kept for the others."""
        fresh = [one for one in SCENARIOS if one.fresh]
        others = [one for one in chosen if not one.fresh]
        if any(one.fresh for one in chosen) or self._stamp_now() != self._stamp_then():
            self._install(fresh)
        if self.failed:
            return
        for one in others:
            self._attempt(one, self._settled)

    def _install(self, fresh: list[Scenario]) -> None:
        self._stamp.unlink(missing_ok=True)
        self._box.new(self._lab / "base.ext4", "raw")
        for one in fresh:
            if not self._attempt(one, self._switched_on):
                return
        self._box.off()
        self._box.keep(self._installed)
        self._stamp.write_text(self._stamp_now(), encoding="ascii")

    def _switched_on(self) -> None:
        if not self._box.on:
            self._box.boot()

    def _settled(self) -> None:
        """A box that works, with everything plugged in."""
        if not self._box.on:
            self._box.new(self._installed, "qcow2")
            self._box.boot()
        self._box.ready()

    def _attempt(self, one: Scenario, prepare: Callable[[], None]) -> bool:
        started = time.monotonic()
        detail = ""
        try:
            prepare()
            one.prove(self._box)
        except Exception:  # noqa: BLE001  # whatever it is, the next scenario has its chance
            detail = traceback.format_exc(limit=-4)
            self.failed += 1
            self._leave_behind(one)
        show(one.name, time.monotonic() - started, ok=not detail, detail=detail)
        return not detail

    def _leave_behind(self, one: Scenario) -> None:
        """What the box says of itself, and no power for it."""
        try:
            said = self._box.run("journalctl", "-b", "-q", "--no-pager", "-n", "400").out
            (self._lab / f"failed-{self.failed}.log").write_text(f"{one.name}\n\n{said}", encoding="utf-8")
        except Exception as exc:  # noqa: BLE001  # it may be gone altogether
            print(f"no journal: {exc}", file=sys.stderr)
        self._box.cut()

    def _stamp_now(self) -> str:
        """What is installed depends on the disk and on the bundles."""
        parts = [self._lab / "stamp", HALL, *sorted((self._lab / "stick").glob("*.sha256"))]
        return hashlib.sha256(b"".join(part.read_bytes() for part in parts)).hexdigest()

    def _stamp_then(self) -> str:
        return self._stamp.read_text(encoding="ascii") if self._stamp.exists() else ""


def main() -> int:
    """Exit 0 only when every scenario that was chosen is well."""
    lab, words = Path(sys.argv[1]), sys.argv[2:]
    SCENARIOS.sort(key=lambda one: ORDER.index(one.prove.__module__))
    signal.signal(
        signal.SIGTERM, lambda _number, _frame: sys.exit(143)
    )  # so that qemu and broker are stopped then as well
    chosen = [one for one in SCENARIOS if not words or any(word in one.name for word in words)]
    if not chosen:
        print(f"error: no scenario's name has {' or '.join(words)}", file=sys.stderr)
        return 2
    started = time.monotonic()
    centre = Centre(lab)
    box = Box(lab, centre)
    run = Run(lab, box)
    try:
        run.all(chosen)
    finally:
        box.cut()
        centre.close()
    print(f"{time.monotonic() - started:.0f} s in all; the guest's console is in {lab / 'console.log'}")
    return 1 if run.failed else 0


if __name__ == "__main__":
    sys.exit(main())
