"""The file itself: a tar of scrubbed texts, for its owner's eyes only, there as a whole or not at all."""

import hashlib
import io
import json
import os
import tarfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hallctl.support.scrub import Scrubber

LARGEST_MEMBER = 32 * 1024 * 1024  # the end of a longer one is kept
_ABOUT = """\
What is in here, without secrets:

manifest.json       what was packed, its checksums, what could not be had and why
config/             controller.yaml and hall.yaml; what the centre has the box run
state/              how the box and its terminals are (look.json, retained.jsonl)
diagnose.json       what `hallctl diagnose` says
log/                the unit's journal; the daemon's last lines, from its memory
events.jsonl        the newest entries of the event log
traces/             the last bytes of each terminal: `hallctl trace decode FILE`
system/             versions, USB, ports, disk, clock, network, unit

Secrets are replaced by ***. Texts of tickets and displays, staff names and alerts may be in it: treat it accordingly.
"""


class Archive:
    """``add`` members inside a ``with`` block; the file appears under its name when the block ends well.

    Raises ``OSError`` where it can't be written.
    """

    def __init__(self, path: Path, scrubber: Scrubber) -> None:
        self._path = path
        self._part = path.with_name(path.name + ".part")
        self._scrubber = scrubber
        self._members: dict[str, dict[str, Any]] = {}
        self.problems: list[str] = []

    def __enter__(self) -> Self:
        if self._path.exists():
            raise FileExistsError(17, "it is there already", str(self._path))
        self._part.unlink(missing_ok=True)
        descriptor = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(descriptor, "wb")
        self._tar = tarfile.open(fileobj=self._file, mode="w:gz")  # closed by __exit__
        self.add("README.txt", _ABOUT)
        return self

    def add(self, name: str, text: str | bytes) -> None:
        """A member, scrubbed; of one that is too long the end."""
        data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
        if len(data) > LARGEST_MEMBER:
            self.problems.append(f"{name}: only the last {LARGEST_MEMBER} bytes")
            data = data[-LARGEST_MEMBER:]
        clean = self._scrubber.clean(data)
        self._members[name] = {"bytes": len(clean), "sha256": hashlib.sha256(clean).hexdigest()}
        self._write(name, clean)

    def __exit__(self, kind: type[BaseException] | None, _exc: object, _trace: TracebackType | None) -> None:
        try:
            if kind is None:
                self._write("manifest.json", self._scrubber.clean(self._manifest()))
            self._tar.close()
            self._file.close()
            if kind is None:
                self._part.rename(self._path)
        finally:
            self._file.close()
            self._part.unlink(missing_ok=True)

    def _manifest(self) -> bytes:
        body = {"members": self._members, "problems": self.problems}
        return json.dumps(body, ensure_ascii=False, indent=1).encode() + b"\n"

    def _write(self, name: str, data: bytes) -> None:
        member = tarfile.TarInfo(f"{self._path.name.partition('.tar')[0]}/{name}")
        member.size, member.mtime, member.mode = len(data), int(time.time()), 0o600
        self._tar.addfile(member, io.BytesIO(data))
