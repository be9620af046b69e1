"""What a printer can do is tried out, never believed from ``GS I``: clones lie in their identity."""

from dataclasses import dataclass

from hallctl.driver import Ability, AbilityState
from hallctl.errors import ConfigError, TransportTimeout
from hallctl_drivers.escpos import codec
from hallctl_drivers.escpos.config import EscposProfile
from hallctl_drivers.escpos.line import Accept, PrinterLine
from hallctl_drivers.escpos.status import AutoStatus, Block, Frame, Printed, Queued, RealTime

PRINTER, OFF_LINE, ERRORS, PAPER = 1, 2, 3, 4  # the n of DLE EOT n
_QUESTIONS = {PRINTER: "the printer", OFF_LINE: "why it is off-line", ERRORS: "errors", PAPER: "paper"}
_CONFIRMED = {
    "gs_h": "its own word behind the ticket (GS ( H)",
    "fence": "an answer queued behind the ticket (GS r)",
}
_IDENTITY = {66: "maker", 67: "model", 65: "firmware"}


@dataclass(frozen=True, slots=True)
class Voice:
    """How a printer speaks of its state. ``questions``: the n of ``DLE EOT n`` that it answers, ``together`` or not."""

    questions: tuple[int, ...] = ()
    automatic: bool = False
    together: bool = False

    def __bool__(self) -> bool:
        return bool(self.questions) or self.automatic


async def find_questions(line: PrinterLine) -> tuple[int, ...]:
    """The n of ``DLE EOT n`` that are answered, tried one by one: some clones leave out n = 2 or 3.

    One that answers neither about itself nor about its paper is not asked the rest.
    """
    found: list[int] = []
    for n in (PRINTER, PAPER, OFF_LINE, ERRORS):
        if n in (OFF_LINE, ERRORS) and not found:
            break
        if await line.answered(codec.real_time_status(n), is_real_time):
            found.append(n)
        else:
            await line.forget_input()
    return tuple(sorted(found))


async def answers_together(line: PrinterLine, questions: tuple[int, ...]) -> bool:
    """Epson's printers take four questions at once; some clones answer the first and forget the others."""
    try:
        await line.real_time(questions)
    except TransportTimeout:
        await line.forget_input()
        return False
    return True


async def tells_changes(line: PrinterLine) -> bool:
    """Whether the printer has automatic status."""
    return await line.answered(codec.ASB_ON, lambda frame: isinstance(frame, AutoStatus))


async def find_confirmation(line: PrinterLine) -> str | None:
    """``gs_h``, ``fence``, or ``None`` where neither is answered, which is also what a stopped printer does."""
    ident = b"h0ok"
    if await line.answered(codec.ask_when_printed(ident), lambda frame: frame == Printed(ident)):
        return "gs_h"
    # ESC @ clears what a clone took for text.
    return "fence" if await line.answered(codec.INIT + codec.FENCE, fence_answers()) else None


async def still_confirms(line: PrinterLine, confirm: str) -> bool:
    """Whether the printer really answers what it is configured to confirm tickets by."""
    if confirm == "fence":
        return await line.answered(codec.FENCE, fence_answers())
    ident = b"h0ok"
    return await line.answered(codec.ask_when_printed(ident), lambda frame: frame == Printed(ident))


async def try_out(
    line: PrinterLine, voice: Voice, confirm: str | None, confirms: bool | None, profile: EscposProfile
) -> tuple[Ability, ...]:
    """The table of ``hallctl printer test``: everything that can be asked, without printing.

    ``confirms``: whether the printer has just answered what ``confirm`` says; ``None``: it could not be asked.
    """
    abilities = [
        *(_yes_no(f"answers DLE EOT {n} ({what})", n in voice.questions) for n, what in _QUESTIONS.items()),
        _yes_no("tells changes by itself (GS a)", voice.automatic),
        _confirmation(confirm, confirms, profile),
    ]
    if voice:
        abilities += [await _qr_code(line, profile), *[await _identity(line, n) for n in _IDENTITY]]
    return (*abilities, _font(profile), _cutter(profile))


