"""The pad: what its pages show, and what becomes of an answer.

A page repeats an answer until it is thanked, and it is thanked only after the answer is on disk. So an answer may
come often: it is emitted once, and thanked as often as it comes.
"""

import asyncio
import contextlib
import ipaddress
import uuid
from collections import deque
from dataclasses import dataclass

from hallctl.driver import (
    Connection,
    EvaluationPad,
    EvaluationRequest,
    Health,
    RatingSubmitted,
    StaffCard,
    TerminalContext,
    TerminalDriver,
)
from hallctl.errors import HallctlError, RemoteCodecError, TransportUnavailable
from hallctl.model import FaultReport, Severity
from hallctl_drivers.webpad import codec, site
from hallctl_drivers.webpad.address import page_url
from hallctl_drivers.webpad.codec import Question, Rate, Staff
from hallctl_drivers.webpad.config import WebPadOptions
from hallctl_drivers.webpad.photo import Photo, drawn, read_photo
from hallctl_drivers.webpad.server import BAD, House, Visit, join
from hallctl_drivers.webpad.visitors import Visitors

ANSWERS_KEPT = 256
PEERS_KEPT = 64  # whose nonsense has been logged
HEARTBEAT_S = 8.0  # the page is told its state at least so often: it leaves a dead connection after 25 s of silence
_UNNAMED = "unnamed-"  # what the page calls a question that came without an id


@dataclass(frozen=True, slots=True)
class _Asked:
    request: EvaluationRequest
    name: str
    until: float  # on the monotonic clock


