"""Asks for a box's first certificate over MQTT, with a bootstrap credential, and waits for the desk."""

import asyncio
from pathlib import Path

import click

from hallctl.cli.language import _
from hallctl.cli.link import Target, target_of, with_session
from hallctl.clock import SystemClock
from hallctl.enroll.identity import Asked
from hallctl.errors import EnrollError
from hallctl.link import Session, Topics
from hallctl.link.enrolment import EnrollAnswer, EnrollRequest, read_answer


def ask_over_mqtt(topics: Topics, asked: Asked, config: Path | None, broker: str | None, wait_s: float) -> str:
    """The certificate. Raises ``EnrollError`` when the desk refuses or does not answer in time, and ``LinkError``."""
    target: Target = target_of(config, broker, topics.site, topics.controller)
    click.echo(_("asked; the desk has to approve it: hallctl enroll approve"), err=True)
    return with_session(target, lambda session: _ask(session, topics, asked, wait_s))


async def _ask(session: Session, topics: Topics, asked: Asked, wait_s: float) -> str:
    request = EnrollRequest(csr=asked.csr.decode(), at=SystemClock().now())
    await session.subscribe(topics.enroll_certificate)
    await session.publish(topics.enroll_request, request.encode(), retain=True)
    try:
        async with asyncio.timeout(wait_s):
            answer = await _answer(session, asked.fingerprint)
    except TimeoutError as exc:
        raise EnrollError(
            _("the desk has not answered within {wait_s:g} s; the request waits at the broker").format(wait_s=wait_s),
            code="enroll.unanswered",
            hint=_(
                "run this again with --send when it is approved, or check that this credential may ask (access list)"
            ),
        ) from exc
    if not answer.certificate:
        raise EnrollError(
            _("the desk refuses: {message}").format(message=answer.message), code="enroll.refused", hint=answer.hint
        )
    return answer.certificate


async def _answer(session: Session, fingerprint: str) -> EnrollAnswer:
    while True:
        message = await session.receive()
        session.acknowledge(message)
        answer = read_answer(message.payload) if message.payload else None
        if answer is not None and answer.fingerprint == fingerprint:
            return answer
