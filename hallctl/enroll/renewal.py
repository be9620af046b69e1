"""Renews the box's certificate before it ends, over the connection that it has: a new key, a request, one swap.

At two thirds of its life it asks, and again on every connect until the desk answers. The new pair is put in place by
one rename, the uplink connects anew with it while the old one still holds, and the old one is kept until the broker has
taken the new one: if it does not, the box goes back by itself.
"""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

from hallctl.clock import Clock
from hallctl.driver.terminal import Logger
from hallctl.enroll.expiry import LOOK_EVERY_S, Expiry
from hallctl.enroll.identity import Identity, read_anchors
from hallctl.errors import CertificateRefused, EnrollError, LinkError
from hallctl.link import Message, Session, Topics
from hallctl.link.enrolment import EnrollRequest, read_answer

SHARE = 2 / 3
AFTER_GOING_BACK_S = 86400.0  # until it asks again, when the broker did not take what the desk had signed
UNANSWERED = "the desk has not answered the request for a new one"


class Renewal:
    """A companion of the uplink. ``reconnect`` lets the uplink use the files as they are now."""

    def __init__(
        self,
        identity: Identity,
        topics: Topics,
        *,
        ca_file: Path | None,
        expiry: Expiry,
        clock: Clock,
        log: Logger,
        reconnect: Callable[[], None],
    ) -> None:
        self._identity = identity
        self._topics = topics
        self._name = f"{topics.site}/{topics.controller}"
        self._ca_file = ca_file
        self._expiry = expiry
        self._clock = clock
        self._log = log
        self._reconnect = reconnect
        self._session: Session | None = None
        self._why = UNANSWERED
        self._ask_from_s = 0.0

    @property
    def topics(self) -> tuple[str, ...]:
        """Where the desk answers."""
        return (self._topics.enroll_certificate,)

    async def run(self) -> None:
        """Look at the certificate at once, then once an hour, and when it has to be renewed; for ever."""
        try:
            self._identity.tidy()
        except EnrollError as exc:  # at the start, not months later
            self._log.warning("the certificate will not be renewed", message=exc.message, hint=exc.hint)
        while True:
            await self._look()
            await self._clock.sleep(self._next_look_s())

    async def connected(self, session: Session) -> None:
        """The broker takes the certificate. Ask again: what it had retained may be gone."""
        self._session = session
        try:
            self._confirm()
            await self._look()
            await asyncio.Event().wait()  # until the session ends
        finally:
            self._session = None

    async def heard(self, message: Message) -> None:
        """The desk has answered."""
        if not message.payload:
            return
        try:
            answer, asked = read_answer(message.payload), self._identity.asked()
            if asked is None or answer.fingerprint != asked.fingerprint:
                return  # an old one, retained
            if answer.certificate:
                await self._install(answer.certificate.encode())
                return
            self._why = f"the desk refuses a new one: {answer.message}"
            self._log.warning("the desk refuses a certificate", message=answer.message, hint=answer.hint)
        except (EnrollError, LinkError) as exc:
            self._why = exc.message
            self._log.warning("a certificate came that can't be used", message=exc.message, hint=exc.hint)

    def lost(self, why: LinkError) -> None:
        """Where the broker refuses a certificate that is new here, the one before it is used again."""
        if not isinstance(why, CertificateRefused):
            return
        try:
            if not self._identity.on_trial or self._identity.go_back(self._clock.now()) is None:
                return
        except EnrollError as exc:
            self._log.warning("the certificate can't be put back", message=exc.message, hint=exc.hint)
            return
        self._why = f"the broker does not take the new one: {why.message}"
        self._ask_from_s = self._clock.monotonic() + AFTER_GOING_BACK_S
        hint = "the broker has to trust the CA that signs certificates now"
        self._log.warning("the certificate before the new one is used again", message=why.message, hint=hint)

    def _confirm(self) -> None:
        try:
            if self._identity.on_trial:
                self._identity.confirm()
                self._log.info("the broker has taken the new certificate", until=self._until())
        except EnrollError as exc:
            self._log.warning("the old certificate can't be removed", message=exc.message, hint=exc.hint)

    async def _look(self) -> None:
        try:
            pair = self._identity.current()
            if pair is None:
                return
            begins, ends = pair.lifetime
            if self._clock.now() >= begins + (ends - begins) * SHARE and self._clock.monotonic() >= self._ask_from_s:
                await self._ask()
            await self._expiry.look(begins, ends, self._why)
        except EnrollError as exc:
            self._log.warning("the certificate can't be renewed", message=exc.message, hint=exc.hint)

    async def _ask(self) -> None:
        is_new = self._identity.asked() is None
        asked = self._identity.ask(self._name)
        if is_new:
            self._log.info("asking for a new certificate", fingerprint=asked.fingerprint, until=self._until())
        if self._session is None:
            return
        serial, proof = self._identity.prove(asked.csr)
        request = EnrollRequest(csr=asked.csr.decode(), at=self._clock.now(), renews=serial, proof=proof)
        await self._say(request.encode())

    async def _install(self, certificate: bytes) -> None:
        anchors = read_anchors(self._ca_file)
        where, now = "the desk's answer", self._clock.now()
        pair = self._identity.install(certificate, where, name=self._name, anchors=anchors, now=now)
        self._why = UNANSWERED
        self._log.info("a new certificate is in place", serial=pair.serial, until=pair.lifetime[1].isoformat())
        await self._say(b"")
        self._reconnect()

    async def _say(self, payload: bytes) -> None:
        if self._session is not None:
            with contextlib.suppress(LinkError):  # the next connect asks again, or finds nothing to ask for
                await self._session.publish(self._topics.enroll_request, payload, retain=True)

    def _next_look_s(self) -> float:
        with contextlib.suppress(EnrollError):  # told by the look
            if (pair := self._identity.current()) is not None:
                begins, ends = pair.lifetime
                wait_s = (begins + (ends - begins) * SHARE - self._clock.now()).total_seconds()
                return min(LOOK_EVERY_S, wait_s) if wait_s > 0 else LOOK_EVERY_S
        return LOOK_EVERY_S

    def _until(self) -> str:
        pair = self._identity.current()
        return pair.lifetime[1].isoformat() if pair is not None else ""
