"""An ESC/POS printer as a ticket printer: the house's rule is that it never prints a ticket twice by itself.

What a printer can say of itself is probed, never inferred from its identity, because clones lie in ``GS I``. Once the
first byte of a ticket is out, whatever goes wrong is an unknown outcome and nothing is sent again.
"""

import secrets
import string
from collections.abc import Callable

from hallctl.driver import (
    Connection,
    Health,
    PrintJob,
    PrintOutcome,
    PrintState,
    TerminalContext,
    TerminalDriver,
    TicketPrinter,
)
from hallctl.errors import CodecError, Fault, TerminalError, TransportError, TransportTimeout
from hallctl.transport import Transport
from hallctl_drivers.escpos import codec
from hallctl_drivers.escpos.config import EscposOptions
from hallctl_drivers.escpos.faults import PrinterStatus, from_auto_status, from_queued, from_real_time, report
from hallctl_drivers.escpos.status import AutoStatus, Frame, Printed, Queued, RealTime, StatusDecoder

PROBES = 3
PAPER = 4  # the n of DLE EOT that asks for the paper
_IDENT = string.ascii_letters + string.digits


class EscposPrinter(TerminalDriver, TicketPrinter):
    """One printer on a port of its own: TCP 9100, serial, or the kernel's /dev/usb/lp0."""

    def __init__(self, context: TerminalContext, options: EscposOptions) -> None:
        self.poll_every_s = options.poll_every_s
        self._context = context
        self._options = options
        self._transport: Transport | None = None
        self._decoder = StatusDecoder()
        self._answers: tuple[int, ...] = ()  # the n of DLE EOT n that this printer answers
        self._asb = False
        self._confirm: str | None = None  # None: not known yet
        self._probes_failed = 0
        self._fence_owed = False  # a fence of an earlier ticket may still be answered

    async def start(self, connection: Connection) -> None:
        """Reset the printer, and find out what it can say. Raises ``TransportTimeout`` when it says nothing at all."""
        if not isinstance(connection, Transport):
            raise TerminalError("a ticket printer needs a port of its own", hint="write port: tcp://HOST:9100")
        self._transport = connection
        await self._forget_input()
        await self._port().write(codec.INIT)
        self._answers = await self._probe_real_time()
        self._asb = await self._answered(codec.ASB_ON, lambda frame: isinstance(frame, AutoStatus))
        self._confirm = None if self._options.confirm == "auto" else self._options.confirm
        if not self._answers and not self._asb:
            self._accept_silence()

    async def poll(self) -> Health:
        """Ask for the state with ``DLE EOT``; a printer that answered at the start and is silent now is an error."""
        if not self._speaks:
            return Health(info={"paper": "unknown", "replies": False, "confirm": "none"})
        status = await self._status()
        if status.error is None:
            await self._find_confirmation()
        info = {
            "paper": status.paper,
            "replies": True,
            "confirm": self._confirm or "unknown",
            "automatic_status": self._asb,
            "status_queries": list(self._answers),
        }
        return Health(faults=status.reports, info=info)

    async def print_ticket(self, job: PrintJob) -> PrintOutcome:
        """Print, cut, and wait for the printer's word. Raises before anything is sent, or not at all."""
        body = codec.encode_ticket(job.ticket, self._options.style)
        await self._refuse_when_faulty()
        if self._confirm is None:
            await self._find_confirmation()
        if self._fence_owed:
            await self._settle_fence()
        ident = "".join(secrets.choice(_IDENT) for _ in range(4)).encode()
        try:
            await self._send(codec.INIT + (codec.ASB_ON if self._asb else b"") + body)
            return await self._confirmed(ident)
        except TransportTimeout as exc:
            return await self._unknown(exc.message)
        except (TransportError, CodecError, Fault) as exc:
            return PrintOutcome(PrintState.UNKNOWN, reason=exc.message)

    @property
    def _speaks(self) -> bool:
        return bool(self._answers) or self._asb

    def _port(self) -> Transport:
        if self._transport is None:
            raise TerminalError("the printer has not been started")
        return self._transport

    def _accept_silence(self) -> None:
        if self._options.confirm != "none":
            raise TransportTimeout(
                f"{self._port().name}: the printer does not answer",
                hint="is it switched on, and is the serial speed right? set confirm: none where the port "
                "carries no answers",
            )
        self._context.log.warning("printer port carries no answers", terminal=self._context.terminal)

    async def _probe_real_time(self) -> tuple[int, ...]:
        """Some clones leave out n = 2 or 3; asking them again in every poll would only time out."""
        found = [n for n in (1, 2, 3, 4) if await self._answered(codec.real_time_status(n), _is_real_time)]
        return tuple(found)

    async def _find_confirmation(self) -> None:
        """Try ``GS ( H``, then the fence; a printer that is stopped answers neither, so ask only when it is well."""
        if self._confirm is not None:
            return
        ident = b"h0ok"
        if await self._answered(codec.ask_when_printed(ident), lambda frame: frame == Printed(ident)):
            self._confirm = "gs_h"
        elif await self._answered(codec.INIT + codec.FENCE, _is_queued):
            self._confirm = "fence"
        else:
            # A busy printer may have been slow to answer: only one that stays silent confirms nothing.
            self._probes_failed += 1
            self._confirm = "none" if self._probes_failed >= PROBES else None
        await self._port().write(
            codec.INIT + (codec.ASB_ON if self._asb else b"")
        )  # clears what a clone mistook for text

    async def _refuse_when_faulty(self) -> None:
        if not self._speaks:
            return
        error = (await self._status()).error
        if error is not None:
            raise Fault(error.code, error.message, hint=error.hint)

    async def _status(self) -> PrinterStatus:
        """Ask every question that this printer answers; one without ``DLE EOT`` repeats its automatic status."""
        await self._forget_input()
        if not self._answers:
            frame = await self._ask(codec.ASB_ON, lambda found: isinstance(found, AutoStatus))
            return from_auto_status(frame.data) if isinstance(frame, AutoStatus) else PrinterStatus()
        answers = {}
        for n in self._answers:
            frame = await self._ask(codec.real_time_status(n), _is_real_time)
            if isinstance(frame, RealTime):
                answers[n] = frame.value
        status = from_real_time(answers)
        if PAPER not in answers and self._asb:
            automatic = await self._ask(codec.ASB_ON, lambda found: isinstance(found, AutoStatus))
            status = (
                status.with_paper_of(from_auto_status(automatic.data)) if isinstance(automatic, AutoStatus) else status
            )
        return status

    async def _send(self, data: bytes) -> None:
        """A printer that has stopped takes no more once its buffer and the network's are full."""
        timeout_s = self._options.confirm_timeout_s
        try:
            async with self._context.clock.timeout(timeout_s):
                await self._port().write(data)
        except TimeoutError as exc:
            raise TransportTimeout(f"{self._port().name}: the printer took no data for {timeout_s:g} s") from exc

    async def _confirmed(self, ident: bytes) -> PrintOutcome:
        """Wait for the word that the ticket is on paper; a fault on the way is raised as ``Fault``."""
        timeout_s = self._options.confirm_timeout_s
        if self._confirm == "gs_h":
            await self._ask(codec.ask_when_printed(ident), lambda frame: frame == Printed(ident), timeout_s, watch=True)
            return PrintOutcome(PrintState.PRINTED, "gs_h")
        if self._confirm == "fence":
            self._fence_owed = True
            await self._ask(codec.FENCE, _is_queued, timeout_s, watch=True)
            self._fence_owed = False
            await self._refuse_when_faulty()
            return PrintOutcome(PrintState.PRINTED, "fence")
        await self._refuse_when_faulty()
        return PrintOutcome(PrintState.PRINTED)

    async def _settle_fence(self) -> None:
        """Make sure that no fence of an earlier ticket is answered in this one's place.

        A fence carries no name. So one more is sent, and everything that answers is thrown away until the printer has
        been silent for the reply time: fences are answered in order, and nothing is printed between these two. Raises
        ``Fault`` when none is answered: the printer has not finished the earlier ticket.
        """
        if not await self._answered(codec.FENCE, _is_queued, self._options.confirm_timeout_s):
            unsettled = report("printer.unsettled")
            raise Fault(unsettled.code, unsettled.message, hint=unsettled.hint)
        while await self._answered(b"", _is_queued):
            pass
        self._fence_owed = False

    async def _unknown(self, reason: str) -> PrintOutcome:
        """Say why, if the printer still answers."""
        try:
            await self._refuse_when_faulty()
        except Fault as exc:
            reason = exc.message
        except (TransportError, CodecError) as exc:
            reason = f"{reason}; {exc.message}"
        return PrintOutcome(PrintState.UNKNOWN, reason=reason)

    async def _answered(self, question: bytes, accept: Callable[[Frame], bool], timeout_s: float | None = None) -> bool:
        try:
            await self._ask(question, accept, timeout_s)
        except TransportTimeout:
            return False
        return True

    async def _ask(
        self, question: bytes, accept: Callable[[Frame], bool], timeout_s: float | None = None, *, watch: bool = False
    ) -> Frame:
        """Send and wait for the frame that ``accept`` takes. ``watch``: an error told meanwhile is raised."""
        wait_s = timeout_s or self._options.reply_timeout_s
        port = self._port()
        if question:
            await port.write(question)
        try:
            async with self._context.clock.timeout(wait_s):
                return await self._next(accept, watch=watch)
        except TimeoutError as exc:
            raise TransportTimeout(f"{port.name}: the printer did not answer within {wait_s:g} s") from exc

    async def _next(self, accept: Callable[[Frame], bool], *, watch: bool) -> Frame:
        while True:
            frame = self._decoder.next()
            if frame is None:
                self._decoder.feed(await self._port().read())
                continue
            if watch:
                _raise_error(frame)
            if accept(frame):
                return frame

    async def _forget_input(self) -> None:
        """Whatever was said before a question does not answer it."""
        await self._port().drain_input()
        self._decoder.reset()


def _is_queued(frame: Frame) -> bool:
    return isinstance(frame, Queued)


def _is_real_time(frame: Frame) -> bool:
    return isinstance(frame, RealTime)


def _raise_error(frame: Frame) -> None:
    status = PrinterStatus()
    if isinstance(frame, AutoStatus):
        status = from_auto_status(frame.data)
    elif isinstance(frame, Queued):
        status = from_queued(frame.value)
    if status.error is not None:
        raise Fault(status.error.code, status.error.message, hint=status.error.hint)
