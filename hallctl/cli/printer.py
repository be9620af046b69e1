"""``hallctl printer test``: what a printer can and can't do, and a ticket that shows it."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from hallctl.cli.command import ask, print_reply
from hallctl.cli.language import _
from hallctl.cli.link import Target, link_options, open_local, target_of
from hallctl.cli.output import EX_FAILED, EX_OK, print_table
from hallctl.cli.where import find_config
from hallctl.cli.who import by_option
from hallctl.cli.words import status_word
from hallctl.clock import SystemClock
from hallctl.config import load_controller, load_hall
from hallctl.controller.directly import test_printer_directly
from hallctl.driver import PrintOutcome, PrintState
from hallctl.driver.hallcheck import check_hall
from hallctl.errors import HallctlError, LocalError
from hallctl.logs import configure
from hallctl.model import Reply, ReplyState

_COLOURS = {"yes": "green", "no": "red", "unknown": "yellow"}


@click.group()
def printer() -> None:
    """Ticket printers of a hall."""


@printer.command("test")
@click.argument("name")
@click.option(
    "--direct",
    is_flag=True,
    help="Open the printer's port here instead of asking the daemon, which must not run; needs no broker.",
)
@by_option
@link_options
def test(
    *,
    name: str,
    direct: bool,
    config: Path | None,
    broker: str | None,
    site: str | None,
    controller: str | None,
    as_json: bool,
) -> int:
    """Print a self-test on printer NAME and list what it can and can't do.

    The ticket shows the paper width, the Chinese font, sizes, a QR code and the cut. A box whose controller.yaml names
    no broker tests directly where no daemon runs. --json prints one document.
    """
    target = None if direct else target_of(config, broker, site, controller)
    if target is None or (target.settings is None and not asyncio.run(_daemon_is_here(target))):
        reply = asyncio.run(_directly(find_config(config), name))
    else:
        reply = ask(target, "printer.test", {"printer": name})
    if not as_json:
        _print_abilities(reply.data)
    print_reply(reply, as_json=as_json)
    return EX_OK if reply.state is ReplyState.SUCCEEDED else EX_FAILED


async def _daemon_is_here(target: Target) -> bool:
    try:
        client = await open_local(target)
    except LocalError:
        return False
    if client is not None:
        await client.close()
    return client is not None


async def _directly(config: Path, name: str) -> Reply:
    hall = check_hall(load_hall(load_controller(config).hall))
    hall.raise_if_fatal()
    configure("warning")
    abilities, result = await test_printer_directly(hall, name, SystemClock(trust_wall_clock=True))
    table = [{"name": one.name, "state": one.state.value, "detail": one.detail} for one in abilities]
    return _reply({"printer": name, "abilities": table}, result)


def _reply(data: dict[str, Any], result: PrintOutcome | HallctlError) -> Reply:
    match result:
        case PrintOutcome(state=PrintState.PRINTED, confirmed_by=confirmed_by):
            return Reply("direct", ReplyState.SUCCEEDED, data={**data, "confirmed_by": confirmed_by})
        case PrintOutcome(reason=reason):
            return Reply("direct", ReplyState.UNKNOWN, "ticket.unknown", reason, "look at the printer", data)
    return Reply("direct", ReplyState.FAILED, result.code or "error", result.message, result.hint, data)


def _print_abilities(data: Mapping[str, Any]) -> None:
    rows = [one for one in data.get("abilities", ()) if isinstance(one, Mapping)]
    if rows:
        print_table(("ability", "", "how it showed"), [_row(one) for one in rows])
    if confirmed_by := data.get("confirmed_by"):
        click.echo(_("the test ticket is on paper, confirmed by {confirmed_by}").format(confirmed_by=confirmed_by))


def _row(one: Mapping[str, Any]) -> tuple[str | Text, ...]:
    state = str(one.get("state", ""))
    return str(one.get("name", "")), Text(status_word(state), style=_COLOURS.get(state, "")), str(one.get("detail", ""))
