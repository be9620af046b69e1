"""Interim."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hallctl.clock import Clock
from hallctl.config import LoadedHall, parse_hall
from hallctl.driver.hallcheck import check_hall
from hallctl.errors import LinkError
from hallctl.link.configuration import ApplyStatus, Desired, Mistake, Reported, document_hash, read_desired
from hallctl.model import TerminalStatus
from hallctl.twin.floor import Floor


class Twin:
    """Interim."""

    def __init__(self, folder: Path, own: dict[str, Any], clock: Clock, boot: int, publish: Callable[[Reported], None]):
        self._file = folder / "interim.json"
        self._clock, self._boot, self._publish = clock, boot, publish
        self._queue: asyncio.Queue[Desired] = asyncio.Queue()
        record = json.loads(self._file.read_text()) if self._file.exists() else {}
        self.on_trial = bool(record.get("trial"))
        self.document = record.get("document", own)
        self._version = record.get("version", 0)
        self._known = record.get("known", (0, ""))
        self._bad = record.get("bad", "")
        self.reported = self._report(ApplyStatus.APPLIED, record.get("known", (0, ""))[0], "")
        if self.on_trial:
            crashed, self.document = self.document, record["old"]
            self._bad = document_hash(crashed)
            mistake = Mistake(code="crash", message="the daemon died of it")
            self.reported = self._report(ApplyStatus.ROLLED_BACK, self._known[0], self._known[1], [mistake])
            self._version = record["old_version"]
            self._save()

    @property
    def hall(self) -> LoadedHall:
        return check_hall(parse_hall(self.document))

    def start(self, floor: Floor) -> None:
        self._floor = floor
        self._publish(self.reported)

    async def take(self, payload: bytes) -> None:
        try:
            desired = read_desired(payload)
        except LinkError:
            return
        if (desired.version, desired.hash) == tuple(self._known):
            self._publish(self.reported)
        elif desired.version > self._known[0]:
            self._queue.put_nowait(desired)

    async def run(self) -> None:
        while True:
            desired = await self._queue.get()
            self._known = (desired.version, desired.hash)
            await self._try(desired)
            self._save()
            self._publish(self.reported)

    async def _try(self, desired: Desired) -> None:
        version, hash_ = desired.version, desired.hash
        if hash_ == document_hash(self.document):
            self._version = version
            self.reported = self._report(ApplyStatus.APPLIED, version, hash_)
            return
        hall = check_hall(parse_hall(desired.document))
        if hall.fatal:
            errors = [Mistake(pointer=p.pointer, code=p.code, message=p.message) for p in hall.problems]
            self.reported = self._report(ApplyStatus.REJECTED, version, hash_, errors)
            return
        old, old_version = self.document, self._version
        self.document, self._version = desired.document, version
        self._save(trial={"trial": True, "old": old, "old_version": old_version})
        self._publish(self._report(ApplyStatus.APPLYING, version, hash_))
        changed = await self._floor.apply(hall)
        down = [n for n, s in self._floor.states().items() if s.status is not TerminalStatus.ONLINE]
        lost = [n for n in down if n in changed.restarted]
        if len(lost) > desired.health.max_lost:
            self.document, self._version = old, old_version
            await self._floor.apply(check_hall(parse_hall(old)))
            errors = [
                Mistake(pointer="/terminals/0", code="port.absent", message=f"{n}: its port is not there") for n in lost
            ]
            self.reported = self._report(ApplyStatus.ROLLED_BACK, version, hash_, errors)
            return
        errors = [Mistake(code="port.absent", message=f"{n}: its port is not there") for n in down]
        status = ApplyStatus.PARTIAL if down else ApplyStatus.APPLIED
        self.reported = self._report(status, version, hash_, errors)

    def _report(self, status: ApplyStatus, version: int, hash_: str, errors: list[Mistake] | None = None) -> Reported:
        return Reported(
            boot=self._boot,
            at=self._clock.now(),
            status=status,
            desired_version=version,
            desired_hash=hash_,
            applied_version=self._version,
            applied_hash=document_hash(self.document),
            errors=errors or [],
        )

    def _save(self, trial: dict[str, Any] | None = None) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        record = {"document": self.document, "version": self._version, "known": self._known, **(trial or {})}
        self._file.write_text(json.dumps(record))
