"""``hallctl fleet command``: one command to many controllers, and what became of it on each."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from hallctl.cli.command import readable
from hallctl.cli.fleet.options import (
    broker_options,
    by_option,
    name_of,
    selection_of,
    settings_of,
    to_option,
    with_desk,
)
from hallctl.cli.language import _, counted, marked
from hallctl.cli.output import EX_FAILED, EX_OK, print_json, print_table
from hallctl.cli.words import explained
from hallctl.errors import RequestRefused
from hallctl.fleet.calls import AT_ONCE, EXPIRES_S, Answer
from hallctl.fleet.desk import Desk
from hallctl.fleet.planning import selected
from hallctl.fleet.selector import Selection
from hallctl.link.topics import Topics
from hallctl.model import Command, ReplyState

OF_THE_LINK = ("replay", "recorded", "rebirth")  # commands that no request of the hall's describes
FEW = 20


@click.command()
@click.argument("name")
@click.argument("arguments", nargs=-1, metavar="[KEY=VALUE]...")
@to_option(required=True)
@click.option("--timeout", default=EXPIRES_S, show_default=True, type=click.FloatRange(1, 3600), help="Seconds.")
@click.option(
    "--at-once", default=AT_ONCE, show_default=True, type=click.IntRange(1, 1000), help="So many at one time."
)
@click.option("--all", "everything", is_flag=True, help="List also those that did it.")
@click.option("--unchecked", is_flag=True, help="Send it although this desk's release does not know it.")
@by_option
@broker_options
def command(
    *,
    name: str,
    arguments: tuple[str, ...],
    to: tuple[str, ...],
    timeout: float,
    at_once: int,
    everything: bool,
    unchecked: bool,
    by: str,
    config: Path | None,
    broker: str | None,
    as_json: bool,
) -> int:
    """Send the command NAME (text.show, display.set, window.set ...) to many controllers.

    KEY=VALUE are its arguments; fields.number=A001 goes into a map, VALUE may be JSON in [] or {}. Controllers that are
    offline are not waited for. Exit code 0: all did it. --json prints one object a controller and line.
    """
    data = read_arguments(name, arguments)
    return send_to_all(
        name,
        data,
        selection_of(to),
        lambda work: with_desk(settings_of(config, broker), work, by),
        timeout_s=timeout,
        at_once=at_once,
        everything=everything,
        unchecked=unchecked,
        as_json=as_json,
    )


def send_to_all(
    name: str,
    data: Mapping[str, Any],
    selection: Selection,
    run: Any,
    *,
    timeout_s: float = EXPIRES_S,
    at_once: int = AT_ONCE,
    everything: bool = False,
    unchecked: bool = False,
    as_json: bool = False,
) -> int:
    """Send, wait, print; gives the exit code. ``run`` gives a connected desk to the work."""

    async def work(desk: Desk) -> list[Answer]:
        filled = data if unchecked else check_request(name, data, desk.by)
        return await ask(desk, name, filled, selection, timeout_s=timeout_s, at_once=at_once)

    answers: list[Answer] = run(work)
    answers.sort(key=lambda one: (one.topics.site, one.topics.controller))
    if as_json:
        for answer in answers:
            print_json(_values(answer))
    else:
        _print(answers, everything=everything)
    return EX_OK if answers and all(done(one) for one in answers) else EX_FAILED


async def ask(
    desk: Desk, name: str, data: Mapping[str, Any], selection: Selection, *, timeout_s: float, at_once: int
) -> list[Answer]:
    """Ask every selected controller that is online. Raises ``RequestRefused`` when a selector means nobody."""
    await desk.read(selection.sites, marker=False)
    known = [view.traits for view in desk.reader.controllers.values() if view.known]
    if nobody := selection.without_match(known):
        hint = "hallctl fleet status --all lists the controllers that the broker knows"
        raise RequestRefused("selector.empty", f"no controller fits {' and none fits '.join(nobody)}", hint=hint)
    views = selected(desk.reader.controllers.values(), selection)
    online = [view.topics for view in views if desk.is_online(view.topics)]
    away = [view.topics for view in views if not desk.is_online(view.topics)]
    offline = [Answer(topics, None, marked("it is offline; nothing was sent")) for topics in away]
    asked = desk.calls.ask_all(online, name, data, timeout_s=timeout_s, at_once=at_once) if online else None
    return [*offline, *([answer async for answer in asked] if asked else [])]


def check_request(name: str, data: Mapping[str, Any], by: str) -> dict[str, Any]:
    """The arguments as this release knows them; the box decides. Raises ``RequestRefused`` that names wrong fields."""
    from hallctl.controller.requests import REQUESTS, read_request  # noqa: PLC0415  # loads the edge side

    if name in OF_THE_LINK:
        return {key: _number(value) for key, value in data.items()}
    filled = dict(data)
    if name in REQUESTS and "by" in REQUESTS[name].model_fields:
        filled.setdefault("by", by)
    try:
        read_request(Command("check", name, datetime.now(UTC), filled))
    except RequestRefused as exc:
        hint = (
            _("{hint}; --unchecked sends it all the same").format(hint=exc.hint)
            if exc.hint
            else _("--unchecked sends it all the same")
        )
        raise RequestRefused(exc.code, exc.message, hint=hint) from exc
    return filled


def read_arguments(name: str, texts: Sequence[str]) -> dict[str, Any]:
    """``key=value`` as typed; a dot goes into a map. Raises ``click.UsageError``."""
    found: dict[str, Any] = {}
    for text in texts:
        path, equals, value = str(readable(text)).partition("=")
        if not equals or not path:
            raise click.UsageError(
                _("{text!r} is no argument of {name}: write KEY=VALUE.").format(text=text, name=name)
            )
        *parents, last = path.split(".")
        place = found
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = _value(value)
    return found


def done(answer: Answer) -> bool:
    """Whether the controller did it."""
    return answer.reply is not None and answer.reply.state in (ReplyState.SUCCEEDED, ReplyState.ACCEPTED)


def _value(text: str) -> Any:
    if text[:1] in ("[", "{"):
        try:
            return json.loads(text)
        except ValueError as exc:
            raise click.UsageError(
                _("{text!r} begins like JSON and is none: {exc}.").format(text=text, exc=exc)
            ) from exc
    return text


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def _print(answers: Sequence[Answer], *, everything: bool) -> None:
    found = Counter(_result(one) for one in answers)
    click.echo(
        f"{counted(len(answers), 'controller')}: {', '.join(f'{n:,} {_(word)}' for word, n in found.most_common())}"
    )
    listed = [one for one in answers if everything or len(answers) <= FEW or not done(one) or _partly(one)]
    if listed:
        print_table(("controller", "result", "why, or what came of it", "what to do"), [_row(one) for one in listed])


def _row(answer: Answer) -> tuple[str, ...]:
    reply = answer.reply
    if reply is None:
        return name_of(answer.topics), _(_result(answer)), _(answer.problem), ""
    code = f" [{reply.code}]" if reply.code else ""
    message, hint = explained(reply.code, reply.message, reply.hint) if reply.code else (reply.message, reply.hint)
    words = f"{message}{code}" if message or code else _short(reply.data)
    return (
        name_of(answer.topics),
        _(_result(answer)),
        " ".join(part for part in (words, _partly(answer)) if part),
        hint,
    )


def _partly(answer: Answer) -> str:
    failed = answer.reply.data.get("failed") if answer.reply else None
    return (
        _("failed: {names}").format(names=", ".join(map(str, failed))) if isinstance(failed, Mapping) and failed else ""
    )


def _result(answer: Answer) -> str:
    if answer.reply is None:
        return marked("offline") if answer.problem.startswith("it is offline") else marked("no answer")
    return marked("done") if answer.reply.state is ReplyState.SUCCEEDED else answer.reply.state.value.replace("_", " ")


def _short(data: Mapping[str, Any]) -> str:
    text = json.dumps(dict(data), ensure_ascii=False, default=str) if data else ""
    return text if len(text) <= 100 else f"{text[:97]}..."


def _values(answer: Answer) -> dict[str, Any]:
    topics: Topics = answer.topics
    reply = answer.reply
    body: dict[str, Any] = {"site": topics.site, "controller": topics.controller, "result": _result(answer)}
    if reply is None:
        return {**body, "state": None, "message": answer.problem}
    words = {"code": reply.code, "message": reply.message, "hint": reply.hint}
    return {**body, "command": reply.command, "state": reply.state.value, **words, "data": dict(reply.data)}
