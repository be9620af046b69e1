"""``hallctl ticket print`` and ``hallctl ticket preview``."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from hallctl.cli.command import ask, print_reply, readable
from hallctl.cli.language import _
from hallctl.cli.link import link_options, target_of
from hallctl.cli.output import EX_FAILED, EX_OK, json_option, print_json
from hallctl.cli.where import config_option, find_config
from hallctl.cli.who import by_option
from hallctl.config import LoadedHall, load_controller, load_hall
from hallctl.config.hall import Terminal, TicketLayout
from hallctl.controller.printing import built_in_fields
from hallctl.driver import DriverPlugin, driver_names, load_driver
from hallctl.driver.hallcheck import check_hall
from hallctl.errors import ConfigError, DriverLoadError
from hallctl.model import Reply, ReplyState
from hallctl.ticket import fields_of, lay_out, load_logos

# What a preview shows for a field that is not given.
_SAMPLES = {
    "number": "A001",
    "service": "户籍业务",
    "waiting": "3",
    "window": "3",
    "notice": "过号请重新取号，谢谢配合",
    "url": "https://example.org/t/A001",
    "printer": "printer-1",
}


@click.group()
def ticket() -> None:
    """Tickets of a hall."""


@ticket.command("print")
@click.argument("fields", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--printer", metavar="ID", help="Terminal id of the printer; may be left out where there is one.")
@click.option("--layout", metavar="ID", help="Id of the layout; may be left out where there is one.")
@by_option
@link_options
def print_(
    *,
    fields: tuple[str, ...],
    printer: str | None,
    layout: str | None,
    config: Path | None,
    broker: str | None,
    site: str | None,
    controller: str | None,
    as_json: bool,
) -> int:
    """Print a ticket; the layout's {names} become what NAME=VALUE says.

    Example: hallctl ticket print number=A001 service=户籍 waiting=3. --json prints one object a reply and line.
    """
    data = {"printer": printer, "layout": layout, "fields": dict(_pair(field) for field in fields)}
    target = target_of(config, broker, site, controller)
    final = ask(target, "ticket.print", data, on_progress=lambda reply: print_reply(reply, as_json=as_json))
    print_reply(final, as_json=as_json)
    if not as_json:
        _tell_paper(final)
    return EX_OK if final.state is ReplyState.SUCCEEDED else EX_FAILED


def _tell_paper(reply: Reply) -> None:
    """Which printer to go to, how sure the ticket is on its paper, and why it is not the printer that was named."""
    printer, confirmed_by = reply.data.get("printer"), reply.data.get("confirmed_by")
    if reply.state is ReplyState.SUCCEEDED and printer:
        sure = (
            _("confirmed by {confirmed_by}").format(confirmed_by=confirmed_by)
            if confirmed_by
            else _("not confirmed: this printer confirms nothing")
        )
        click.echo(_("on paper at {printer}, {sure}").format(printer=printer, sure=sure))
    elif reply.state is ReplyState.UNKNOWN and printer:
        click.echo(_("printer: {printer}").format(printer=printer), err=True)
    if instead_of := reply.data.get("instead_of"):
        click.echo(
            _("instead of {instead_of}: {because}").format(
                instead_of=instead_of, because=reply.data.get("because", "")
            ),
            err=True,
        )


@ticket.command("preview")
@click.argument("words", nargs=-1, metavar="[LAYOUT] [NAME=VALUE]...")
@click.option("--png", "target", required=True, type=click.Path(path_type=Path), help="File that the picture goes to.")
@click.option("--printer", metavar="ID", help="As this printer would print it; default: the first one of the hall.")
@click.option("--hall", "hall_path", type=click.Path(path_type=Path), help="hall.yaml; default: the one of --config.")
@config_option
@json_option
def preview(
    *,
    words: tuple[str, ...],
    target: Path,
    printer: str | None,
    hall_path: Path | None,
    config: Path | None,
    as_json: bool,
) -> int:
    """Draw what the printer would print, without a printer, a broker or a running daemon.

    LAYOUT may be left out where there is one; a field that is not given gets a sample value.

    Example: hallctl ticket preview queue --png ticket.png number=B017. --json prints one document.
    """
    hall = check_hall(load_hall(hall_path or load_controller(find_config(config)).hall))
    hall.raise_if_fatal()
    layout = _layout(hall, [word for word in words if "=" not in word])
    terminal, plugin = _printer(hall, printer)
    given = dict(_pair(readable(word)) for word in words if "=" in word)
    fields = {**_samples(hall, layout, terminal), **given}
    pictures, problems = load_logos([layout], Path(hall.path).parent)
    options = plugin.options.model_validate(terminal.options if terminal else {})
    assert plugin.preview is not None  # noqa: S101  # _printer chooses no other
    picture = plugin.preview(lay_out(layout, fields, pictures), options)
    _write(target, picture)
    made_up = {name: fields[name] for name in fields_of(layout) if name not in given}
    _tell(target, terminal, plugin, made_up, problems, as_json=as_json)
    return EX_OK


def _layout(hall: LoadedHall, names: list[str]) -> TicketLayout:
    layouts = {layout.id: layout for layout in hall.document.tickets}
    if len(names) > 1:
        raise click.UsageError(_("{names}: one LAYOUT, then NAME=VALUE for its fields.").format(names=" ".join(names)))
    if not names and len(layouts) == 1:
        return next(iter(layouts.values()))
    if not names or names[0] not in layouts:
        wrong = _("there is no ticket layout {layout!r}").format(layout=names[0]) if names else _("name the layout")
        raise ConfigError(
            wrong, path=hall.path, hint=_("layouts here: {names}").format(names=", ".join(sorted(layouts)) or _("none"))
        )
    return layouts[names[0]]


def _printer(hall: LoadedHall, name: str | None) -> tuple[Terminal | None, DriverPlugin]:
    """The printer that is named, the first of the hall, or any driver that can draw where the hall has none."""
    drawing = {driver: plugin for driver in driver_names() if (plugin := _drawing(driver)) is not None}
    usable = [terminal for terminal in hall.document.terminals if terminal.driver in drawing]
    chosen = [terminal for terminal in usable if name in (None, terminal.id)]
    if name is not None and not chosen:
        known = ", ".join(terminal.id for terminal in usable) or _("none")
        raise ConfigError(
            _("there is no printer {name!r}").format(name=name),
            path=hall.path,
            hint=_("printers here: {known}").format(known=known),
        )
    if chosen:
        return chosen[0], drawing[chosen[0].driver]
    if not drawing:
        raise ConfigError(_("no installed driver can draw a ticket"), hint=_("install hallctl with its drivers"))
    return None, next(iter(drawing.values()))


def _drawing(driver: str) -> DriverPlugin | None:
    try:
        plugin = load_driver(driver)
    except DriverLoadError:
        return None
    return plugin if plugin.preview is not None else None


def _samples(hall: LoadedHall, layout: TicketLayout, terminal: Terminal | None) -> dict[str, str]:
    now = datetime.now(ZoneInfo(hall.document.duty_hours.timezone))
    made_up = {name: _SAMPLES.get(name, name) for name in fields_of(layout)}
    named = {"printer": terminal.id} if terminal else {}
    return {**made_up, **built_in_fields("0123456789abcdef0123456789abcdef", now), **named}


def _write(target: Path, picture: bytes) -> None:
    try:
        target.write_bytes(picture)
    except OSError as exc:
        raise ConfigError(f"{target}: {exc.strerror or exc}", hint=_("name a file that can be written")) from exc


def _tell(
    target: Path,
    terminal: Terminal | None,
    plugin: DriverPlugin,
    made_up: Mapping[str, str],
    problems: list[ConfigError],
    *,
    as_json: bool,
) -> None:
    if as_json:
        known = {"png": str(target), "printer": terminal.id if terminal else None, "driver": plugin.name}
        print_json({**known, "samples": dict(made_up), "problems": [str(problem) for problem in problems]})
        return
    whose = terminal.id if terminal else _("any printer of driver {name}").format(name=plugin.name)
    click.echo(_("{target}: as {whose} would print it").format(target=target, whose=whose))
    if made_up:
        click.echo(
            _("sample values: {names}").format(names=", ".join(f"{name}={value}" for name, value in made_up.items()))
        )
    for problem in problems:
        click.echo(_("warning: without a picture: {problem}").format(problem=problem), err=True)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise click.UsageError(_("{text!r}: write NAME=VALUE.").format(text=text))
    return name, value
