"""The ledger of a small CA: a JSON line for each certificate signed or revoked, on disk before it is given out."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from hallctl.enroll import files
from hallctl.errors import EnrollError


@dataclass(frozen=True, slots=True)
class Entry:
    """One certificate. ``revoked_at``: since when it does not count any more."""

    serial: str
    name: str
    role: str
    fingerprint: str
    not_before: datetime
    not_after: datetime
    at: datetime
    by: str
    certificate: str
    revoked_at: datetime | None = None
    reason: str = ""

    def holds(self, now: datetime) -> bool:
        """Whether it is neither revoked nor out of its dates."""
        return self.revoked_at is None and self.not_before <= now < self.not_after


class Ledger:
    """The file. Two processes may write to it when each holds the authority's lock."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def sign(self, entry: Entry) -> None:
        """Keep a certificate."""
        moments = {name: getattr(entry, name).isoformat() for name in ("not_before", "not_after", "at")}
        plain = {name: getattr(entry, name) for name in ("serial", "name", "role", "fingerprint", "by", "certificate")}
        self._append({"signed": plain | moments})

    def revoke(self, serial: str, at: datetime, by: str, reason: str) -> None:
        """Keep that a certificate does not count any more."""
        self._append({"revoked": {"serial": serial, "at": at.isoformat(), "by": by, "reason": reason}})

    def entries(self) -> list[Entry]:
        """Every certificate that was ever signed, oldest first. Raises ``EnrollError`` with file and line."""
        found: dict[str, Entry] = {}
        for number, line in self._lines():
            try:
                _fold(found, json.loads(line))
            except (ValueError, KeyError, TypeError) as exc:
                raise EnrollError(
                    f"{self._path}:{number}: this line can't be read: {exc!r}",
                    code="enroll.ledger",
                    hint="it was changed by hand: take it from the last backup; nothing is signed until then",
                ) from exc
        return list(found.values())

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        data = files.read(self._path) or b""
        whole = data[: data.rfind(b"\n") + 1]  # behind it: half a line that a crash left; it was never given out
        yield from enumerate(whole.splitlines(), 1)

    def _append(self, line: Mapping[str, Any]) -> None:
        files.append_line(self._path, json.dumps(line, ensure_ascii=False).encode())


def _fold(found: dict[str, Entry], line: dict[str, Any]) -> None:
    if "signed" in line:
        body = line["signed"]
        moments = {name: datetime.fromisoformat(body[name]) for name in ("not_before", "not_after", "at")}
        entry = Entry(**{**body, **moments})
        found[entry.serial] = entry
        return
    body = line["revoked"]
    old = found[body["serial"]]
    found[old.serial] = replace(old, revoked_at=datetime.fromisoformat(body["at"]), reason=str(body["reason"]))
