"""An ESC/POS printer as a ticket printer: the house's rule is that it never prints a ticket twice by itself.

What a printer can say of itself is probed, never inferred from its identity, because clones lie in ``GS I``. Once the
first byte of a ticket is out, whatever goes wrong is an unknown outcome and nothing is sent again.
"""

import asyncio
import secrets
import string
from dataclasses import replace

from hallctl.driver import (
    Ability,
    Connection,
    Health,
    PrintJob,
    PrintOutcome,
    PrintState,
    TerminalContext,
    TerminalDriver,
    TicketPrinter,
)
from hallctl.errors import (
    CodecError,
    Fault,
    LocalCodecError,
    NothingDone,
    RemoteCodecError,
    TerminalError,
    TransportError,
    TransportTimeout,
)
from hallctl.ticket import SAMPLES, TextLine, Ticket, self_test_ticket
from hallctl.transport import Transport
from hallctl_drivers.escpos import codec
from hallctl_drivers.escpos.config import EscposOptions
from hallctl_drivers.escpos.faults import PrinterStatus, from_real_time, report
from hallctl_drivers.escpos.line import PrinterLine
from hallctl_drivers.escpos.probes import (
    PAPER,
    Voice,
    answers_together,
    fence_answers,
    find_confirmation,
    find_questions,
    is_cleared,
    is_queued,
    is_real_time,
    tells_changes,
    try_out,
)
from hallctl_drivers.escpos.status import Printed
from hallctl_drivers.escpos.style import style_of

PROBES = 3
OLD_ANSWERS = 64  # a printer that says more of them than any tickets asked for is not settled
_IDENT = string.ascii_letters + string.digits


