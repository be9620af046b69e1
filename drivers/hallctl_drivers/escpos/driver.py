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
from hallctl_drivers.escpos.faults import report
from hallctl_drivers.escpos.probes import try_out
from hallctl_drivers.escpos.session import PrinterSession
from hallctl_drivers.escpos.style import style_of

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
        self._open: PrinterSession | None = None
        self._fragment = False  # what an interrupted ticket has printed still hangs on the roll

    async def start(self, connection: Connection) -> None:
        """Find out what the printer can say, and reset it. Raises ``TransportTimeout`` when it says nothing at all."""
        if not isinstance(connection, Transport):
            raise TerminalError("a ticket printer needs a port of its own", hint="write port: tcp://HOST:9100")
        self._open = PrinterSession(self._context, self._options, self._style, connection, self._news.set)
        await self._open.begin()

    async def poll(self) -> Health:
        """Ask for the state with ``DLE EOT``; a printer that answered at the start and is silent now is an error."""
        session = self._session
        if session.broken:
            raise TransportTimeout(session.broken)
        if not session.voice:
            return Health(info={"paper": "unknown", "replies": False, "confirm": "none"})
        status = await session.status()
        faults = status.reports
        if status.error is None and not await session.catch_up(self._options.reply_timeout_s):
            faults = (*faults, report("printer.unsettled"))
        info = {
            "paper": status.paper,
            "replies": True,
            "confirm": session.confirm or "unknown",
            "automatic_status": session.voice.automatic,
            "status_queries": list(session.voice.questions),
        }
        return Health(faults=faults, info=info)

    async def print_ticket(self, job: PrintJob) -> PrintOutcome:
        """Print, cut, and wait for the printer's word. Raises before anything is sent, or not at all."""
        session, body = self._session, await self._encoded(job.ticket)
        try:
            await session.get_ready()
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
            await session.send(session.fresh + body + session.question(ident))
            outcome = await session.confirmed(ident)
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
        session = self._session
        await session.line.forget_input()
        confirms = await session.still_confirms()
        found = await try_out(session.line, session.voice, session.confirm, confirms, self._profile)
        await session.line.write(session.fresh)
        return found

    def self_test_ticket(self, terminal: str) -> Ticket:
        """The self-test in this printer's width; lines that it can't print are left out and named."""
        profile = self._profile
        printable = tuple((name, text) for name, text in SAMPLES if self._can_print(text))
        missing = [name for name, text in SAMPLES if not self._can_print(text)]
        notes = [
            f"profile {self._options.profile}, {profile.encoding}, {profile.paper_width} mm",
            f"confirmed by {(self._open and self._open.confirm) or 'unknown'}, cut {profile.cut}, QR {profile.qr}",
        ]
        notes += [f"can't print: {', '.join(missing)}"] * bool(missing)
        return self_test_ticket(terminal, self._style.columns, printable, tuple(notes))

    @property
    def _session(self) -> PrinterSession:
        if self._open is None:
            raise TerminalError("the printer has not been started")
        return self._open

    def _can_print(self, text: str) -> bool:
        try:
            codec.encode_ticket(Ticket((TextLine(text),)), self._style)
        except LocalCodecError:
            return False
        return True

    async def _encoded(self, ticket: Ticket) -> bytes:
        """Drawing takes tens of milliseconds, and the first time the import of its libraries: not in the loop."""
        if self._style.encoding is not None and self._style.draw_code is None:
            try:
                return codec.encode_ticket(ticket, replace(self._style, draw_line=None))
            except LocalCodecError:
                if self._style.draw_line is None:
                    raise
        return await asyncio.to_thread(codec.encode_ticket, ticket, self._style)

    async def _why(self, reason: str) -> str:
        """Why the printer fell silent, if it still says so; then the rest of the ticket is taken back."""
        try:
            await self._session.refuse_when_faulty()
        except Fault as exc:
            return await self._take_back(exc.message)
        except (TransportError, CodecError) as exc:
            return f"{reason}; {exc.message}"
        if self._profile.confirm in ("gs_h", "fence"):
            return f"{reason}; if every ticket ends so, set confirm: auto: it can't do {self._profile.confirm}"
        return reason

    async def _take_back(self, reason: str) -> str:
        """Delete what a stopped printer would print after the repair, when somebody else holds a new ticket already.

        Only printers with ``DLE DC4`` function 8 can; the others keep their buffer, and the reason says so.
        """
        try:
            if await self._session.clear():
                return f"{reason}; the rest was deleted from the printer"
        except (TransportError, CodecError) as exc:
            return f"{reason}; {exc.message}"
        return f"{reason}; the printer may print the rest after the repair"
