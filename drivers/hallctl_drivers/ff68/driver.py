"""Evaluation pads and caller keypads on RS-485.

Both speak unasked and repeat what they said until the host answers, so the answer is sent only after the signal
is on disk: a citizen is thanked for a rating that can't get lost any more. README.md says how a repeat is told
from a new press, and why such a device's presence is unproven until it has spoken.
"""

from abc import abstractmethod
from collections import Counter

from hallctl.driver import (
    BusLine,
    Connection,
    EvaluationPad,
    EvaluationRequest,
    Health,
    Key,
    Keypad,
    KeyPressed,
    RatingSubmitted,
    Signal,
    StaffCard,
    TerminalContext,
    TerminalDriver,
)
from hallctl.errors import Mismatch, TransportUnavailable
from hallctl_drivers.ff68 import codec
from hallctl_drivers.ff68.codec import Frame
from hallctl_drivers.ff68.config import Ff68Options, KeypadOptions, PadOptions
from hallctl_drivers.ff68.repeats import Kind, Repeats

ADDRESSES = range(1, 256)  # the sources use 1 to 255; in one installation pads are 80 hex + their window


class Ff68Terminal(TerminalDriver):
    """What pads and keypads share: hear, hand on, then answer."""

    def __init__(self, context: TerminalContext, options: Ff68Options, repeat_s: float) -> None:
        self._context = context
        self._options = options
        self._line: BusLine | None = None
        self._repeats = Repeats(repeat_s, options.echo_s)
        self._counts: Counter[str] = Counter()
        self._last_heard: str | None = None
        self._shown: Frame | None = None

    async def start(self, connection: Connection) -> None:
        """The family has no handshake: this proves an open bus; with ``confirms`` the first poll proves more."""
        if not isinstance(connection, BusLine):
            raise Mismatch("an FF 68 device needs a bus and an address", hint="write bus: and address: in hall.yaml")
        if connection.address not in ADDRESSES:
            raise Mismatch(f"{connection.address} is no address of an FF 68 device", hint="addresses are 1 to 255")
        self._line = connection
        connection.check()
        if self._shown is not None:
            await self._put(self._shown)  # the device may have been without power

    async def poll(self) -> Health:
        """Without ``confirms`` only the bus can be asked; whether the device is there is then ``unproven``."""
        line = self._need_line()
        line.check()
        if self._options.confirms:
            await self._put(self._shown or self._idle_frame(line.address), urgent=False)
        return Health(info=self._info())

    async def listen(self) -> None:
        """Hear what the device says, for ever."""
        line = self._need_line()
        while True:
            raw = await line.receive()
            self._last_heard = self._context.clock.now().isoformat(timespec="seconds")
            await self._hear(line, raw, Frame.from_bytes(raw))

    @abstractmethod
    def _signal_of(self, frame: Frame) -> Signal | None:
        """What the frame means to the hall; ``None``: nothing, but the device still gets its answer."""

    @abstractmethod
    def _answer_to(self, frame: Frame) -> Frame | None:
        """The acknowledgement; ``None``: this frame is none that a device sends."""

    @abstractmethod
    def _idle_frame(self, address: int) -> Frame:
        """A harmless frame to ask for a sign of life with."""

    async def _hear(self, line: BusLine, raw: bytes, frame: Frame) -> None:
        answer = self._answer_to(frame)
        kind = self._repeats.judge(raw, self._context.clock.monotonic())
        if answer is None or kind is Kind.ECHO:
            self._counts["ignored"] += 1
            return
        if kind is Kind.FRESH:
            await self._hand_on(frame)
        else:
            self._counts["repeats"] += 1
        self._repeats.said(raw, self._context.clock.monotonic())
        await line.send(answer.to_bytes())
        self._repeats.answered(self._context.clock.monotonic())

    async def _hand_on(self, frame: Frame) -> None:
        signal = self._signal_of(frame)
        if signal is not None:
            await self._context.emit(signal)
            return
        self._counts["unmapped"] += 1
        self._context.log.warning("key without a meaning", terminal=self._context.terminal, data=frame.data.hex(" "))

    async def _put(self, frame: Frame, *, urgent: bool = True) -> None:
        """Send, and where the firmware confirms wait for the same frame. Raises ``TransportTimeout``."""
        line, raw = self._need_line(), frame.to_bytes()
        if not self._options.confirms:
            await line.send(raw, urgent=urgent)
            return
        timeout_s = self._options.reply_timeout_s
        await line.exchange(raw, lambda reply: reply == raw, timeout_s=timeout_s, urgent=urgent)

    def _need_line(self) -> BusLine:
        if self._line is None:
            raise TransportUnavailable(f"{self._context.terminal} has not been started", code="port.opening")
        return self._line

    def _info(self) -> dict[str, object]:
        """``presence``: ``proven`` by an answer to this poll, ``heard`` at some time, or ``unproven``."""
        counts = {name: count for name, count in self._counts.items() if count}
        if self._options.confirms:
            return {"presence": "proven", **counts}
        if self._last_heard is None:
            return {"presence": "unproven", **counts}
        return {"presence": "heard", "last_heard": self._last_heard, **counts}


