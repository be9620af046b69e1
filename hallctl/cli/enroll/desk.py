"""``hallctl enroll`` at the centre, over MQTT: who asks, approving, and renewals that need nobody."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from hallctl.cli.enroll.centre import ca_option, days_option, passphrase
from hallctl.cli.language import _
from hallctl.cli.link import link_options, target_of, with_session
from hallctl.cli.output import EX_OK, local_time, print_json, print_table
from hallctl.cli.who import by_option, who
from hallctl.clock import SystemClock
from hallctl.enroll.authority import Authority
from hallctl.enroll.desk import Desk, Waiting
from hallctl.errors import EnrollError

T = TypeVar("T")


@click.command()
@ca_option
@link_options
def pending(
    *,
    folder: Path,
    config: Path | None,
    broker: str | None,
    site: str | None,
    controller: str | None,
    as_json: bool,
) -> int:
    """List the boxes that ask for a certificate. --json prints one document a box and line."""
    found = _at_the_desk(folder, config, broker, lambda desk: desk.pending())
    found = [one for one in found if site in (None, one.topics.site) and controller in (None, one.topics.controller)]
    if as_json:
        for one in found:
            print_json(_described(one))
    elif found:
        print_table(("box", "asked", "fingerprint", "what is wrong"), [_row(one) for one in found])
    else:
        click.echo(_("Nobody waits."))
    return EX_OK


@click.command()
@click.argument("box", metavar="SITE/CONTROLLER")
@click.option("--fingerprint", help="What the technician read out; asked for where it is left out.")
@ca_option
@days_option
@by_option
@link_options
def approve(
    *,
    box: str,
    fingerprint: str | None,
    folder: Path,
    days: float | None,
    config: Path | None,
    broker: str | None,
    site: str | None,
    controller: str | None,
    as_json: bool,
) -> int:
    """Sign the request of a box, after comparing its fingerprint with the box's. --json prints one document."""
    _no_selection(site, controller)
    told = fingerprint or click.prompt(_("fingerprint that the technician reads out"))

    async def work(desk: Desk) -> Waiting:
        one = _named(box, await desk.pending())
        if one.csr is not None and _plain(told) != _plain(one.csr.fingerprint):
            raise EnrollError(
                _("{box} asks with the fingerprint {fingerprint}, which is another one").format(
                    box=box, fingerprint=one.csr.fingerprint
                ),
                code="enroll.fingerprint",
                hint=_(
                    "somebody else may be asking in its name; `hallctl enroll status` on the box shows the box's own"
                ),
            )
        await desk.approve(one, days)
        return one

    one = _at_the_desk(folder, config, broker, work)
    if as_json:
        print_json(_described(one))
    else:
        click.echo(_("{name}: signed and published").format(name=one.name))
    return EX_OK


@click.command()
@click.argument("box", metavar="SITE/CONTROLLER")
@click.option("--message", default="the desk does not approve it", show_default=True, help="What the box is told.")
@ca_option
@by_option
@link_options
def refuse(
    *,
    box: str,
    message: str,
    folder: Path,
    config: Path | None,
    broker: str | None,
    site: str | None,
    controller: str | None,
    as_json: bool,
) -> int:
    """Say no to the request of a box, and take it away. --json prints one document."""
    _no_selection(site, controller)

    async def work(desk: Desk) -> Waiting:
        one = _named(box, await desk.pending())
        await desk.refuse(one, message)
        return one

    one = _at_the_desk(folder, config, broker, work)
    if as_json:
        print_json(_described(one))
    else:
        click.echo(_("{name}: refused").format(name=one.name))
    return EX_OK


@click.command()
@ca_option
@days_option
@by_option
@link_options
def serve(
    *,
    folder: Path,
    days: float | None,
    config: Path | None,
    broker: str | None,
    site: str | None,
    controller: str | None,
    as_json: bool,
) -> int:
    """Sign renewals of known boxes until SIGTERM or SIGINT: same name, proved with a certificate of this CA that holds.

    First requests wait for `hallctl enroll approve`. Ends with exit code 1 when the broker is lost: let systemd start
    it again. --json prints one document a request and line.
    """
    _no_selection(site, controller)

    async def work(desk: Desk) -> None:
        task = asyncio.current_task()
        for number in (signal.SIGINT, signal.SIGTERM):
            if task is not None:
                asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        async for one, result in desk.serve(days):
            print_json({**_described(one), "result": result}) if as_json else click.echo(f"{one.name}: {result}")

    with contextlib.suppress(asyncio.CancelledError):
        _at_the_desk(folder, config, broker, work)
    return EX_OK


def _at_the_desk(folder: Path, config: Path | None, broker: str | None, work: Callable[[Desk], Awaitable[T]]) -> T:
    authority, by = Authority.open(folder, passphrase()), who()
    target = target_of(config, broker, None, None)
    return with_session(target, lambda session: work(Desk(session, authority, SystemClock(), by)))


def _no_selection(site: str | None, controller: str | None) -> None:
    if site or controller:
        raise click.UsageError(_("--site and --controller select nothing here."))


def _named(box: str, found: list[Waiting]) -> Waiting:
    for one in found:
        if one.name == box:
            return one
    raise EnrollError(
        _("{box} asks for nothing").format(box=box),
        code="enroll.unknown",
        hint=_("`hallctl enroll pending` lists who does"),
    )


def _plain(fingerprint: str) -> str:
    return "".join(fingerprint.lower().replace("-", " ").split())


def _row(one: Waiting) -> tuple[str, ...]:
    asked = local_time(one.request.at) if one.request is not None else ""
    return one.name, asked, one.csr.fingerprint if one.csr is not None else "", one.wrong


def _described(one: Waiting) -> dict[str, Any]:
    return {
        "box": one.name,
        "asked_at": one.request.at if one.request is not None else None,
        "fingerprint": one.csr.fingerprint if one.csr is not None else "",
        "renews": one.request.renews if one.request is not None else "",
        "wrong": one.wrong,
        "hint": one.hint,
    }


COMMANDS = (pending, approve, refuse, serve)
