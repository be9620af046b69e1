"""What a terminal can be asked to do: one abstract class a capability, and the values it takes and gives.

A driver inherits from ``TerminalDriver`` and from each capability that its device has. The supervisor calls
these methods one at a time, never while ``poll`` runs, and only while the terminal is online. They raise
``Fault`` when the device refused and nothing was done, ``NothingDone`` when the port failed before anything was sent,
``TransportError`` when it failed later.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from hallctl.hall.message import DisplayMessage, EvaluationRequest, StaffCard
from hallctl.model import JsonObject
from hallctl.ticket import Ticket, self_test_ticket


class Capability(StrEnum):
    """The kinds of things that a terminal does."""

    PRINTER = "printer"
    DISPLAY = "display"
    PAD = "pad"
    KEYPAD = "keypad"
    CAMERA = "camera"


@dataclass(frozen=True, slots=True)
class PrintJob:
    """One ticket to print. ``id`` is the idempotency key: the command's id. Nothing is begun once it ``expires``."""

    id: str
    ticket: Ticket
    expires: datetime | None = None


class PrintState(StrEnum):
    """What is known about the paper afterwards."""

    PRINTED = "printed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class PrintOutcome:
    """``confirmed_by`` names the device's own word for it (``gs_h``, ``fence``), ``None``: nothing confirmed it.

    ``reason`` says why an outcome is unknown; an unknown ticket is never printed again by itself.
    """

    state: PrintState
    confirmed_by: str | None = None
    reason: str = ""


class AbilityState(StrEnum):
    """Whether a device can do something. ``unknown``: only a person who looks at it can tell."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Ability:
    """One thing that a device can or can't do, as it was tried out just now; ``detail`` says how it showed."""

    name: str
    state: AbilityState
    detail: str = ""


class TicketPrinter(ABC):
    """Prints tickets."""

    @abstractmethod
    async def print_ticket(self, job: PrintJob) -> PrintOutcome:
        """Print and cut. Raises ``Fault`` or ``NothingDone`` only while nothing is sent; then doubt is an outcome."""

    def distrust_paper(self) -> None:
        """An earlier run of the daemon ended within a ticket: what hangs on the roll is not the next ticket's head."""
        return

    async def abilities(self) -> tuple[Ability, ...]:
        """Try out what the printer can do, without printing. The default knows of nothing."""
        return ()

    def self_test_ticket(self, terminal: str) -> Ticket:
        """What a self-test prints for the terminal of this name; the default fits any printer with 32 columns."""
        return self_test_ticket(terminal)


class NumberDisplay(ABC):
    """Shows called numbers and texts."""

    @abstractmethod
    async def show(self, message: DisplayMessage) -> None:
        """Replace what is shown; returns when the device has acknowledged it, where the protocol has that.

        A message with no text at all empties the display. Raises ``LocalCodecError`` for what the device can't show.
        """

    async def set_brightness(self, percent: int) -> bool:  # noqa: ARG002  # the default has no lamps to set
        """Brightness 1 (dimmest) to 100 from now on, after a power cycle too; false: this display can't."""
        return False

    async def set_power(self, on: bool) -> bool:  # noqa: ARG002  # the default has no switch
        """Light or darken the panel from now on; what it shows is kept. False: this display can't."""
        return False


class EvaluationPad(ABC):
    """Asks citizens for ratings; the answer comes as a ``RatingSubmitted`` signal."""

    @abstractmethod
    async def start_evaluation(self, request: EvaluationRequest) -> None:
        """Light the keys."""

    async def end_evaluation(self) -> None:
        """Nobody answered in time: back to the idle picture (default: the pad does so by itself)."""
        return

    async def show_staff(self, staff: StaffCard | None) -> None:  # noqa: ARG002  # the default has no room for it
        """Who serves here, shown while nothing is asked (default: the pad shows no such thing)."""
        return


class Keypad(ABC):
    """The staff's keys (calls, recalls, pauses); each press comes as a ``KeyPressed`` signal."""

    @abstractmethod
    async def show_queue(self, waiting: int | None, ticket: str | None) -> None:
        """Show how many wait (``None``: not known) and which ticket is being served."""

    async def beep(self) -> bool:
        """Make a sound, so that the clerk looks; false: this keypad can't."""
        return False


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """How the camera room opens a stream with PyAV: ``av.open(url, format=container, options=options)``.

    ``url`` may hold credentials: it never goes into a log, topic or state; ``shown_url`` does.
    """

    url: str
    shown_url: str
    container: str | None = None
    options: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CaptureSpec:
    """What the camera room has to know of a camera.

    ``watch`` is looked at. ``record``: another stream of the same camera for clips; ``None``: clips are of ``watch``.
    ``masks``: polygons in fractions of the picture that nobody may see. ``model``: an ONNX file; ``None``: the box's.
    """

    watch: StreamSpec
    record: StreamSpec | None = None
    check_every_s: float = 2.0
    min_score: float = 0.3
    masks: tuple[tuple[tuple[float, float], ...], ...] = ()
    model: str | None = None
    model_kind: str = "auto"
    model_sha256: str | None = None


class Camera(ABC):
    """Says how its stream is opened; the camera room does the watching, in a child process."""

    @abstractmethod
    def capture(self) -> CaptureSpec:
        """The stream, and how often it is looked at."""
