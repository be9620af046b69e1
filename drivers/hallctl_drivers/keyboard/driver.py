"""Pads and keypads that are keyboards.

Such a device says a key once and waits for no answer. So what was pressed is kept here, in order, until it is on disk:
also while the disk is slow or full, and over a lost port.
"""

import asyncio
from abc import abstractmethod
from collections import Counter, deque
from collections.abc import Coroutine
from typing import Any

from hallctl.driver import (
    Connection,
    EvaluationPad,
    EvaluationRequest,
    Health,
    Keypad,
    KeyPressed,
    RatingSubmitted,
    Signal,
    TerminalContext,
    TerminalDriver,
)
from hallctl.errors import HallctlError, TerminalError
from hallctl.transport import Transport
from hallctl_drivers.keyboard.codec import KeyDecoder, Press
from hallctl_drivers.keyboard.config import KeyboardKeypadOptions, KeyboardOptions, KeyboardPadOptions
from hallctl_drivers.keyboard.keys import DIGITS, NAMES

WAITING_LIMIT = 256
AGAIN_S = 1.0
TYPED_AGAIN_S = 0.04  # a bouncing contact is over within 20 ms


class Keyboard(TerminalDriver):
    """What pads and keypads share: hear, keep, hand on."""

    poll_every_s = 10.0

    def __init__(self, context: TerminalContext, options: KeyboardOptions) -> None:
        self._context = context
        self._options = options
        self._port: Transport | None = None
        self._decoder = KeyDecoder()
        self._waiting: deque[Signal] = deque()
        self._news = asyncio.Event()
        self._counts: Counter[str] = Counter()
        self._last: Press | None = None
        self._last_heard: str | None = None
        self._unmapped: str | None = None
        self._refused = False

    async def start(self, connection: Connection) -> None:
        """The open port is all there is to know: a keyboard answers no question."""
        if not isinstance(connection, Transport):
            raise TerminalError("a keyboard needs a port of its own", hint="write port: input:///dev/input/by-id/...")
        self._port = connection
        self._decoder.reset()

    async def poll(self) -> Health:
        """An unplugged keyboard is noticed while listening; here is what is known of it."""
        counts = {name: count for name, count in self._counts.items() if count}
        heard = {"last_heard": self._last_heard} if self._last_heard else {}
        name = getattr(self._port, "device_name", "")
        dropped = {"dropped": self._decoder.dropped} if self._decoder.dropped else {}
        unmapped = {"unmapped_key": self._unmapped} if self._unmapped else {}
        return Health(info={**({"device": name} if name else {}), **counts, **dropped, **heard, **unmapped})

    async def listen(self) -> None:
        """Hear keys for ever; whatever was heard is handed on, in order, one after another."""
        hearing = asyncio.create_task(self._hear())
        try:
            while True:
                self._news.clear()
                on_disk = await self._hand_on()
                if hearing.done():  # the port is lost: what still waits is handed on by the next session
                    hearing.result()
                again = self._news.wait() if on_disk else self._context.clock.sleep(AGAIN_S)
                await _first(hearing, again)
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)

    @abstractmethod
    def _signal_of(self, name: str, at: float) -> Signal | None:
        """What a key that was pressed ``at`` means to the hall now; ``None``: nothing."""

    def _bounces_s(self, _name: str) -> float:
        """How soon the same key again is none."""
        return self._options.repeat_s

    async def _hear(self) -> None:
        if self._port is None:
            raise TerminalError("the keyboard has not been started")
        while True:
            for press in self._decoder.feed(await self._port.read()):
                self._pressed(press)

    def _pressed(self, press: Press) -> None:
        self._last_heard = self._context.clock.now().isoformat(timespec="seconds")
        name = NAMES.get(press.code, str(press.code))
        if self._is_bounce(press, name):
            self._counts["bounces"] += 1
            return
        self._counts["keys"] += 1
        signal = self._signal_of(name, press.at)
        if signal is not None:
            self._keep(signal, name)

    def _is_bounce(self, press: Press, name: str) -> bool:
        """By the kernel's times: keys that are read late, and all at once, are as far apart as they were."""
        before, self._last = self._last, press
        if before is None or before.code != press.code:
            return False
        return 0 <= press.at - before.at < self._bounces_s(name)

    def _keep(self, signal: Signal, name: str) -> None:
        if len(self._waiting) >= WAITING_LIMIT:
            self._counts["overflow"] += 1
            self._context.log.warning("key lost: too many wait for the disk", terminal=self._context.terminal, key=name)
            return
        self._waiting.append(signal)
        self._news.set()

    def _means_nothing(self, name: str) -> None:
        """Nobody else hears a key that is grabbed, so this is where a technician finds its name."""
        self._counts["unmapped"] += 1
        self._unmapped = name

    async def _hand_on(self) -> bool:
        """Whether all that waited is on disk; the first one that is not stays the first."""
        while self._waiting:
            try:
                await self._context.emit(self._waiting[0])
            except HallctlError as exc:
                if not self._refused:
                    self._context.log.warning("key not kept yet", terminal=self._context.terminal, why=exc.message)
                self._refused = True
                return False
            self._refused = False
            self._waiting.popleft()
        return True


