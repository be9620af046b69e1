"""``log.level``: how much is logged, of everything or of one terminal, for a while; then it is as usual again."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from hallctl.clock import Clock
from hallctl.controller.requests import SetLogLevel, read_request
from hallctl.driver.terminal import Logger
from hallctl.errors import RequestRefused
from hallctl.link.result_data import LogLevelResult
from hallctl.logs import Levels
from hallctl.model import Command


class LogLevelDesk:
    """``later`` runs what nobody waits for; ``known`` names the terminals and buses of the moment."""

    def __init__(
        self,
        levels: Levels,
        known: Callable[[], frozenset[str]],
        later: Callable[[Awaitable[object]], None],
        clock: Clock,
        log: Logger,
    ) -> None:
        self._levels = levels
        self._known = known
        self._later = later
        self._clock = clock
        self._log = log
        self._turns: dict[str, int] = {}

    async def set(self, command: Command) -> LogLevelResult:
        """Carry one command out. Raises ``RequestRefused``."""
        request = read_request(command)
        assert isinstance(request, SetLogLevel)  # noqa: S101  # by its name
        subject = request.terminal or ""
        if subject and subject not in self._known():
            hint = f"known here: {', '.join(sorted(self._known())) or 'none'}"
            raise RequestRefused("terminal.unknown", f"no terminal or bus {subject!r} runs here", hint=hint)
        self._levels.set(subject, request.level)
        turn = self._turns[subject] = self._turns.get(subject, 0) + 1
        until = None
        if request.level is not None:
            until = self._clock.now() + timedelta(seconds=request.for_s)
            self._later(self._end(subject, turn, request.for_s))
        set_to = request.level or "as usual"
        self._log.info("log level set", subject=subject or "everything", to=set_to, until=until)
        return LogLevelResult(terminal=request.terminal, level=self._levels.level(subject), until=until)

    async def _end(self, subject: str, turn: int, seconds: float) -> None:
        """Unless it was set anew meanwhile."""
        await self._clock.sleep(seconds)
        if self._turns.get(subject) == turn:
            self._levels.set(subject, None)
            self._log.info("log level is as usual again", subject=subject or "everything")
