"""Files of clips: one that grows, what becomes of it when it ends or breaks off, and what is told when it can't be."""

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from hallctl.errors import HallctlError

PART = ".part"
INDEX_BYTES, INDEX_BYTES_A_PICTURE = 8192, 40  # more than an MP4's index takes: what is left over stays empty
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class NoSpace(HallctlError):
    """The disk for evidence is full."""

    code = "evidence.disk_full"


class ClipLost(HallctlError):
    """A clip can't be taken or kept."""

    code = "evidence.failed"


@dataclass(frozen=True, slots=True)
class Taken:
    """A finished clip: bytes, sha256 (hex), and the wall times (seconds of the epoch) of its first and last picture."""

    path: Path
    size: int
    sha256: str
    covers: tuple[float, float]


class GrowingFile:
    """The growing file. Its own class because errors of the disk must come out as they are, not as FFmpeg's."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "wb", buffering=0)
        self._broken: OSError | None = None

    def __enter__(self) -> "GrowingFile":
        return self

    def __exit__(self, *_exc: object) -> None:
        self._file.close()
        if self._broken is not None:
            raise self._broken

    def write(self, data: bytes) -> int:
        """All of it, or an error."""
        view = memoryview(data)
        try:
            while view:
                view = view[self._file.write(view) or 0 :]
        except OSError as exc:
            self._broken = exc
            raise
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        """As of any file."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """As of any file."""
        return self._file.tell()

    def sync(self) -> None:
        """What was written survives a power cut."""
        os.fsync(self._file.fileno())


def finished(part: Path, path: Path, covers: tuple[float, float]) -> Taken:
    """The grown file as an ordinary MP4 under its name; as it has grown where there is no room for a second one."""
    whole = path.with_name(path.name + ".whole" + PART)
    try:
        _remux(part, whole)
        part.unlink()
    except (OSError, av.FFmpegError):
        whole.unlink(missing_ok=True)
        whole = part
    return Taken(path, *sealed(whole, path), covers)


def salvaged(part: Path, path: Path) -> Taken | None:
    """What a clip that was broken off has: whole under its name, or ``None`` when it has no picture."""
    stamps: list[float] = []
    began = 0.0
    try:
        with av.open(str(part)) as source:
            began = float(json.loads(source.metadata["comment"])["from"])
            stamps = [float(packet.pts * packet.time_base) for packet in _packets(source) if packet.pts is not None]
    except (av.InvalidDataError, av.EOFError, ValueError, KeyError, IndexError):
        pass  # broken off before the first picture
    if not stamps:
        part.unlink(missing_ok=True)
        return None
    return finished(part, path, (began, began + max(stamps) - min(stamps)))


def sealed(part: Path, path: Path) -> tuple[int, str]:
    """Give a finished file its name, on disk for good; its size and sha256."""
    digest, size = hashlib.sha256(), 0
    with part.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            size += len(block)
        os.fsync(file.fileno())
    part.chmod(0o600)
    part.replace(path)
    return size, digest.hexdigest()


def explained(exc: Exception) -> HallctlError:
    """What went wrong, in the technician's words."""
    if isinstance(exc, HallctlError):
        return exc
    if isinstance(exc, OSError) and exc.errno in _FULL:
        return NoSpace(
            "the disk for evidence is full",
            hint="make room, or lower limits.evidence_mib in controller.yaml; everything else runs on",
        )
    return ClipLost(f"the clip can't be written: {getattr(exc, 'strerror', None) or exc}", hint="check the disk")


def _remux(part: Path, whole: Path) -> None:
    """Copy the packets into a file with its index in front. Through our own file, because FFmpeg's stays open, and the
    disk full, when its last write fails."""
    with av.open(str(part)) as source:
        count = sum(1 for _ in _packets(source))
    index = {"moov_size": str(INDEX_BYTES + INDEX_BYTES_A_PICTURE * count)}
    with (
        av.open(str(part)) as source,
        GrowingFile(whole) as file,
        av.open(file, "w", format="mp4", options=index) as out,
    ):
        out.metadata.update(source.metadata)
        target = out.add_stream_from_template(source.streams.video[0])
        for packet in _packets(source):
            packet.stream = target
            out.mux(packet)


def _packets(source: Any) -> Iterator[Any]:
    """Every whole packet of a file that may end in the middle of one."""
    with contextlib.suppress(av.InvalidDataError):
        for packet in source.demux(source.streams.video[0]):
            if packet.size and packet.dts is not None and not packet.is_corrupt:
                yield packet