async def _first(hearing: "asyncio.Task[None]", other: Coroutine[Any, Any, object]) -> None:
    waiting = asyncio.create_task(other)
    try:
        await asyncio.wait((hearing, waiting), return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()


class KeyboardPad(Keyboard, EvaluationPad):
    """An evaluation pad; it has no lamps, so that only the hall knows when a rating is asked for."""

    def __init__(self, context: TerminalContext, options: KeyboardPadOptions) -> None:
        super().__init__(context, options)
        self._scores = options.scores
        self._only_when_asked = options.only_when_asked
        self._asked: EvaluationRequest | None = None
        self._ends_at = 0.0

    async def start_evaluation(self, request: EvaluationRequest) -> None:
        """From now on a key is a rating."""
        self._asked = request
        self._ends_at = self._context.clock.monotonic() + request.timeout_s
        self._last = None  # the next citizen's equal key is no bouncing contact

    async def end_evaluation(self) -> None:
        """From now on it is none."""
        self._asked = None

    def _signal_of(self, name: str, at: float) -> Signal | None:  # noqa: ARG002  # a rating has no digits before it
        score = self._scores.get(name)
        if score is None:
            self._means_nothing(name)
            return None
        asked, self._asked = self._asked, None
        if asked is not None and self._context.clock.monotonic() >= self._ends_at:
            asked = None
        if asked is None and self._only_when_asked:
            self._counts["unasked"] += 1
            return None
        return RatingSubmitted(score, request=asked.id, ticket=asked.ticket) if asked else RatingSubmitted(score)


class KeyboardKeypad(Keyboard, Keypad):
    """A caller keypad: digits, then a key that means something."""

    def __init__(self, context: TerminalContext, options: KeyboardKeypadOptions) -> None:
        super().__init__(context, options)
        self._keys = options.keys
        self._digits_s = options.digits_s
        self._typed = ""
        self._typed_at = 0.0

    async def show_queue(self, waiting: int | None, ticket: str | None) -> None:
        """A keyboard shows nothing."""

    def _bounces_s(self, name: str) -> float:
        """A ticket may have two equal digits, and clerks type fast."""
        typing = name in DIGITS or name == "KEY_BACKSPACE"
        return min(TYPED_AGAIN_S, self._options.repeat_s) if typing else self._options.repeat_s

    def _signal_of(self, name: str, at: float) -> Signal | None:
        if not 0 <= at - self._typed_at <= self._digits_s:
            self._typed = ""
        self._typed_at = at
        if (key := self._keys.get(name)) is not None:
            typed, self._typed = self._typed, ""
            return KeyPressed(key, typed)
        if name in DIGITS:
            self._typed = (self._typed + DIGITS[name])[-16:]
        elif name == "KEY_BACKSPACE":
            self._typed = self._typed[:-1]
        else:
            self._means_nothing(name)
        return None