def _yes_no(name: str, there: bool, detail: str = "") -> Ability:
    return Ability(name, AbilityState.YES if there else AbilityState.NO, detail)


def _confirmation(confirm: str | None, confirms: bool | None, profile: EscposProfile) -> Ability:
    name = "confirms that a ticket is printed"
    if confirm == "none":
        asked = "nothing does" if profile.confirm == "auto" else "by the profile or the options (confirm: none)"
        return _yes_no(name, False, f"{asked}: tickets are not confirmed")
    if confirm is None or confirms is None:
        return Ability(name, AbilityState.UNKNOWN, "not tried yet: the printer has a fault")
    if not confirms:
        wrong = f"{_CONFIRMED[confirm]} is not answered: every ticket would be unknown"
        return _yes_no(name, False, f"{wrong}; set confirm: auto, which finds out what is")
    return _yes_no(name, True, _CONFIRMED[confirm])


async def _qr_code(line: PrinterLine, profile: EscposProfile) -> Ability:
    if profile.qr == "raster":
        return Ability("draws QR codes itself", AbilityState.NO, "by the profile: hallctl draws them")
    try:
        answer = await line.ask(codec.INIT + codec.ask_code_size(), _is_size)
    except TransportTimeout:
        return Ability("draws QR codes itself", AbilityState.UNKNOWN, "look at the test ticket; else set qr: raster")
    size = answer.data[1:].split(b"\x1f")[0].decode("ascii", "replace") if isinstance(answer, Block) else "?"
    return _yes_no("draws QR codes itself", True, f"a test code has {size} dots")


async def _identity(line: PrinterLine, n: int) -> Ability:
    name = f"says its {_IDENTITY[n]}"
    try:
        answer = await line.ask(codec.ask_identity(n), lambda frame: isinstance(frame, Block) and frame.header == 0x5F)
    except TransportTimeout:
        return _yes_no(name, False)
    words = answer.data.decode("ascii", "replace") if isinstance(answer, Block) else ""
    return _yes_no(name, True, f"{words} (clones say what they like)")


def _font(profile: EscposProfile) -> Ability:
    name = "has a Chinese font"
    if profile.encoding == "none":
        return Ability(name, AbilityState.NO, f"by the profile: drawn with {_fonts(profile.font)}")
    drawn = f"what {profile.encoding} has not is drawn with {_fonts(profile.font)}"
    return Ability(name, AbilityState.UNKNOWN, f"look at the test ticket ({profile.encoding}); {drawn}")


def _fonts(font: str) -> str:
    from hallctl_drivers.escpos.glyphs import pen_for  # noqa: PLC0415  # Pillow belongs to an extra

    try:
        return ", ".join(pen_for(font).fonts)
    except ConfigError as exc:
        return f"nothing: {exc}"


def _cutter(profile: EscposProfile) -> Ability:
    if profile.cut == "none":
        return Ability("cuts", AbilityState.NO, "by the profile: fed to the tear bar")
    return Ability("cuts", AbilityState.UNKNOWN, f"look whether the test ticket was cut ({profile.cut})")


def _is_size(frame: Frame) -> bool:
    return isinstance(frame, Block) and frame.header == 0x37 and frame.data[:1] == b"\x36"


def is_queued(frame: Frame) -> bool:
    """An answer to ``GS r``."""
    return isinstance(frame, Queued)


def fence_answers() -> Accept:
    """Accepts the frame with which all answers to one fence are there."""
    seen = 0

    def accept(frame: Frame) -> bool:
        nonlocal seen
        seen += is_queued(frame)
        return seen == codec.FENCE_ANSWERS

    return accept


def is_real_time(frame: Frame) -> bool:
    """An answer to ``DLE EOT``."""
    return isinstance(frame, RealTime)


def is_cleared(frame: Frame) -> bool:
    """The answer to ``DLE DC4`` function 8."""
    return frame == Block(0x37, b"\x25")
