"""What waits for a turn on a bus: urgent requests first, then the lines in turn, each line's own in order.

Of equally urgent requests those to addresses that answer come first: a dead window must not hold up a call elsewhere.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from hallctl.errors import HallctlError, TerminalBusy

_POLLS = 2  # lanes from here on are not urgent


@dataclass(slots=True, eq=False)
class Request:
    """A frame to send; with ``accept`` the bus is then held until the reply or for ``timeout_s``.

    ``suspect``: the address has not answered lately; the others come first. ``outcome`` gets the reply (``b""`` for a
    frame without one) or the error. ``sent``: it is on the wire, so a frame that arrives from now on may be its reply.
    """

    line: Hashable
    frame: bytes
    urgent: bool
    accept: Callable[[bytes], bool] | None = None
    timeout_s: float = 0.0
    suspect: bool = False
    sent: bool = False
    outcome: "asyncio.Future[bytes]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def succeed(self, reply: bytes) -> None:
        """Settle it, unless its caller has gone."""
        if not self.outcome.done():
            self.outcome.set_result(reply)

    def fail(self, exc: BaseException) -> None:
        """Settle it with an error, unless its caller has gone."""
        if not self.outcome.done():
            self.outcome.set_exception(exc)


class RequestQueue:
    """Bounded. A line with many requests does not delay a line with one."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lanes: tuple[dict[Hashable, deque[Request]], ...] = ({}, {}, {}, {})
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return sum(len(waiting) for lane in self._lanes for waiting in lane.values())

    def put(self, request: Request) -> None:
        """Queue it; raises ``TerminalBusy`` when too many wait."""
        if len(self) >= self._limit:
            raise TerminalBusy(f"{len(self)} requests wait for the bus already", hint="try again in a moment")
        self._lane(request).setdefault(request.line, deque()).append(request)
        self._filled.set()

    async def get(self) -> Request:
        """The next one, waiting for it."""
        while True:
            for lane in self._lanes:
                if lane:
                    return _take_turn(lane)
            self._filled.clear()
            await self._filled.wait()

    def remove(self, request: Request) -> None:
        """Take a request out whose caller has gone; harmless when it is not there."""
        lane = self._lane(request)
        waiting = lane.get(request.line)
        if waiting is None or request not in waiting:
            return
        waiting.remove(request)
        if not waiting:
            del lane[request.line]

    def fail(
        self, error: Callable[[], HallctlError], line: Hashable | None = None, *, polls_only: bool = False
    ) -> None:
        """Fail what waits, of one line or (``None``) of all, each with an error of its own."""
        for lane in self._lanes[_POLLS:] if polls_only else self._lanes:
            for key in [key for key in lane if line is None or key is line]:
                for request in lane.pop(key):
                    request.fail(error())

    def _lane(self, request: Request) -> dict[Hashable, deque[Request]]:
        """In the order of serving: calls, calls of suspects, polls, polls of suspects."""
        return self._lanes[(0 if request.urgent else _POLLS) + request.suspect]


def _take_turn(lane: dict[Hashable, deque[Request]]) -> Request:
    line, waiting = next(iter(lane.items()))
    request = waiting.popleft()
    del lane[line]
    if waiting:
        lane[line] = waiting  # to the end: the other lines come first now
    return request