class EscposPrinter(TerminalDriver, TicketPrinter):
    """One printer on a port of its own: TCP 9100, serial, USB, or the kernel's /dev/usb/lp0."""

    def __init__(self, context: TerminalContext, options: EscposOptions) -> None:
        self.poll_every_s = options.poll_every_s
        self.attention = self._news = asyncio.Event()
        self._context = context
        self._options = options
        self._profile = options.resolved
        self._style = style_of(self._profile)
        self._open: PrinterLine | None = None
        self._voice = Voice()
        self._confirm: str | None = None  # None: not known yet
        self._probes_failed = 0
        self._fence_owed = True  # a fence of an earlier ticket may still be answered
        self._flush_owed = True  # half a command of an earlier ticket may wait for its rest
        self._fragment = False  # what an interrupted ticket has printed still hangs on the roll
        self._restart = ""  # why this session can't go on

    async def start(self, connection: Connection) -> None:
        """Find out what the printer can say, and reset it. Raises ``TransportTimeout`` when it says nothing at all."""
        if not isinstance(connection, Transport):
            raise TerminalError("a ticket printer needs a port of its own", hint="write port: tcp://HOST:9100")
        self._open = PrinterLine(connection, self._context.clock, self._options.reply_timeout_s, self._news.set)
        self._restart = ""
        self._confirm = None if self._profile.confirm == "auto" else self._profile.confirm
        self._probes_failed = 0
        self._fence_owed = True  # who knows what an earlier session, or an earlier daemon, has asked
        self._flush_owed = True
        await self._send(codec.END_OF_HEADER)
        self._voice = Voice(await find_questions(self._line))
        if not self._voice or (await self._status()).error is None:
            await self._flush()
        await self._find_voice()
        if not self._voice:
            self._accept_silence()

    async def poll(self) -> Health:
        """Ask for the state with ``DLE EOT``; a printer that answered at the start and is silent now is an error."""
        if self._restart:
            raise TransportTimeout(self._restart)
        if not self._voice:
            return Health(info={"paper": "unknown", "replies": False, "confirm": "none"})
        status = await self._status()
        faults = status.reports
        if status.error is None and not await self._catch_up(self._options.reply_timeout_s):
            faults = (*faults, report("printer.unsettled"))
        info = {
            "paper": status.paper,
            "replies": True,
            "confirm": self._confirm or "unknown",
            "automatic_status": self._voice.automatic,
            "status_queries": list(self._voice.questions),
        }
        return Health(faults=faults, info=info)

    async def print_ticket(self, job: PrintJob) -> PrintOutcome:
        """Print, cut, and wait for the printer's word. Raises before anything is sent, or not at all."""
        body = await self._encoded(job.ticket)
        try:
            await self._get_ready()
        except (TransportError, RemoteCodecError) as exc:
            raise NothingDone(exc.message, code=exc.code, hint=exc.hint) from exc
        if job.expires is not None and self._context.clock.now() >= job.expires:
            raise Fault("command.expired", "the command expired while the printer was got ready; nothing was printed")
        if self._fragment:
            body = self._style.ending + body
        ident = "".join(secrets.choice(_IDENT) for _ in range(4)).encode()
        self._fragment = True
        try:
            # The question goes with the ticket: a printer that is switched off and on loses both, and says nothing.
            await self._send(self._fresh + body + self._question(ident))
            outcome = await self._confirmed(ident)
        except TransportTimeout as exc:
            return PrintOutcome(PrintState.UNKNOWN, reason=await self._why(exc.message))
        except Fault as exc:
            return PrintOutcome(PrintState.UNKNOWN, reason=await self._take_back(exc.message))
        except (TransportError, CodecError) as exc:
            return PrintOutcome(PrintState.UNKNOWN, reason=exc.message)
        self._fragment = False
        return outcome

    def distrust_paper(self) -> None:
        """The next ticket begins with a cut."""
        self._fragment = True

    async def abilities(self) -> tuple[Ability, ...]:
        """Ask for everything that can be asked for; nothing is printed."""
        await self._line.forget_input()
        found = await try_out(self._line, self._voice, self._confirm, self._profile)
        await self._line.write(self._fresh)
        return found

    def self_test_ticket(self, terminal: str) -> Ticket:
        """The self-test in this printer's width; lines that it can't print are left out and named."""
        profile = self._profile
        printable = tuple((name, text) for name, text in SAMPLES if self._can_print(text))
        missing = [name for name, text in SAMPLES if not self._can_print(text)]
        notes = [
            f"profile {self._options.profile}, {profile.encoding}, {profile.paper_width} mm",
            f"confirmed by {self._confirm or 'unknown'}, cut {profile.cut}, QR {profile.qr}",
        ]
        notes += [f"can't print: {', '.join(missing)}"] * bool(missing)
        return self_test_ticket(terminal, self._style.columns, printable, tuple(notes))

    @property
    def _line(self) -> PrinterLine:
        if self._open is None:
            raise TerminalError("the printer has not been started")
        return self._open

    @property
    def _fresh(self) -> bytes:
        """What clears the line and every setting."""
        return codec.INIT + (codec.ASB_ON if self._voice.automatic else b"")

    def _can_print(self, text: str) -> bool:
        try:
            codec.encode_ticket(Ticket((TextLine(text),)), self._style)
        except LocalCodecError:
            return False
        return True

    def _accept_silence(self) -> None:
        if self._profile.confirm != "none":
            raise TransportTimeout(
                f"{self._line.name}: the printer does not answer",
                hint="is it switched on, and is the serial speed right? set confirm: none where the port "
                "carries no answers",
            )
        self._context.log.warning("printer port carries no answers", terminal=self._context.terminal)

    async def _find_confirmation(self) -> None:
        """A busy printer may be slow to answer: only one that stays silent three times in a row confirms nothing."""
        if self._confirm is not None:
            return
        self._confirm = await find_confirmation(self._line)
        if self._confirm is None:
            self._fence_owed = True
            self._probes_failed += 1
            self._confirm = "none" if self._probes_failed >= PROBES else None
        await self._line.write(self._fresh)

    async def _encoded(self, ticket: Ticket) -> bytes:
        """Drawing takes tens of milliseconds, and the first time the import of its libraries: not in the loop."""
        if self._style.encoding is not None and self._style.draw_code is None:
            try:
                return codec.encode_ticket(ticket, replace(self._style, draw_line=None))
            except LocalCodecError:
                if self._style.draw_line is None:
                    raise
        return await asyncio.to_thread(codec.encode_ticket, ticket, self._style)

    async def _send(self, data: bytes) -> None:
        """What the printer has not taken in time must not come out of the port later: that ends the session."""
        try:
            await self._line.send(data, self._options.confirm_timeout_s)
        except TransportTimeout as exc:
            self._restart = exc.message
            self._news.set()
            raise

    async def _get_ready(self) -> None:
        """Everything that can go wrong before the first byte of a ticket."""
        await self._refuse_when_faulty()
        if not self._voice:
            return
        settled = await self._catch_up(self._options.confirm_timeout_s)
        if not settled or self._confirm is None:  # it has not finished the ticket before, and can't confirm this one
            unsettled = report("printer.unsettled")
            raise Fault(unsettled.code, unsettled.message, hint=unsettled.hint)

    async def _catch_up(self, timeout_s: float) -> bool:
        """Do what had to wait until the printer was well; False while it has not finished an earlier ticket."""
        if self._flush_owed:
            await self._flush()
            await self._find_voice()
        await self._find_confirmation()
        return self._confirm != "fence" or not self._fence_owed or await self._settle_fence(timeout_s)

    async def _flush(self) -> None:
        """Complete what an interrupted ticket left half done, reset, and wait until all of that has arrived.

        Behind a serial server the bytes take their time although the port has taken them: a question that is asked
        meanwhile would be answered too late, and its answer taken for the next one's.
        """
        await self._line.send(codec.flush(self._style) + codec.INIT, self._options.confirm_timeout_s)
        if self._voice.questions:
            question = codec.real_time_status(self._voice.questions[0])
            await self._line.ask(question, is_real_time, self._options.confirm_timeout_s)
            await self._line.forget_input()
        self._flush_owed = False

    async def _find_voice(self) -> None:
        questions = self._voice.questions or await find_questions(self._line)
        together = len(questions) > 1 and await answers_together(self._line, questions)
        self._voice = Voice(questions, await tells_changes(self._line), together)

    async def _refuse_when_faulty(self) -> None:
        if not self._voice:
            return
        error = (await self._status()).error
        if error is not None:
            raise Fault(error.code, error.message, hint=error.hint)

    async def _status(self) -> PrinterStatus:
        """Ask every question that this printer answers; one without ``DLE EOT`` repeats its automatic status."""
        await self._line.forget_input()
        answers = await self._line.real_time(self._voice.questions, together=self._voice.together)
        status = from_real_time(answers)
        if PAPER not in answers and self._voice.automatic:
            automatic = await self._line.automatic()
            if automatic is not None:
                return status.with_paper_of(automatic) if answers else automatic
        return status

    def _question(self, ident: bytes) -> bytes:
        """What makes the printer say that everything before it is done."""
        match self._confirm:
            case "gs_h":
                return codec.ask_when_printed(ident)
            case "fence":
                self._fence_owed = True
                return codec.FENCE
        return b""

    async def _confirmed(self, ident: bytes) -> PrintOutcome:
        """Wait for the word that the ticket is on paper; a fault on the way is raised as ``Fault``."""
        timeout_s = self._options.confirm_timeout_s
        if self._confirm == "gs_h":
            await self._line.ask(b"", lambda frame: frame == Printed(ident), timeout_s, watch=True)
            return PrintOutcome(PrintState.PRINTED, "gs_h")
        if self._confirm == "fence":
            await self._line.ask(b"", fence_answers(), timeout_s, watch=True)
            self._fence_owed = False
            await self._refuse_when_faulty()
            return PrintOutcome(PrintState.PRINTED, "fence")
        await self._refuse_when_faulty()
        return PrintOutcome(PrintState.PRINTED)

    async def _settle_fence(self, timeout_s: float) -> bool:
        """Make sure that no fence of an earlier ticket is answered in this one's place.

        A fence carries no name. So one more is sent, and everything that answers is thrown away until the printer has
        been silent for the reply time: fences are answered in order, and nothing is printed between these two. False
        when it is not answered: the printer has not finished the earlier ticket.
        """
        if not await self._line.answered(codec.FENCE, fence_answers(), timeout_s):
            return False
        for _ in range(OLD_ANSWERS):
            if not await self._line.answered(b"", is_queued):
                self._fence_owed = False
                return True
        return False

    async def _why(self, reason: str) -> str:
        """Why the printer fell silent, if it still says so; then the rest of the ticket is taken back."""
        try:
            await self._refuse_when_faulty()
        except Fault as exc:
            return await self._take_back(exc.message)
        except (TransportError, CodecError) as exc:
            return f"{reason}; {exc.message}"
        return reason

    async def _take_back(self, reason: str) -> str:
        """Delete what a stopped printer would print after the repair, when somebody else holds a new ticket already.

        Only printers with ``DLE DC4`` function 8 can; the others keep their buffer, and the reason says so.
        """
        try:
            if await self._line.answered(codec.CLEAR, is_cleared):
                self._fence_owed = False
                return f"{reason}; the rest was deleted from the printer"
        except (TransportError, CodecError) as exc:
            return f"{reason}; {exc.message}"
        return f"{reason}; the printer may print the rest after the repair"
