"""Evidence on disk, given to the centre in chunks when it asks."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from hallctl.errors import RequestRefused
from hallctl.model import Alert, Evidence, JsonObject

CHUNK = 60_000  # bytes of file in one reply: 80 kB as base64, far below a broker's max_packet_size

Load = Callable[[str], Awaitable[Any]]
Save = Callable[[str, Any], Awaitable[None]]


class EvidenceStore:
    """Knows which file belongs to which alert, over restarts."""

    def __init__(self, load: Load, save: Save) -> None:
        self._load = load
        self._save = save

    async def remember(self, alert: Alert, evidence: tuple[Evidence, ...]) -> None:
        """Keep where an alert's files are; the path never leaves this box."""
        for item in evidence:
            record = {"path": item.path, "size": item.size, "sha256": item.sha256, "media_type": item.media_type}
            await self._save(_key(alert.id, item.kind), record)

    async def chunk(self, alert: str, kind: str, offset: int) -> JsonObject:
        """At most 60 kB of a file from ``offset``. Raises ``RequestRefused`` when there is no such file any more."""
        record = await self._load(_key(alert, kind))
        if record is None:
            raise RequestRefused("evidence.unknown", f"there is no {kind} of alert {alert!r}")
        try:
            data = await asyncio.to_thread(_read, Path(record["path"]), offset)
        except OSError as exc:
            raise RequestRefused(
                "evidence.gone", f"the {kind} of alert {alert!r} is not on disk any more", hint="retention removed it"
            ) from exc
        return {
            "offset": offset,
            "size": record["size"],
            "sha256": record["sha256"],
            "media_type": record["media_type"],
            "data": base64.b64encode(data).decode("ascii"),
            "last": offset + len(data) >= record["size"],
        }


def _key(alert: str, kind: str) -> str:
    return f"evidence:{alert}:{kind}"


def _read(path: Path, offset: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(CHUNK)
