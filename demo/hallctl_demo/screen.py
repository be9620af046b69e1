"""The demo on a terminal: state of every terminal, the event feed, the alerts, the displays."""

from collections import deque
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from hallctl_demo.centre import Centre
from hallctl_demo.devices import Devices

_COLOUR = {"online": "green", "offline": "red", "starting": "yellow", "quarantined": "magenta"}


class Screen:
    """Draws what the centre knows now."""

    def __init__(self, centre: Centre, devices: Devices, broker: str) -> None:
        self._centre = centre
        self._devices = devices
        self._broker = broker
        self._story: deque[str] = deque(maxlen=4)

    def say(self, line: str) -> None:
        """Narrate."""
        self._story.append(f"{datetime.now():%H:%M:%S}  {line}")

    def __rich__(self) -> RenderableType:
        layout = Layout()
        layout.split_column(Layout(name="story", size=6), Layout(name="main"), Layout(name="displays", size=8))
        layout["main"].split_row(Layout(self._terminals(), ratio=5), Layout(name="right", ratio=6))
        layout["right"].split_column(Layout(self._events(), ratio=3), Layout(self._alerts(), ratio=2))
        layout["story"].update(Panel("\n".join(self._story), title=f"hallctl demo · {self._broker}"))
        layout["displays"].update(self._displays())
        return layout

    def _terminals(self) -> RenderableType:
        table = Table(expand=True, box=None, pad_edge=False)
        for column in ("terminal", "driver", "state", "faults / reason"):
            table.add_column(column, no_wrap=True)
        view = self._centre.view
        for name, one in sorted(view.terminals.items()) if view else ():
            trouble = ", ".join(fault.code for fault in one.faults) or one.reason or ""
            table.add_row(name, one.driver, Text(one.status, style=_COLOUR.get(one.status, "")), trouble)
        return Panel(table, title="terminals")

    def _events(self) -> RenderableType:
        lines = [_event_line(one) for one in self._centre.envelopes if ".event." in one["type"]]
        return Panel(Group(*lines[-12:]), title="events")

    def _alerts(self) -> RenderableType:
        latest: dict[str, dict[str, Any]] = {}
        for one in self._centre.envelopes:
            if ".alert." in one["type"]:
                latest[one["data"]["id"]] = one["data"]
        lines = [_alert_line(body) for body in list(latest.values())[-6:]]
        return Panel(Group(*lines), title="alerts")

    def _displays(self) -> RenderableType:
        table = Table(expand=True, box=None, show_header=False)
        shown = {f"窗口 {name[1:]}": bar.shown.lines for name, bar in self._devices.bars.items()}
        shown["窗口 4"] = (self._devices.tablet_bar.shown.text,)
        shown |= {name: board.shown.lines for name, board in self._devices.boards.items()}
        for name, lines in shown.items():
            table.add_row(name, Text("  ".join(lines), style="bold red"))
        return Panel(table, title="displays, as a citizen sees them")


def _event_line(envelope: dict[str, Any]) -> Text:
    data = envelope["data"]
    shown = ("terminal", "window", "ticket", "score", "key", "state", "code", "printer", "absent_s")
    facts = " ".join(f"{key}={data[key]}" for key in shown if data.get(key) not in (None, ""))
    number = data.get("fields", {}).get("number", "")
    kind = envelope["type"].removeprefix("hallctl.event.")
    return Text(f"{envelope['seq']:>4} {kind:<18} {facts} {number}", no_wrap=True, overflow="ellipsis")


def _alert_line(body: dict[str, Any]) -> Text:
    since = datetime.fromisoformat(body["raised_at"]).astimezone(UTC)
    evidence = ", ".join(item["kind"] for item in body["evidence"])
    style = "dim" if body["state"] == "cleared" else "bold red"
    return Text(
        f"{since:%H:%M:%S} {body['state']:<12} {body['message']} {f'[{evidence}]' if evidence else ''}", style=style
    )
