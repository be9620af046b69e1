"""One frame of ``hallctl top``, from two looks at the box: pure, so that a test sees what a person sees.

What is wrong comes first; where the screen is too small, what is well is left out and counted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hallctl.cli.language import _
from hallctl.link.look_data import LookBus, LookResult, LookTerminal

UNITS = ("B", "kB", "MB", "GB", "TB")
_STATUS_STYLE = {"online": "green", "offline": "red", "quarantined": "red", "starting": "yellow"}
_HEAD_LINES = 4  # the box itself, and an empty line
_TABLE_LINES = 1  # a heading
_BUSY_WARNING, _BUSY_WRONG = 0.6, 0.8


@dataclass(frozen=True, slots=True)
class Rates:
    """What was counted between two looks. Of one look alone nothing is known, and shown as such."""

    before: LookResult | None
    now: LookResult

    @property
    def seconds(self) -> float:
        """Between the looks; 0: there is one only, or the daemon was started anew between them."""
        if self.before is None or self.before.boot != self.now.boot:
            return 0.0
        return max(0.0, self.now.seconds - self.before.seconds)

    def of(self, now: float, before: float | None) -> float | None:
        """How much it grows a second."""
        if not self.seconds or before is None:
            return None
        return max(0.0, now - before) / self.seconds

    def terminal(self, name: str) -> LookTerminal | None:
        """As it was before."""
        return next((one for one in self.before.terminals if one.id == name), None) if self.before else None

    def bus(self, name: str) -> LookBus | None:
        """As it was before."""
        return next((one for one in self.before.buses if one.id == name), None) if self.before else None


def frame(before: LookResult | None, now: LookResult, height: int) -> RenderableType:
    """The whole screen; ``height``: how many lines there are."""
    rates = Rates(before, now)
    parts: list[RenderableType] = [*_head(rates), Text()]
    left = height - _HEAD_LINES - 1
    if now.buses:
        parts += [_buses(rates), Text()]
        left -= len(now.buses) + _TABLE_LINES + 1
    return Group(*parts, *_terminals(rates, max(3, left - _TABLE_LINES)))


def _head(rates: Rates) -> list[Text]:
    now, before = rates.now, rates.before
    up = timedelta(seconds=int((now.at - now.since).total_seconds()))
    name = f" {now.name}" if now.name else ""
    first = Text(f"{now.site}/{now.controller}{name}", style="bold")
    first.append(
        f"  hallctl {now.version}  " + _("up {time}").format(time=up) + f"  {now.at.astimezone():%H:%M:%S}", ""
    )
    busy = rates.of(now.process.cpu_s, before.process.cpu_s if before else None)
    cpu = "-" if busy is None else f"{busy * 100:.0f} %"
    box = _("cpu {cpu}  memory {memory}  evidence {evidence}  disk free {free}").format(
        cpu=cpu,
        memory=size(now.process.memory_bytes),
        evidence=size(now.evidence_bytes),
        free=size(now.disk_free_bytes),
    )
    return [first, _link_line(now), Text(box)]


def _link_line(now: LookResult) -> Text:
    line = Text()
    if not now.link.configured:
        line.append(_("no broker"), "yellow")
    elif now.link.connected:
        line.append(_("broker connected"), "green")
    else:
        line.append(_("no connection to the broker"), "red")
    waiting = _("  events waiting {count}").format(count=now.outbox.waiting)
    line.append(waiting + (f" ({_seconds(now.outbox.oldest_s)})" if now.outbox.waiting else ""))
    line.append(_("  open alerts {count}").format(count=sum(now.alerts.values())), "red" if now.alerts else "")
    if not now.clock_synchronised:
        line.append(_("  the clock is not synchronised"), "red")
    return line


def _buses(rates: Rates) -> Table:
    table = _table(_("bus"), _("busy"), _("frames/s"), _("unanswered/s"), _("garbage/s"))
    for bus in rates.now.buses:
        before = rates.bus(bus.id)
        busy = rates.of(bus.busy_s, before.busy_s if before else None)
        state = Text(bus.id, style="" if bus.open else "red")
        counts = (("frames_in", "frames_out"), ("timeouts",), ("garbage_bytes",))
        rest = [_rate(rates.of(_sum(bus, names), _sum(before, names) if before else None)) for names in counts]
        table.add_row(state, _share(busy), *rest)
    return table


def _terminals(rates: Rates, room: int) -> list[RenderableType]:
    ordered = sorted(rates.now.terminals, key=lambda one: (one.status == "online", not one.faults, one.id))
    shown = ordered if len(ordered) <= room else ordered[: room - 1]
    table = _table(_("terminal"), _("state"), _("trouble"), _("in/s"), _("out/s"), _("waiting"), _("heard"))
    for one in shown:
        table.add_row(*_terminal_row(one, rates))
    left = len(ordered) - len(shown)
    if not left:
        return [table]
    return [table, Text(_("... {count} more").format(count=left), style="dim")]


def _terminal_row(one: LookTerminal, rates: Rates) -> Sequence[Text]:
    before = rates.terminal(one.id)
    received = rates.of(one.bytes_in, before.bytes_in if before else None)
    sent = rates.of(one.bytes_out, before.bytes_out if before else None)
    camera = "" if one.fps is None else f"{one.fps:.0f} fps {one.detector_ms or 0:.0f} ms"
    trouble = ", ".join(one.faults) or one.reason
    heard = "" if one.last_in is None else _seconds((rates.now.at - one.last_in).total_seconds())
    return (
        Text(one.id),
        Text(one.status, style=_STATUS_STYLE.get(one.status, "")),
        Text(trouble or camera, style="red" if trouble else "dim"),
        _rate(received, size),
        _rate(sent, size),
        Text(str(one.waiting or "")),
        Text(heard),
    )


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for number, heading in enumerate(headings):
        table.add_column(heading, no_wrap=True, overflow="ellipsis", justify="left" if number < 3 else "right")
    return table


def _sum(bus: LookBus, names: Sequence[str]) -> float:
    return float(sum(bus.counters.get(name, 0) for name in names))


def _rate(value: float | None, words: Callable[[float], str] = "{:.1f}".format) -> Text:
    if value is None:
        return Text("-", style="dim")
    return Text(words(value) if value else "")


def _share(value: float | None) -> Text:
    if value is None:
        return Text("-", style="dim")
    style = "red" if value > _BUSY_WRONG else "yellow" if value > _BUSY_WARNING else ""
    return Text(f"{min(value, 1):.0%}", style=style)


def _seconds(value: float) -> str:
    return f"{max(0.0, value):.0f} s" if value < 120 else str(timedelta(seconds=int(value)))


def size(value: float) -> str:
    """Bytes in the unit that people read."""
    for unit in UNITS[:-1]:
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 10 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} {UNITS[-1]}"