class Ff68Pad(Ff68Terminal, EvaluationPad):
    """An evaluation pad with four or five keys."""

    def __init__(self, context: TerminalContext, options: PadOptions) -> None:
        super().__init__(context, options, options.repeat_s)
        self._scores = options.scores
        self._staff_digits = options.staff_digits

    async def start_evaluation(self, request: EvaluationRequest) -> None:
        """Show the stars if they are given, then light the keys. From now on every key is a new rating."""
        address = self._need_line().address
        if request.stars is not None:
            self._shown = codec.show_stars(address, request.stars)
            await self._put(self._shown)
        self._repeats.forget()
        await self._put(codec.start_evaluation(address))

    async def show_staff(self, staff: StaffCard | None) -> None:
        """The stars, and the number where the pad has digits for it."""
        if staff is None:
            return
        address = self._need_line().address
        if staff.stars is not None:
            self._shown = codec.show_stars(address, staff.stars)
            await self._put(self._shown, urgent=False)
        if self._staff_digits:
            await self._put(codec.show_number(address, staff.number), urgent=False)

    def _signal_of(self, frame: Frame) -> Signal | None:
        score = self._scores.get(frame.data[0])
        return None if score is None else RatingSubmitted(score)

    def _answer_to(self, frame: Frame) -> Frame | None:
        if frame.command != codec.CMD_RESULT or len(frame.data) != 1:
            return None
        return codec.acknowledge_result(frame)

    def _idle_frame(self, address: int) -> Frame:
        return codec.show_stars(address, 0)


class Ff68Keypad(Ff68Terminal, Keypad):
    """A caller keypad with 21 keys and six digits."""

    def __init__(self, context: TerminalContext, options: KeypadOptions) -> None:
        super().__init__(context, options, options.repeat_s)
        self._keys = options.keys
        self._confirmed = options.confirmed

    async def show_queue(self, waiting: int | None, ticket: str | None) -> None:
        """Three digits for who waits, three for the ticket (its last three digits)."""
        self._shown = codec.show_queue(self._need_line().address, waiting, ticket)
        await self._put(self._shown, urgent=False)  # calls to displays on the same line come first

    async def beep(self) -> bool:
        """One short sound."""
        await self._put(codec.beep(self._need_line().address))
        return True

    def _signal_of(self, frame: Frame) -> Signal | None:
        code, typed = frame.data[-1], frame.data[:-1]
        if any(digit > 9 for digit in typed):
            return None
        argument = "".join(str(digit) for digit in typed)
        if code <= 9:
            return KeyPressed(Key.DIGITS, f"{argument}{code}")
        key = self._keys.get(code)
        if key is Key.CONFIRM and argument in self._confirmed:
            return KeyPressed(self._confirmed[argument])
        return None if key is None else KeyPressed(key, argument)

    def _answer_to(self, frame: Frame) -> Frame | None:
        """The host repeats the frame. What an adapter echoes of our own (digits to show, a beep) is no key."""
        is_ours = frame.command == codec.CMD_SHOW and len(frame.data) == 2 * codec.DIGITS
        if is_ours or not frame.data:
            return None
        return frame

    def _idle_frame(self, address: int) -> Frame:
        return codec.show_queue(address, None, None)
