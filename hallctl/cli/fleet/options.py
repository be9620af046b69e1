"""What the commands of the centre have in common: which broker, which controllers, who is at the desk."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from hallctl.cli.language import _
from hallctl.cli.link import BROKER_VARIABLE, PASSWORD_VARIABLE, target_of, tls_options
from hallctl.cli.output import json_option
from hallctl.cli.where import config_option, find_config
from hallctl.cli.who import who
from hallctl.clock import SystemClock
from hallctl.errors import ConfigError, LinkError, RequestRefused
from hallctl.fleet.desk import Desk
from hallctl.fleet.selector import EVERYONE, Selection, read_selection
from hallctl.link import BrokerSettings, Topics

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


LISTEN = "hallctl.listen_s"


def _keep_listening(ctx: click.Context, _parameter: click.Parameter, value: float) -> None:
    ctx.meta[LISTEN] = value


def listening() -> float:
    """How long a desk of this command listens for what its broker does not retain, seconds."""
    context = click.get_current_context(silent=True)
    return float(context.meta.get(LISTEN, 0.0)) if context is not None else 0.0


def broker_options(function: F) -> F:
    """--broker, --config, --cafile, --cert, --key, --listen, --json."""
    for option in (
        json_option,
        *tls_options(),
        click.option(
            "--listen",
            type=click.FloatRange(0, 600),
            default=0.0,
            metavar="SECONDS",
            envvar="HALLCTL_LISTEN",
            expose_value=False,
            callback=_keep_listening,
            help="Hear so long who is there, for brokers that don't retain everything (docs/brokers.md).",
        ),
        click.option(
            "--broker",
            metavar="URL",
            envvar=BROKER_VARIABLE,
            help=f"mqtt://[user@]host[:port] or mqtts://...; or ${BROKER_VARIABLE}; password: ${PASSWORD_VARIABLE}.",
        ),
        config_option,
    ):
        function = option(function)
    return function


def to_option(*, required: bool = False) -> Callable[[F], F]:
    """--to SELECTOR."""
    words = "Which controllers; may be given several times." + ("" if required else " Default: all.")
    return click.option("--to", "to", metavar="SELECTOR", multiple=True, required=required, help=words)


by_option = click.option("--by", metavar="NAME", default=who, help="Who you are; default: $HALLCTL_BY, else user@host.")


def settings_of(config: Path | None, broker: str | None) -> BrokerSettings:
    """The broker that the options name; of a controller.yaml only its broker counts. Raises ``ConfigError``."""
    if broker is None:
        try:
            config = find_config(config)
        except ConfigError as exc:
            hint = "--broker mqtt://HOST or $HALLCTL_BROKER, or --config FILE for the broker of a controller.yaml"
            raise ConfigError(_("no broker is named"), hint=hint) from exc
    target = target_of(config, broker, None, None)
    if target.settings is None:
        raise target.no_broker or ConfigError(_("no broker is named"))
    return target.settings


def selection_of(to: Sequence[str]) -> Selection:
    """The selectors, or everyone. Raises ``click.UsageError``."""
    try:
        return read_selection(to) if to else EVERYONE
    except RequestRefused as exc:
        raise click.UsageError(_("--to: {message}; {hint}.").format(message=exc.message, hint=exc.hint)) from exc


def with_desk(settings: BrokerSettings, work: Callable[[Desk], Awaitable[T]], by: str = "") -> T:
    """Connect a desk, do the work, say good-bye. Raises ``LinkError``."""

    async def run() -> T:
        desk = Desk(settings, SystemClock(), by, listen_s=listening())
        async with desk.connected():
            return await work(desk)

    return asyncio.run(run())


def stay_at_desk(settings: BrokerSettings, work: Callable[[Desk], Awaitable[T]], by: str = "") -> T:
    """Like ``with_desk``; when the broker goes away the work is begun again, with all that the desk knows."""

    async def run() -> T:
        desk, failures, was_there = Desk(settings, SystemClock(), by, listen_s=listening()), 0, False
        while True:
            try:
                async with desk.connected():
                    failures, was_there = 0, True
                    return await work(desk)
            except LinkError as exc:
                if not was_there:
                    raise
                click.echo(_("warning: {message}; waiting for the broker").format(message=exc.message), err=True)
                failures += 1
                await asyncio.sleep(min(10.0, 0.5 * 2**failures))

    return asyncio.run(run())


def name_of(topics: Topics) -> str:
    """site/controller, as every list prints it."""
    return f"{topics.site}/{topics.controller}"


def find_one(desk: Desk, text: str) -> Topics:
    """The one known controller that ``id`` or ``site/id`` names. Raises ``click.UsageError``."""
    fits = read_selection([f"id={text}"])
    found = [view.topics for view in desk.reader.controllers.values() if fits.matches(view.traits)]
    if len(found) == 1:
        return found[0]
    if not found:
        hint = "`hallctl fleet status --all` lists those that the broker knows"
        raise RequestRefused("controller.unknown", f"the broker knows no controller {text!r}", hint=hint)
    names = ", ".join(sorted(name_of(topics) for topics in found)[:10])
    raise RequestRefused("controller.unclear", f"{len(found)} controllers fit {text!r}: {names}", hint="write SITE/ID")


def seconds(number: float) -> str:
    """12.3 s, 4 min 5 s, 2 h 3 min."""
    if number < 60:
        return _("{number:.1f} s").format(number=number)
    minutes, rest = divmod(round(number), 60)
    return (
        _("{minutes} min {rest} s").format(minutes=minutes, rest=rest)
        if minutes < 60
        else _("{hours} h {minutes} min").format(hours=minutes // 60, minutes=minutes % 60)
    )
