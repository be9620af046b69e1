"""``hallctl check``: is the configuration right, and if not, where?"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click

from hallctl.cli.language import _, counted
from hallctl.cli.output import EX_CONFIG, EX_OK, json_option, print_json
from hallctl.cli.running import Running, running_of
from hallctl.cli.where import find_config
from hallctl.cli.words import book_lines
from hallctl.config import (
    ConfigErrors,
    ControllerConfig,
    LoadedHall,
    SecretRef,
    check_private,
    load_controller,
    load_hall,
    resolve,
)
from hallctl.config.base import Section
from hallctl.config.problem import Loc, Problem, pointer_of
from hallctl.driver import driver_names
from hallctl.driver.advice import advise
from hallctl.driver.hallcheck import check_hall
from hallctl.errors import ConfigError

_OF_A_HALL = ("/buses", "/terminals", "/windows")


@click.command()
@click.argument("config", required=False, type=click.Path(path_type=Path))
@click.option("--hall", "hall_path", type=click.Path(path_type=Path), help="Check this hall document instead.")
@click.option(
    "--documents-only", is_flag=True, help="Don't look at the files of secrets and keys that controller.yaml names."
)
@json_option
def check(*, config: Path | None, hall_path: Path | None, documents_only: bool, as_json: bool) -> int:
    """Check controller.yaml and the hall document that it names.

    CONFIG is a controller.yaml; default: $HALLCTL_CONFIG, ./controller.yaml, /etc/hallctl/controller.yaml. With --hall
    alone only the hall document is checked. Every mistake is printed with file and line; a line that begins with
    "advice:" is about something that runs and will make trouble. Where the centre has pushed a document to this box, a
    line says that this one runs, and not hall.yaml. Exit code 0: all is right; 78: something is wrong.
    --json prints one document.
    """
    errors: list[ConfigError] = []
    controller = None
    if config is not None or hall_path is None:
        controller = _controller(find_config(config), errors, secrets=not documents_only)
    path = hall_path or (controller.hall if controller else None)
    hall = check_hall(load_hall(path)) if path else None
    errors += hall.problems if hall else ()
    advice = advise(hall, secrets=not documents_only) if hall and not hall.fatal else ()
    running = running_of(controller) if controller and not hall_path and not documents_only else None
    if as_json:
        _print_json(errors, advice, hall, running)
    else:
        _print_words(errors, advice, hall, running)
    return EX_CONFIG if errors else EX_OK


def _controller(path: Path, errors: list[ConfigError], *, secrets: bool) -> ControllerConfig | None:
    try:
        config = load_controller(path)
    except ConfigErrors as exc:
        is_hall = any(error.pointer in _OF_A_HALL for error in exc.errors)
        errors += [_other_document(path)] if is_hall else exc.errors
        return None
    for loc, secret in _secrets(config) if secrets else ():
        try:
            resolve(secret)
        except ConfigError as exc:
            exc.pointer = pointer_of(loc)
            errors.append(exc)
    if secrets:
        errors += _keys(config)
    return config


def _keys(config: ControllerConfig) -> Iterator[ConfigError]:
    """Private keys that others may read: the daemon would refuse to connect with them."""
    tls = config.broker.tls if config.broker else None
    for name in ("identity", "key_file") if tls else ():
        path = getattr(tls, name)
        try:
            if path is not None:
                check_private(path)
        except ConfigError as exc:
            exc.pointer = pointer_of(("broker", "tls", name))
            yield exc


def _other_document(path: Path) -> ConfigError:
    hint = _("check it by itself: hallctl check --hall {path}; or name the controller.yaml of its box")
    message = _("{path} is a hall document, not a controller.yaml").format(path=path)
    return ConfigError(message, hint=hint.format(path=path), path=str(path))


def _secrets(section: Section, loc: Loc = ()) -> Iterator[tuple[Loc, SecretRef]]:
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, SecretRef):
            yield (*loc, name), value
        elif isinstance(value, Section):
            yield from _secrets(value, (*loc, name))


def _print_words(
    errors: list[ConfigError], advice: tuple[Problem, ...], hall: LoadedHall | None, running: Running | None
) -> None:
    for error in errors:
        _tell(_line(error), error)
    for one in advice:
        _tell(_("advice: {line}").format(line=_line(one)), one)
    if hall and not hall.fatal:
        click.echo(_summary(hall))
    mistakes = counted(len(errors), "mistake")
    click.echo(_("{mistakes}.").format(mistakes=mistakes) if errors else _("The configuration is right."))
    if hall is None or hall.fatal:
        click.echo(_("Nothing of it can run."))
    if running is not None and (words := running.words()):
        click.echo(words)


def _tell(line: str, error: ConfigError) -> None:
    """A mistake as the loader words it; below it, for whoever does not read English, what the book says."""
    click.echo(line)
    for words in book_lines(error.code):
        click.echo(f"  {words}")


def _line(error: ConfigError) -> str:
    advice = f" ({error.hint})" if error.hint else ""
    return str(error) if error.line or not error.path else f"{error.path}: {error.message}{advice}"


def _summary(hall: LoadedHall) -> str:
    document = hall.document
    drivers = Counter(terminal.driver for terminal in document.terminals)
    lines = [
        f"{counted(len(document.windows), 'window')}, {counted(len(document.terminals), 'terminal')}, "
        f"{counted(len(document.buses), 'bus', 'buses')}, {counted(len(document.tickets), 'ticket layout')}",
        *(f"  {name}: {drivers[name]}" for name in sorted(drivers)),
        _("installed drivers: {names}").format(names=", ".join(driver_names()) or _("none")),
    ]
    if hall.quarantined:
        lines.append(_("left out until they are corrected: {names}").format(names=", ".join(sorted(hall.quarantined))))
    return "\n".join(lines)


def _print_json(
    errors: list[ConfigError], advice: tuple[Problem, ...], hall: LoadedHall | None, running: Running | None
) -> None:
    document = hall.document if hall else None
    print_json(
        {
            "ok": not errors,
            "problems": [_described(error) for error in errors],
            "advice": [_described(one) for one in advice],
            "quarantined": sorted(hall.quarantined) if hall else [],
            "windows": len(document.windows) if document else 0,
            "terminals": len(document.terminals) if document else 0,
            "buses": len(document.buses) if document else 0,
            "tickets": len(document.tickets) if document else 0,
            "drivers": list(driver_names()),
            "running": running.values() if running else None,
        }
    )


def _described(error: ConfigError) -> dict[str, object]:
    return {
        "path": error.path,
        "line": error.line or None,
        "pointer": error.pointer,
        "code": error.code or "invalid",
        "message": error.message,
        "hint": error.hint,
        "fatal": getattr(error, "fatal", False),
    }
