"""Whose is a frame that came from a bus: the answer that is waited for, another address's own word, or nobody's."""

from collections import Counter
from collections.abc import Mapping

from hallctl.terminal.busline import Line
from hallctl.terminal.deframe import Found
from hallctl.terminal.request import Request


class Sorter:
    """Hands frames on. ``lines`` are the bus's; ``missed`` is the one that has last let the bus wait in vain."""

    def __init__(self, lines: Mapping[tuple[int, int], Line], counts: Counter[str]) -> None:
        self.missed: Line | None = None
        self._lines = lines
        self._counts = counts

    def sort(self, found: Found, current: Request | None, turn: Line | None) -> None:
        """To the request that waits for it, or to the inbox of its address, or to nobody.

        ``turn``: whose answer the bus waits for; its tap has seen these bytes already.
        """
        self._counts["frames_in"] += 1
        address = found.framing.address_of(found.frame)
        waiting = current if current is not None and current.sent else None
        if address is None:
            self._nameless(found, waiting)
            return
        line = self._lines.get((id(found.framing), address))
        if line is None:
            self._counts["unknown_addresses"] += 1
            return
        if line is not turn:
            line.received(found.frame)
        self._named(line, found, waiting)

    def _named(self, line: Line, found: Found, waiting: Request | None) -> None:
        if waiting is None or waiting.line is not line or not _takes(waiting, found):
            if waiting is not None and waiting.accept is not None and waiting.frame == found.frame:
                self._counts["echoes"] += 1  # our own question, heard by an adapter without echo=1: nobody's word
                return
            line.deliver(found.frame)
        line.silence.heard()

    def _nameless(self, found: Found, waiting: Request | None) -> None:
        """An answer that names nobody is its asker's, or the late word of the one that was last waited for in vain."""
        if waiting is not None and isinstance(waiting.line, Line) and _takes(waiting, found):
            waiting.line.silence.heard()
            return
        self._counts["unknown_addresses"] += 1
        if self.missed is not None and self.missed.framing is found.framing:
            self.missed.silence.heard()
            self.missed = None


def _takes(request: Request, found: Found) -> bool:
    line = request.line
    if request.accept is None or request.outcome.done() or not isinstance(line, Line):
        return False
    if line.framing is not found.framing:
        return False
    try:
        wanted = request.accept(found.frame)
    except Exception as exc:  # noqa: BLE001  # a vendor's accept may raise anything; it belongs to its own terminal
        request.fail(exc)
        return True
    if wanted:
        request.succeed(found.frame)
    return wanted
