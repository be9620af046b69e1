"""Local streams of what the daemon remembers: its last log lines, the newest entries of the event log."""

from collections.abc import AsyncGenerator
from typing import Any

from hallctl.link.payloads import entry_envelope
from hallctl.local import Asked
from hallctl.logs import Recent
from hallctl.outbox import Outbox

NEWEST = 500


class Recollection:
    """Each stream ends when it has told everything."""

    def __init__(self, outbox: Outbox, recent: Recent) -> None:
        self._outbox = outbox
        self._recent = recent

    async def log_lines(self, _asked: Asked) -> AsyncGenerator[dict[str, Any], None]:
        """``recent-log``: one record a line, ``line`` is JSON."""
        for line in self._recent.lines():
            yield {"line": line}

    async def entries(self, _asked: Asked) -> AsyncGenerator[dict[str, Any], None]:
        """``recent-events``: the newest entries as they are published, oldest first, as JSON in ``payload``."""
        last = self._outbox.last_seq
        for entry in await self._outbox.read_range(max(1, last - NEWEST + 1), last, NEWEST):
            yield {"payload": entry_envelope(entry, self._outbox.identity).model_dump_json()}
