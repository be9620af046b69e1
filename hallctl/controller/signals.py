"""Keys and ratings: committed before the device is thanked, acted upon afterwards."""

from collections.abc import Awaitable, Callable

from hallctl.clock import Clock
from hallctl.controller.executor import Commit, Executor, Later
from hallctl.driver import KeyPressed, RatingSubmitted, Signal
from hallctl.hall import Hall, Plan
from hallctl.model import EventType


class SignalDesk:
    """What terminals say of their own accord, turned into facts and acts. ``later`` runs what nobody waits for."""

    def __init__(
        self,
        hall: Hall,
        executor: Executor,
        commit: Commit,
        clock: Clock,
        *,
        later: Later,
        on_window: Callable[[str], Awaitable[None]],
        changed: Callable[[], None],
    ) -> None:
        self._hall = hall
        self._executor = executor
        self._commit = commit
        self._clock = clock
        self._later = later
        self._on_window = on_window
        self._changed = changed

    async def take(self, terminal: str, signal: Signal) -> None:
        """Take a signal in; when this returns it is on disk."""
        if isinstance(signal, RatingSubmitted) and self._hall.has_taken(signal):
            return
        plan = self._decide(terminal, signal)
        await self._commit(plan.events[0])
        if isinstance(signal, RatingSubmitted):
            self._hall.taken(signal)
        self._changed()
        rest = Plan(plan.shows, plan.asks, plan.events[1:], plan.notes)
        if rest != Plan():
            self._later(self._act(rest))

    def _decide(self, terminal: str, signal: Signal) -> Plan:
        match signal:
            case KeyPressed():
                return self._hall.pressed(terminal, signal, self._clock.now())
            case RatingSubmitted():
                return self._hall.rated(terminal, signal, self._clock.now())

    async def _act(self, plan: Plan) -> None:
        for event in plan.events:
            if event.type is EventType.WINDOW_CHANGED:
                await self._on_window(event.data["window"])
        await self._executor.carry_out(plan)