class WebPad(TerminalDriver, EvaluationPad):
    """An evaluation pad on the tablets that show its page."""

    def __init__(self, context: TerminalContext, options: WebPadOptions) -> None:
        self.attention = self._news = asyncio.Event()
        self._context = context
        self._options = options
        self._house: House | None = None
        self._visitors = Visitors(context.clock, self.attention.set)
        self._asked: _Asked | None = None
        self._card: StaffCard | None = None
        self._photo: Photo | None = None
        self._storing = asyncio.Lock()
        self._stored: deque[str] = deque(maxlen=ANSWERS_KEPT)
        self._store_fails = False
        self._blamed: deque[str] = deque(maxlen=PEERS_KEPT)
        self._ratings = 0
        self._last_heard: str | None = None
        self._last_told = 0.0

    async def start(self, connection: Connection) -> None:  # noqa: ARG002  # a page has no port
        """Bring the page to its address. Raises ``TransportUnavailable`` (``port.busy``, ``port.absent`` ...)."""
        self._leave()
        self._house = await join(self._options.listen, self)
        self._visitors.expect()

    async def poll(self) -> Health:
        """Whether somebody shows the page. Raises ``TransportLost`` with the server gone."""
        if self._house is None:
            raise TransportUnavailable(f"{self.terminal} has not been started", code="port.opening")
        self._house.check()
        if self._context.clock.monotonic() - self._last_told >= HEARTBEAT_S:
            self._tell_all()
        url = page_url(self._options.listen, self.terminal)
        info: dict[str, object] = {"url": url, "visitors": len(self._visitors), "ratings": self._ratings}
        if self._last_heard is not None:
            info["last_heard"] = self._last_heard
        return Health(self._faults(url), info)

    async def listen(self) -> None:
        """Wait until the server is lost. However this ends, the page goes with it: ``stop`` may not be called."""
        try:
            if self._house is not None:
                await self._house.lost()
        finally:
            self._leave()

    async def stop(self) -> None:
        """Take the page away; returns when the port is free, if this was the last pad there."""
        house = self._leave()
        if house is not None and house.closing:
            await house.closed()

    async def start_evaluation(self, request: EvaluationRequest) -> None:
        """Show the faces on every page of this pad."""
        until = self._context.clock.monotonic() + request.timeout_s
        self._asked = _Asked(request, request.id or f"{_UNNAMED}{uuid.uuid4()}", until)
        self._tell_all()

    async def end_evaluation(self) -> None:
        """Back to the idle picture."""
        self._asked = None
        self._tell_all()

    async def show_staff(self, staff: StaffCard | None) -> None:
        """Who serves here; a photo that can't be read is replaced by a drawn initial."""
        photo = None if staff is None else await self._photo_of(staff)
        self._card, self._photo = staff, photo
        self._tell_all()

    @property
    def terminal(self) -> str:
        """The last part of the page's address."""
        return self._context.terminal

    @property
    def photo(self) -> Photo | None:
        """The picture of who serves."""
        return self._photo

    def admits(self, peer: str) -> bool:
        """Whether a browser at this address may use the page."""
        with contextlib.suppress(ValueError):
            address = ipaddress.ip_address(peer)
            return any(address in network for network in self._options.allow)
        return False

    def is_called(self, name: str) -> bool:
        """Whether the box is called by this name, in lower case."""
        return name in site.own_names() or name in {known.lower() for known in self._options.names}

    async def visited(self, visit: Visit) -> None:
        """A page is there: show it the present state, and take its answers until it has gone."""
        self._visitors.came(visit)
        visit.tell(self._state())
        try:
            async for message in visit.messages():
                await self._hear(visit, codec.read_rate(message))
        except RemoteCodecError as exc:
            self._blame(visit.peer, exc)
            await visit.end(BAD, exc.message)
        finally:
            self._visitors.went(visit)

    def send_visitors_away(self) -> None:
        """Its pages come again soon: to whoever has this pad then."""
        self._visitors.send_away()

    async def _hear(self, visit: Visit, rate: Rate) -> None:
        self._last_heard = self._context.clock.now().isoformat(timespec="seconds")
        async with self._storing:
            verdict = await self._take(rate)
        if verdict is not None:
            visit.tell(verdict)
        asked = self._asked
        if asked is not None and asked.name == rate.request and rate.answer in self._stored:
            await self.end_evaluation()

    async def _take(self, rate: Rate) -> str | None:
        """What the page is told; ``None``: nothing, so that it says the answer again."""
        if rate.answer in self._stored:
            return codec.thanks(rate.answer)
        if not rate.request and not self._options.unasked:
            return codec.refused(rate.answer, codec.NOT_ASKED)
        if not await self._store(rate):
            return None
        self._stored.append(rate.answer)
        self._ratings += 1
        return codec.thanks(rate.answer)

    async def _store(self, rate: Rate) -> bool:
        request = "" if rate.request.startswith(_UNNAMED) else rate.request
        try:
            await self._context.emit(RatingSubmitted(rate.score, rate.answer, request, rate.ticket))
        except HallctlError as exc:
            if not self._store_fails:  # pages repeat themselves, the log need not
                self._context.log.warning("rating can't be kept; its page repeats it", pad=self.terminal, why=str(exc))
            self._store_fails = True
            return False
        self._store_fails = False
        return True

    async def _photo_of(self, staff: StaffCard) -> Photo:
        if staff.photo is None:
            return drawn(staff)
        try:
            return await asyncio.to_thread(read_photo, staff.photo)
        except (OSError, ValueError) as exc:
            self._context.log.warning("photo can't be shown", pad=self.terminal, photo=staff.photo, why=str(exc))
            return drawn(staff)

    def _tell_all(self) -> None:
        self._last_told = self._context.clock.monotonic()
        self._visitors.tell(self._state())

    def _state(self) -> str:
        options = self._options
        page: dict[str, object] = {"title": options.title, "languages": options.languages, "thanks_s": options.thanks_s}
        page |= {"unasked": options.unasked, "build": site.build()}
        return codec.state(self._question(), self._staff(), page)

    def _question(self) -> Question | None:
        asked = self._asked
        if asked is None or (left := asked.until - self._context.clock.monotonic()) <= 0:
            return None
        return Question(asked.name, asked.request.ticket, left, asked.request.timeout_s)

    def _staff(self) -> Staff | None:
        """The card of the window; a question may say more (another clerk, newer stars)."""
        request = self._asked.request if self._asked is not None else EvaluationRequest()
        card = self._card
        if card is not None and request.staff_number in (None, card.number):
            photo = f"/photo/{self.terminal}?v={self._photo.version}" if self._photo is not None else None
            stars = card.stars if request.stars is None else request.stars
            return Staff(card.number, request.staff_name or card.name, stars, photo)
        if request.staff_number is None:
            return None
        return Staff(request.staff_number, request.staff_name or "", request.stars)

    def _faults(self, url: str) -> tuple[FaultReport, ...]:
        if not self._options.present or not self._visitors.absent:
            return ()
        hint = f"open {url} on the tablet"
        return (FaultReport("pad.absent", Severity.ERROR, "no tablet shows this pad's page", hint=hint),)

    def _blame(self, peer: str, exc: RemoteCodecError) -> None:
        if peer not in self._blamed:
            self._blamed.append(peer)
            self._context.log.warning("page sent nonsense", pad=self.terminal, peer=peer, why=exc.message)

    def _leave(self) -> House | None:
        house = self._house
        if house is not None:
            house.dismiss(self)
            self.send_visitors_away()
        return house
