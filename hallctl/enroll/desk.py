"""The centre's side of enrolment over MQTT: who asks, signing, and renewals that need nobody.

A first request is approved by a person who has compared the fingerprint with the technician at the box; a renewal is
signed by itself when it is proved with the key of a certificate of this CA, of the same name, that holds now.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from hallctl.clock import Clock
from hallctl.enroll.authority import Authority
from hallctl.enroll.keys import Csr, is_proved, read_certificates, read_csr
from hallctl.enroll.names import Role, holder_of
from hallctl.errors import EnrollError, LinkError
from hallctl.link import Message, Session, Topics, read_topic
from hallctl.link.enrolment import EnrollAnswer, EnrollRequest, read_request

SETTLE_S = 0.5
ALL = Topics("+", "+").enroll_request


@dataclass(frozen=True, slots=True)
class Waiting:
    """A box that asks. ``wrong``: why its request can't be signed at all; then ``csr`` is ``None``."""

    topics: Topics
    request: EnrollRequest | None
    csr: Csr | None
    wrong: str = ""
    hint: str = ""

    @property
    def name(self) -> str:
        """Which box."""
        return f"{self.topics.site}/{self.topics.controller}"


def waiting_of(message: Message) -> Waiting | None:
    """What a message says; ``None``: nobody asks there (any more)."""
    place = read_topic(message.topic)
    if place is None or (place.kind, place.name) != ("enroll", "request") or not message.payload:
        return None
    try:
        request = read_request(message.payload)
        csr = read_csr(request.csr.encode(), message.topic)
        holder = holder_of(csr.common_name)
    except (LinkError, EnrollError) as exc:
        return Waiting(place.topics, None, None, exc.message, exc.hint)
    if holder.role is not Role.CONTROLLER or holder.topics != place.topics:
        wrong = f"the request is for {csr.common_name!r}, but came for {place.topics.prefix}"
        return Waiting(
            place.topics, None, None, wrong, "site and controller in controller.yaml have to be those of the CSR"
        )
    return Waiting(place.topics, request, csr)


class Desk:
    """Answers requests with one CA over one session."""

    def __init__(self, session: Session, authority: Authority, clock: Clock, by: str) -> None:
        self._session = session
        self._authority = authority
        self._clock = clock
        self._by = by

    async def pending(self) -> list[Waiting]:
        """Who waits now, by name. Raises ``LinkError``."""
        await self._session.subscribe(ALL)
        found: dict[str, Waiting] = {}
        while (message := await self._next(SETTLE_S)) is not None:
            waiting = waiting_of(message)
            if waiting is not None:
                found[waiting.name] = waiting
            self._session.acknowledge(message)
        return [found[name] for name in sorted(found)]

    async def approve(self, waiting: Waiting, days: float | None = None) -> str:
        """Sign and answer; gives the certificate. Raises ``EnrollError`` or ``LinkError``."""
        if waiting.csr is None:
            raise EnrollError(f"{waiting.name}: {waiting.wrong}", code="enroll.refused", hint=waiting.hint)
        certificate = self._authority.sign(waiting.csr, self._clock.now(), by=self._by, days=days)
        await self._answer(waiting, waiting.csr, certificate=certificate)
        await self._session.publish(waiting.topics.enroll_request, b"", retain=True)
        return certificate

    async def refuse(self, waiting: Waiting, message: str, hint: str = "") -> None:
        """Say no; the request goes away."""
        if waiting.csr is not None:
            await self._answer(waiting, waiting.csr, message=message, hint=hint)
        await self._session.publish(waiting.topics.enroll_request, b"", retain=True)

    async def serve(self, days: float | None = None) -> AsyncIterator[tuple[Waiting, str]]:
        """Sign renewals for ever; gives each request with what became of it: ``renewed``, ``waiting``, or why not."""
        await self._session.subscribe(ALL)
        while True:
            message = await self._session.receive()
            waiting = waiting_of(message)
            if waiting is not None:
                yield waiting, await self._decide(waiting, days)
            self._session.acknowledge(message)

    async def _decide(self, waiting: Waiting, days: float | None) -> str:
        if waiting.csr is None:
            return waiting.wrong
        if not self._answered(waiting):
            if waiting.request is None or not waiting.request.renews:
                return "waiting"
            if (wrong := self._not_a_renewal(waiting.csr, waiting.request)) is not None:
                return wrong
        try:
            await self.approve(waiting, days)
        except EnrollError as exc:
            await self.refuse(waiting, exc.message, exc.hint)
            return exc.message
        return "renewed"

    def _not_a_renewal(self, csr: Csr, request: EnrollRequest) -> str | None:
        """Why it needs a person."""
        for entry in self._authority.find(request.renews):
            if entry.name != csr.common_name:
                return f"waiting: it names the certificate of {entry.name}"
            if entry.revoked_at is not None:
                return "waiting: the certificate that it renews is revoked"
            if not entry.holds(self._clock.now()):
                return "waiting: the certificate that it renews has expired"
            (certificate, *_) = read_certificates(entry.certificate.encode(), entry.serial)
            if not is_proved(certificate, request.csr.encode(), request.proof):
                return "waiting: it is not signed by the key of the certificate that it renews"
            return None
        return "waiting: the certificate that it renews was not signed here"

    def _answered(self, waiting: Waiting) -> bool:
        """Whether this very key has a certificate already: the answer got lost, or the box has not taken it yet."""
        now, csr = self._clock.now(), waiting.csr
        if csr is None:
            return False
        known = [one for one in self._authority.entries if one.fingerprint == csr.fingerprint and one.holds(now)]
        return any(one.name == csr.common_name for one in known)

    async def _answer(
        self, waiting: Waiting, csr: Csr, *, certificate: str = "", message: str = "", hint: str = ""
    ) -> None:
        answer = EnrollAnswer(
            fingerprint=csr.fingerprint,
            at=self._clock.now(),
            certificate=certificate,
            message=message[:500],
            hint=hint[:500],
        )
        await self._session.publish(waiting.topics.enroll_certificate, answer.encode(), retain=True)

    async def _next(self, seconds: float) -> Message | None:
        try:
            async with asyncio.timeout(seconds):
                return await self._session.receive()
        except TimeoutError:
            return None
