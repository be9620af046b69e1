"""``hallctl fleet logs``: what happens, or happened, in some halls."""

import asyncio
import json
import re
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from hallctl.cli.fleet.options import (
    broker_options,
    name_of,
    selection_of,
    settings_of,
    stay_at_desk,
    to_option,
    with_desk,
)
from hallctl.cli.language import _
from hallctl.cli.output import EX_FAILED, EX_OK, local_time, print_json
from hallctl.fleet.backfill import ask_again, backfill
from hallctl.fleet.desk import Desk
from hallctl.fleet.feed import Gap
from hallctl.fleet.logbook import Line, LogBook
from hallctl.fleet.planning import selected
from hallctl.fleet.reader import Change, ControllerChanged
from hallctl.fleet.reading import site_filters
from hallctl.fleet.selector import Selection
from hallctl.link.broker import Message
from hallctl.link.topics import Topics, read_topic

SPAN = re.compile(r"^([0-9]+)([smhd])$")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@click.command()
@to_option()
@click.option("--follow", "-f", is_flag=True, help="Go on with what happens, until Ctrl-C.")
@click.option("--since", metavar="TIME", help="10m, 2h, 1d, or 2026-03-02T09:00; asks each controller for its log.")
@click.option("--type", "kinds", metavar="TYPE", multiple=True, help="ticket.*, rating.given, alert.* ...; repeatable.")
@broker_options
def logs(
    *,
    to: tuple[str, ...],
    follow: bool,
    since: str | None,
    kinds: tuple[str, ...],
    config: Path | None,
    broker: str | None,
    as_json: bool,
) -> int:
    """Print events and alerts of controllers, in the order of their time. Numbers that are missing are told.

    Default: of the last ten minutes. Exit code 1 when something could not be had. --json prints one envelope a line.
    """
    moment = _moment(since) if since or not follow else None
    view = _View(selection_of(to), LogBook(kinds), as_json=as_json)
    run = stay_at_desk if follow else with_desk
    return run(settings_of(config, broker), lambda desk: view.run(desk, moment, follow=follow))


class _View:
    """One reading of the log."""

    def __init__(self, selection: Selection, book: LogBook, *, as_json: bool) -> None:
        self._selection = selection
        self._book = book
        self._json = as_json
        self._lines: list[Line] = []
        self._live = False
        self._gaps: asyncio.Queue[Gap | None] = asyncio.Queue()
        self._desk: Desk | None = None
        self._whom: frozenset[Topics] = frozenset()

    async def run(self, desk: Desk, since: datetime | None, *, follow: bool) -> int:
        if self._desk is None:
            self._desk = desk
            desk.raw_listeners.append(self._take)
            desk.listeners.append(self._changed)
        await desk.subscribe(*site_filters(self._selection.sites, ["event/+"]))
        await desk.read(self._selection.sites, "alert/+", marker=False)
        views = selected(desk.reader.controllers.values(), self._selection)
        self._whom |= frozenset(view.topics for view in views)
        problems: list[str] = []
        if since is not None and not self._live:
            online = [(v.topics, v.state.last_seq) for v in views if v.state and desk.is_online(v.topics)]
            problems = [
                _("{name} is offline").format(name=name_of(v.topics)) for v in views if not desk.is_online(v.topics)
            ]
            problems += await backfill(desk, self._book, online, since)
            self._print_collected(since)
        for problem in problems:
            click.echo(_("warning: {problem}").format(problem=problem), err=True)
        if follow:
            self._live = True
            await self._follow(desk)
        return EX_FAILED if problems or not views else EX_OK

    async def _follow(self, desk: Desk) -> None:
        """Until SIGINT or SIGTERM; what is missing is told and asked for again."""
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._gaps.put_nowait, None)
        while (gap := await self._gaps.get()) is not None:
            topics = self._topics_of(gap)
            problem = await ask_again(desk, topics, gap.first, gap.last) if topics else _("nobody knows it")
            words = _("asked for again")
            if problem:
                words = _("asked for again, in vain: {problem}").format(problem=problem)
            click.echo(
                _("warning: {source}: {numbers} did not come; {words}").format(
                    source=gap.source, numbers=_numbers(gap), words=words
                ),
                err=True,
            )

    def _take(self, message: Message) -> None:
        place = read_topic(message.topic)
        if place is None or (self._live and place.topics not in self._whom and not self._joins(place.topics)):
            return
        for one in self._book.take(message):
            if isinstance(one, Gap):
                self._note(one)
            elif self._live:
                self._print(one)
            else:
                self._lines.append(one)

    def _changed(self, change: Change) -> None:
        if not isinstance(change, ControllerChanged) or self._desk is None:
            return
        view = self._desk.reader.controllers[change.topics]
        if view.state is not None and view.state.status == "online":
            for gap in self._book.heartbeat(change.topics, view.state.last_seq, view.state.boot):
                self._note(gap)

    def _note(self, gap: Gap) -> None:
        if self._live and self._topics_of(gap) in self._whom:
            self._gaps.put_nowait(gap)

    def _joins(self, topics: Topics) -> bool:
        """Whether a controller that was not known at the start is one of those that are followed."""
        view = self._desk.reader.controllers.get(topics) if self._desk else None
        if view is None or not self._selection.matches(view.traits):
            return False
        self._whom |= {topics}
        return True

    def _print_collected(self, since: datetime) -> None:
        wanted = [one for one in self._lines if one.envelope.time >= since and one.topics in self._whom]
        for line in sorted(wanted, key=lambda one: (one.envelope.time, one.envelope.seq or 0)):
            self._print(line, sorted_in=True)
        self._lines.clear()

    def _print(self, line: Line, *, sorted_in: bool = False) -> None:
        if self._json:
            print_json(line.envelope.model_dump(mode="json"))
            return
        late = _("  (late)") if line.late and not sorted_in else ""
        when = local_time(line.envelope.time)
        click.echo(f"{when}  {name_of(line.topics)}  {line.kind}  {_words(line.envelope.data)}{late}")

    @staticmethod
    def _topics_of(gap: Gap) -> Topics | None:
        place = read_topic(f"{gap.source}/state")
        return place.topics if place else None


def _moment(text: str | None) -> datetime:
    """``10m`` ago, or a moment. Raises ``click.UsageError``."""
    text = text or "10m"
    if found := SPAN.match(text):
        return datetime.now(UTC) - timedelta(**{UNITS[found[2]]: int(found[1])})
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError as exc:
        raise click.UsageError(
            _("--since {text}: write 10m, 2h, 1d, or a time such as 2026-03-02T09:00.").format(text=text)
        ) from exc


def _numbers(gap: Gap) -> str:
    return (
        _("number {first}").format(first=gap.first)
        if gap.first == gap.last
        else _("numbers {first} to {last}").format(first=gap.first, last=gap.last)
    )


def _words(data: dict[str, Any]) -> str:
    """Data on one line: plain values as they are, the rest as JSON, cut."""
    parts = []
    for key, value in data.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        parts.append(f"{key}={text if len(text) <= 60 else text[:57] + '...'}")
    return " ".join(parts)
