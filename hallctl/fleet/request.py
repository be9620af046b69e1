"""Sends a command to a controller and waits for what becomes of it."""

import uuid
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from hallctl.clock import Clock
from hallctl.errors import LinkError
from hallctl.link.broker import Message
from hallctl.link.payloads import ControllerState, command_envelope, read_reply
from hallctl.link.session import Session
from hallctl.link.topics import Topics
from hallctl.model import Command, Reply

EXPIRES_S = 30.0
GRACE_S = 5.0


async def send_command(
    session: Session,
    topics: Topics,
    name: str,
    data: Mapping[str, Any],
    clock: Clock,
    *,
    timeout_s: float = EXPIRES_S,
    by: str = "",
    on_progress: Callable[[Reply], None] = lambda _reply: None,
) -> Reply:
    """The final reply to a command; ``on_progress`` gets those before it. ``by``: who sends it, for the audit.

    The session may be used for nothing else meanwhile. Raises ``LinkError`` when no answer comes: the command may
    have been carried out all the same, and the same id would not be carried out twice.
    """
    now = clock.now()
    command = Command(str(uuid.uuid4()), name, now + timedelta(seconds=timeout_s), data, by)
    waiting = _Waiting(session, topics, command.id, on_progress)
    await session.subscribe(topics.reply(command.id), topics.state)
    payload = command_envelope(command, "hallctl/cli", now).encode()
    try:
        async with clock.timeout(timeout_s + GRACE_S):
            await session.publish(topics.command(name), payload, expiry_s=int(timeout_s))
            return await waiting.final()
    except TimeoutError as exc:
        raise waiting.no_answer(name, timeout_s) from exc


class _Waiting:
    """Reads replies, and on the way whether the controller is there at all."""

    def __init__(self, session: Session, topics: Topics, command: str, on_progress: Callable[[Reply], None]) -> None:
        self._session = session
        self._topics = topics
        self._command = command
        self._on_progress = on_progress
        self._state: ControllerState | None = None
        self._accepted = False

    async def final(self) -> Reply:
        while True:
            message = await self._session.receive()
            self._session.acknowledge(message)
            reply = self._read(message)
            if reply is not None and reply.state.final:
                return reply
            if reply is not None:
                self._accepted = True
                self._on_progress(reply)

    def _read(self, message: Message) -> Reply | None:
        if message.topic == self._topics.state:
            self._note(message.payload)
            return None
        if message.topic != self._topics.reply(self._command):
            return None
        return read_reply(message.payload)

    def _note(self, payload: bytes) -> None:
        try:
            self._state = ControllerState.model_validate_json(payload)
        except ValidationError:
            self._state = None

    def no_answer(self, name: str, timeout_s: float) -> LinkError:
        where = self._topics.controller
        if self._accepted:
            hint = "it was accepted and may still be carried out: look before you repeat it"
            return LinkError(
                f"{where} has not finished {name} within {timeout_s:g} s", code="command.unfinished", hint=hint
            )
        if self._state is None:
            hint = (
                "check --site and --controller (`hallctl status` lists what the broker knows), and whether this user "
                "may read and command it: the broker's access list denies without a word on MQTT 3.1.1"
            )
            message = f"nothing is known of controller {where}, and it did not answer"
            return LinkError(message, code="controller.unknown", hint=hint)
        if self._state.status == "offline":
            hint = "the command has expired and will not be carried out later"
            message = f"controller {where} is offline ({self._state.reason or 'no reason given'})"
            return LinkError(message, code="controller.offline", hint=hint)
        hint = "see `hallctl status`, and whether this user may publish commands (the broker's access list)"
        return LinkError(f"{where} did not answer {name} within {timeout_s:g} s", code="command.unanswered", hint=hint)
