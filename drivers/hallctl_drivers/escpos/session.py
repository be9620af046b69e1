"""One session with a printer: what it can say, and what has to be caught up before it can be trusted with a ticket."""

from collections.abc import Callable

from hallctl.driver import PrintOutcome, PrintState, TerminalContext
from hallctl.errors import Fault, TransportTimeout
from hallctl.transport import Transport
from hallctl_drivers.escpos import codec
from hallctl_drivers.escpos.codec import Style
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
    still_confirms,
    tells_changes,
)
from hallctl_drivers.escpos.status import Printed

PROBES = 3
OLD_ANSWERS = 64  # a printer that says more of them than any tickets asked for is not settled


class PrinterSession:
    """From opening a port to losing it. ``confirm``: gs_h, fence, none, or ``None`` while it is not known yet."""

    def __init__(
        self,
        context: TerminalContext,
        options: EscposOptions,
        style: Style,
        port: Transport,
        on_news: Callable[[], None],
    ) -> None:
        self.line = PrinterLine(port, context.clock, options.reply_timeout_s, on_news)
        self.voice = Voice()
        profile = options.resolved
        self.confirm: str | None = None if profile.confirm == "auto" else profile.confirm
        self.broken = ""  # why this session can't go on
        self._context = context
        self._options = options
        self._style = style
        self._on_news = on_news
        self._probes_failed = 0
        self._fence_owed = True  # who knows what an earlier session, or an earlier daemon, has asked
        self._flush_owed = True  # half a command of an earlier ticket may wait for its rest

    @property
    def fresh(self) -> bytes:
        """What clears the line and every setting."""
        return codec.INIT + (codec.ASB_ON if self.voice.automatic else b"")

    async def begin(self) -> None:
        """Find out what the printer can say, and reset it. Raises ``TransportTimeout`` when it says nothing at all."""
        await self.send(codec.END_OF_HEADER)
        self.voice = Voice(await find_questions(self.line))
        if not self.voice or (await self.status()).error is None:
            await self._flush()
        await self._find_voice()
        if not self.voice:
            self._accept_silence()

    def _accept_silence(self) -> None:
        if self._options.resolved.confirm != "none":
            raise TransportTimeout(
                f"{self.line.name}: the printer does not answer",
                hint="is it switched on, and is the serial speed right? set confirm: none where the port "
                "carries no answers",
            )
        self._context.log.warning("printer port carries no answers", terminal=self._context.terminal)

    async def _find_confirmation(self) -> None:
        """A busy printer may be slow to answer: only one that stays silent three times in a row confirms nothing."""
        if self.confirm is not None:
            return
        self.confirm = await find_confirmation(self.line)
        if self.confirm is None:
            self._fence_owed = True
            self._probes_failed += 1
            self.confirm = "none" if self._probes_failed >= PROBES else None
        await self.line.write(self.fresh)

    async def send(self, data: bytes) -> None:
        """What the printer has not taken in time must not come out of the port later: that ends the session."""
        try:
            await self.line.send(data, self._options.confirm_timeout_s)
        except TransportTimeout as exc:
            self.broken = exc.message
            self._on_news()
            raise

    async def get_ready(self) -> None:
        """Everything that can go wrong before the first byte of a ticket."""
        await self.refuse_when_faulty()
        if not self.voice:
            return
        settled = await self.catch_up(self._options.confirm_timeout_s)
        if not settled or self.confirm is None:  # it has not finished the ticket before, and can't confirm this one
            unsettled = report("printer.unsettled")
            raise Fault(unsettled.code, unsettled.message, hint=unsettled.hint)

    async def catch_up(self, timeout_s: float) -> bool:
        """Do what had to wait until the printer was well; False while it has not finished an earlier ticket."""
        if self._flush_owed:
            await self._flush()
            await self._find_voice()
        await self._find_confirmation()
        return self.confirm != "fence" or not self._fence_owed or await self._settle_fence(timeout_s)

    async def _flush(self) -> None:
        """Complete what an interrupted ticket left half done, reset, and wait until all of that has arrived.

        Behind a serial server the bytes take their time although the port has taken them: a question that is asked
        meanwhile would be answered too late, and its answer taken for the next one's.
        """
        await self.line.send(codec.flush(self._style) + codec.INIT, self._options.confirm_timeout_s)
        if self.voice.questions:
            question = codec.real_time_status(self.voice.questions[0])
            await self.line.ask(question, is_real_time, self._options.confirm_timeout_s)
            await self.line.forget_input()
        self._flush_owed = False

    async def _find_voice(self) -> None:
        questions = self.voice.questions or await find_questions(self.line)
        together = len(questions) > 1 and await answers_together(self.line, questions)
        self.voice = Voice(questions, await tells_changes(self.line), together)

    async def refuse_when_faulty(self) -> None:
        """Raise ``Fault`` with the first error that keeps the printer from printing."""
        if not self.voice:
            return
        error = (await self.status()).error
        if error is not None:
            raise Fault(error.code, error.message, hint=error.hint)

    async def status(self) -> PrinterStatus:
        """Ask every question that this printer answers; one without ``DLE EOT`` repeats its automatic status."""
        await self.line.forget_input()
        answers = await self.line.real_time(self.voice.questions, together=self.voice.together)
        status = from_real_time(answers)
        if PAPER not in answers and self.voice.automatic:
            automatic = await self.line.automatic()
            if automatic is not None:
                return status.with_paper_of(automatic) if answers else automatic
        return status

    def question(self, ident: bytes) -> bytes:
        """What makes the printer say that everything before it is done."""
        match self.confirm:
            case "gs_h":
                return codec.ask_when_printed(ident)
            case "fence":
                self._fence_owed = True
                return codec.FENCE
        return b""

    async def confirmed(self, ident: bytes) -> PrintOutcome:
        """Wait for the word that the ticket is on paper; a fault on the way is raised as ``Fault``."""
        timeout_s = self._options.confirm_timeout_s
        if self.confirm == "gs_h":
            await self.line.ask(b"", lambda frame: frame == Printed(ident), timeout_s, watch=True)
            return PrintOutcome(PrintState.PRINTED, "gs_h")
        if self.confirm == "fence":
            await self.line.ask(b"", fence_answers(), timeout_s, watch=True)
            self._fence_owed = False
            await self.refuse_when_faulty()
            return PrintOutcome(PrintState.PRINTED, "fence")
        await self.refuse_when_faulty()
        return PrintOutcome(PrintState.PRINTED)

    async def still_confirms(self) -> bool | None:
        """Ask what tickets are confirmed by, without a ticket; ``None`` while a fault keeps the printer from it."""
        if self.confirm is None or self.confirm == "none":
            return None
        try:
            if (await self.status()).error is not None:
                return None
        except TransportTimeout:
            return None
        self._fence_owed = True
        return await still_confirms(self.line, self.confirm)

    async def clear(self) -> bool:
        """Delete what waits in the printer, an old fence too; False where it can't."""
        cleared = await self.line.answered(codec.CLEAR, is_cleared)
        self._fence_owed = self._fence_owed and not cleared
        return cleared

    async def _settle_fence(self, timeout_s: float) -> bool:
        """Make sure that no fence of an earlier ticket is answered in this one's place.

        A fence carries no name. So one more is sent, and everything that answers is thrown away until the printer has
        been silent for the reply time: fences are answered in order, and nothing is printed between these two. False
        when it is not answered: the printer has not finished the earlier ticket.
        """
        if not await self.line.answered(codec.FENCE, fence_answers(), timeout_s):
            return False
        for _ in range(OLD_ANSWERS):
            if not await self.line.answered(b"", is_queued):
                self._fence_owed = False
                return True
        return False
