"""Asking one controller again and again over one connection: live screens and traces."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from hallctl.cli.link import Target, reach
from hallctl.cli.who import who
from hallctl.clock import SystemClock
from hallctl.errors import HallctlError, RequestRefused
from hallctl.fleet import send_command
from hallctl.link import Session
from hallctl.local import LocalClient
from hallctl.model import Reply, ReplyState

T = TypeVar("T")
Ask = Callable[[str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


def with_asker(target: Target, work: Callable[[Ask], Awaitable[T]]) -> T:
    """Connect, over the box's socket or the broker, and do the work. Raises ``LocalError`` or ``LinkError``.

    What ``work`` asks with gives the result of a command that succeeded, and raises what the controller said of one
    that did not.
    """
    return reach(target, lambda client: work(_here(client)), lambda session: work(_there(session, target)))


def _here(client: LocalClient) -> Ask:
    by = who()

    async def ask(name: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
        return _result(await client.command(name, data, by=by))

    return ask


def _there(session: Session, target: Target) -> Ask:
    by, topics, clock = who(), target.topics, SystemClock()

    async def ask(name: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
        reply = await send_command(session, topics, name, data, clock, by=by)
        await session.unsubscribe(topics.reply(reply.command))
        return _result(reply)

    return ask


def _result(reply: Reply) -> Mapping[str, Any]:
    if reply.state is ReplyState.SUCCEEDED:
        return reply.data
    if reply.state is ReplyState.REJECTED:
        raise RequestRefused(reply.code, reply.message, hint=reply.hint)
    raise HallctlError(f"{reply.message or reply.state.value} [{reply.code}]", hint=reply.hint)
