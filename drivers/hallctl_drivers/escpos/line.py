"""A conversation with one printer: questions, answers, and what comes in between."""

import asyncio
from collections.abc import Callable

from hallctl.clock import Clock
from hallctl.errors import Fault, HallctlError, RemoteCodecError, TransportError, TransportTimeout
from hallctl.transport import Transport
from hallctl_drivers.escpos import codec
from hallctl_drivers.escpos.faults import PrinterStatus, from_auto_status, from_queued
from hallctl_drivers.escpos.status import AutoStatus, Frame, Queued, RealTime, StatusDecoder

Accept = Callable[[Frame], bool]


class PrinterLine:
    """One open port with a printer at its end, heard all the time.

    What comes while nothing is asked answers no later question. An automatic status that says something new is news:
    ``on_news`` is called, so that a cover that somebody opens is known at once.
    """

    def __init__(
        self, port: Transport, clock: Clock, reply_timeout_s: float, on_news: Callable[[], None] = lambda: None
    ) -> None:
        self.name = port.name
        self._port = port
        self._clock = clock
        self._reply_timeout_s = reply_timeout_s
        self._on_news = on_news
        self._decoder = StatusDecoder()
        self._heard: asyncio.Queue[Frame | HallctlError] = asyncio.Queue()
        self._asking = False
        self._told: AutoStatus | None = None
        self._gone: TransportError | None = None
        self._hearing = asyncio.create_task(self._hear())  # ends with the port

    async def write(self, data: bytes) -> None:
        """Hand bytes over, however long that takes."""
        await self._port.write(data)

    async def send(self, data: bytes, timeout_s: float) -> None:
        """Hand a ticket over: one that has stopped takes no more once its buffer and the network's are full.

        What the printer says from now on may answer a question within the data: it is kept for the next ``ask``.
        """
        self._asking = True
        try:
            async with self._clock.timeout(timeout_s):
                await self._port.write(data)
        except TimeoutError as exc:
            raise TransportTimeout(f"{self.name}: the printer took no data for {timeout_s:g} s") from exc

    async def ask(
        self, question: bytes, accept: Accept, timeout_s: float | None = None, *, watch: bool = False
    ) -> Frame:
        """Send and wait for the frame that ``accept`` takes. ``watch``: an error told meanwhile is raised as ``Fault``.

        Raises ``TransportTimeout`` when none comes.
        """
        wait_s = timeout_s or self._reply_timeout_s
        self._asking = True
        try:
            async with self._clock.timeout(wait_s):
                if question:
                    await self._port.write(question)
                return await self._next(accept, watch=watch)
        except TimeoutError as exc:
            raise TransportTimeout(f"{self.name}: the printer did not answer within {wait_s:g} s") from exc
        finally:
            self._asking = False

    async def answered(self, question: bytes, accept: Accept, timeout_s: float | None = None) -> bool:
        """Whether the printer answers."""
        try:
            await self.ask(question, accept, timeout_s)
        except TransportTimeout:
            return False
        return True

    async def real_time(self, numbers: tuple[int, ...], *, together: bool = True) -> dict[int, int]:
        """Every ``DLE EOT n``, n to the byte that answers it. ``together``: one way there and back instead of four."""
        if not together:
            return {n: (await self.real_time((n,)))[n] for n in numbers}
        if not numbers:
            return {}
        answers: list[int] = []

        def collect(frame: Frame) -> bool:
            if isinstance(frame, RealTime):
                answers.append(frame.value)
            return len(answers) == len(numbers)

        await self.ask(codec.real_time_status(*numbers), collect)
        return dict(zip(numbers, answers, strict=True))

    async def automatic(self) -> PrinterStatus | None:
        """The automatic status, which the printer repeats when it is switched on again."""
        frame = await self.ask(codec.ASB_ON, lambda found: isinstance(found, AutoStatus))
        return from_auto_status(frame.data) if isinstance(frame, AutoStatus) else None

    async def forget_input(self) -> None:
        """Whatever was said before a question does not answer it."""
        for _ in range(3):  # what the kernel has already is heard first
            await asyncio.sleep(0)
        self._decoder.reset()
        while not self._heard.empty():
            self._heard.get_nowait()

    async def _next(self, accept: Accept, *, watch: bool) -> Frame:
        while True:
            if self._gone is not None and self._heard.empty():
                raise self._gone
            item = await self._heard.get()
            if isinstance(item, HallctlError):
                raise item
            if watch:
                _raise_error(item)
            if accept(item):
                return item

    async def _hear(self) -> None:
        try:
            while True:
                self._decoder.feed(await self._port.read())
                self._take_frames()
        except TransportError as exc:
            self._gone = exc
            self._heard.put_nowait(exc)  # wakes whoever waits for an answer
            self._on_news()

    def _take_frames(self) -> None:
        while True:
            item: Frame | HallctlError | None
            try:
                item = self._decoder.next()
            except RemoteCodecError as exc:
                item = exc
            if item is None:
                return
            news = isinstance(item, AutoStatus) and item != self._told
            if isinstance(item, AutoStatus):
                self._told = item
            if self._asking:
                self._heard.put_nowait(item)
            elif news:
                self._on_news()


def _raise_error(frame: Frame) -> None:
    status = PrinterStatus()
    if isinstance(frame, AutoStatus):
        status = from_auto_status(frame.data)
    elif isinstance(frame, Queued):
        status = from_queued(frame.value)
    if status.error is not None:
        raise Fault(status.error.code, status.error.message, hint=status.error.hint)
