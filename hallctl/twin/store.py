"""The twin's files: documents by their hash, and one record. Whatever the power does, the old or the new one is there.

Every file is written aside, fsynced and renamed; behind the rename of a record its folder is fsynced. The rename of the
record is the one moment at which a change happens. A document is there before a record names it; a file system that
kept the later rename and lost the earlier one would give a record without its document: then the last good one runs,
and the centre's comes again (``beginning``). Only the owner can read the files.
"""

import contextlib
import json
import os
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from hallctl.errors import TwinError
from hallctl.link.configuration import document_hash
from hallctl.twin.record import Record, decode, encode

TWIN_FOLDER = "twin"
RECORD = "twin.json"
BEFORE = "twin.json.before"
"""The record that was replaced last: what a damaged one is replaced with."""
_OURS = re.compile(r"^(?P<hash>[0-9a-f]{64})\.json(\.new)?$")


class Step(StrEnum):
    """A write of a change of the document."""

    STAGE = "stage"  # the document itself
    SWAP = "swap"  # it is on trial
    COUNT = "count"  # one more boot of it
    KEEP = "keep"
    BACK = "back"
    NOTE = "note"  # what runs already has a new version
    REJECT = "reject"


APPLIED, BACK_APPLIED = "apply.done", "back.applied"
CHECKPOINTS = (
    *(f"{step}.{what}" for step in Step for what in ("written", "synced", "renamed", "done")),
    APPLIED,
    BACK_APPLIED,
)
"""Everything that ``Checkpoint`` is called with."""

Checkpoint = Callable[[str], None]
"""Called with the name of a step that was just done. Tests end the process here; otherwise it does nothing."""


def no_checkpoint(_step: str) -> None:
    """What runs in production."""


class TwinStore:
    """``state_dir/twin``. Methods block, and raise ``TwinError`` when the disk refuses."""

    def __init__(self, folder: Path, checkpoint: Checkpoint = no_checkpoint) -> None:
        self.folder = folder
        self.checkpoint = checkpoint
        self._writing = threading.Lock()  # a document may be staged while another change clears up

    def load(self) -> tuple[Record, str]:
        """The record, and what was wrong with it: a damaged one is set aside, and the one before it taken."""
        try:
            data = (self.folder / RECORD).read_bytes()
        except FileNotFoundError:
            return Record(), ""
        except OSError as exc:
            raise self._refused(exc) from exc
        try:
            return decode(data), ""
        except ValueError as exc:
            aside = self._set_aside(self.folder / RECORD)
            return self._before(), f"the record {self.folder / RECORD} is damaged: {exc}; it is kept as {aside.name}"

    def _before(self) -> Record:
        try:
            return decode((self.folder / BEFORE).read_bytes())
        except (OSError, ValueError):
            return Record()

    def peek(self) -> Record:
        """The record, without touching anything. Raises ``TwinError`` where it is damaged or may not be read."""
        try:
            return decode((self.folder / RECORD).read_bytes())
        except FileNotFoundError:
            return Record()
        except (OSError, ValueError) as exc:
            raise self._refused(exc) from exc

    def save(self, record: Record, step: Step) -> None:
        """Replace the record; ``step`` names the change for checkpoints. On disk when this returns."""
        self._write(self.folder / RECORD, encode(record), step)

    def save_document(self, hash_: str, document: Mapping[str, Any]) -> None:
        """Keep a document under its hash. Its content is on disk when this returns, its name with the next record."""
        data = json.dumps(document, ensure_ascii=False, allow_nan=False).encode("utf-8", "surrogatepass")
        self._write(self._place(hash_), data, Step.STAGE)

    def has_document(self, hash_: str) -> bool:
        """Whether a document is kept, damaged or not."""
        return self._place(hash_).exists()

    def document(self, hash_: str) -> dict[str, Any]:
        """A document that was kept. Raises ``TwinError`` when it is absent or damaged."""
        try:
            document = json.loads(self._place(hash_).read_bytes().decode("utf-8", "surrogatepass"))
            if isinstance(document, dict) and document_hash(document) == hash_:
                return document
        except OSError as exc:
            raise TwinError(f"the document {hash_[:12]} can't be read: {exc}", code="document.damaged") from exc
        except ValueError:
            pass
        raise TwinError(f"the document {hash_[:12]} is damaged", code="document.damaged", hint="push it again")

    def set_document_aside(self, hash_: str) -> None:
        """Get a damaged document out of the way; nothing is deleted."""
        if self._place(hash_).exists():
            self._set_aside(self._place(hash_))

    def remove_others(self, needed: Iterable[str]) -> None:
        """Remove documents that nothing names any more, and what a killed daemon left half written."""
        keep = {f"{hash_}.json" for hash_ in needed}
        with self._writing, contextlib.suppress(OSError):  # what is left over harms nobody; the next change tries again
            for path in self.folder.iterdir():
                if path.name not in keep and (_OURS.match(path.name) or path.name == f"{RECORD}.new"):
                    path.unlink()

    def _place(self, hash_: str) -> Path:
        return self.folder / f"{hash_}.json"

    def _write(self, path: Path, data: bytes, step: Step) -> None:
        with self._writing:
            try:
                self._make_folder()
                self._replace(path, data, step)
            except OSError as exc:
                raise self._refused(exc) from exc
        self.checkpoint(f"{step}.done")

    def _replace(self, path: Path, data: bytes, step: Step) -> None:
        aside = path.with_name(path.name + ".new")
        number = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(number, "wb") as file:
            file.write(data)
            file.flush()
            self.checkpoint(f"{step}.written")
            os.fsync(file.fileno())
        self.checkpoint(f"{step}.synced")
        if path.name == RECORD:
            self._keep_the_one_before()
        aside.replace(path)
        self.checkpoint(f"{step}.renamed")
        if path.name == RECORD:  # one flush of the folder is enough for the document, too
            self._sync(self.folder)

    def _keep_the_one_before(self) -> None:
        """Another name for it, where the file system can: no copy, and the record itself is never absent."""
        with contextlib.suppress(OSError):
            (self.folder / BEFORE).unlink(missing_ok=True)
            (self.folder / BEFORE).hardlink_to(self.folder / RECORD)

    def _make_folder(self) -> None:
        if not self.folder.is_dir():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._sync(self.folder.parent)

    @staticmethod
    def _sync(folder: Path) -> None:
        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(number)
        finally:
            os.close(number)

    def _set_aside(self, path: Path) -> Path:
        number = sum(1 for _ in self.folder.glob(f"{path.name}.damaged-*")) + 1
        aside = path.with_name(f"{path.name}.damaged-{number}")
        try:
            path.rename(aside)
        except OSError as exc:
            raise self._refused(exc) from exc
        return aside

    def _refused(self, exc: Exception) -> TwinError:
        hint = "check free space (df) and the owner of the state directory"
        return TwinError(f"{self.folder} can't be used: {exc}", hint=hint)
