"""The day: what happens in the hall, and what has to be seen at the centre because of it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

from hallctl.model import Reply, ReplyState
from hallctl_demo.centre import Centre, Expected
from hallctl_demo.devices import KEYS, Devices
from hallctl_demo.document import TABLET_WINDOW, WINDOWS

TERMINALS = 17
RUSH = 60


@dataclass
class Day:
    """One play. ``say`` narrates; ``checks`` keeps what was expected and whether it was seen."""

    centre: Centre
    devices: Devices
    say: Callable[[str], None]
    checks: list[tuple[str, bool, str]] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)
    numbers: dict[str, float] = field(default_factory=dict)
    evidence: dict[str, bytes] = field(default_factory=dict)
    pace_s: float = 0.0  # between scenes, for somebody who watches
    started: float = field(default_factory=time.monotonic)

    async def play(self) -> None:
        """The whole day, scene after scene; a scene that fails is noted and the day goes on."""
        scenes = (
            self._opening,
            self._tickets,
            self._calls_and_ratings,
            self._tablet,
            self._keypad_pause,
            self._paper,
            self._self_test,
            self._display_loses_power,
            self._empty_post,
            self._rush,
        )
        for scene in scenes:
            await self._play_scene(scene)

    async def _play_scene(self, scene: Callable[[], Awaitable[None]]) -> None:
        name = scene.__name__.strip("_").replace("_", " ")
        try:
            await scene()
            await asyncio.sleep(self.pace_s)
            self.checks.append((name, True, ""))
        except Exception as exc:  # noqa: BLE001  # whatever a scene dies of belongs in the summary
            self.checks.append((name, False, str(exc) or repr(exc)))
            self.say(f"✗ {name}: {exc}")

    async def _opening(self) -> None:
        self.say("开门 — the hall opens: every terminal comes online")
        first = self.centre.until(lambda: self._online() >= 1, "a first terminal online", 40)
        await first
        self.numbers["first_terminal_online_s"] = round(time.monotonic() - self.started, 2)
        await self.centre.until(lambda: self._online() == TERMINALS, f"{TERMINALS} terminals online", 60)
        self.numbers["all_terminals_online_s"] = round(time.monotonic() - self.started, 2)

    def _online(self) -> int:
        view = self.centre.view
        return sum(one.status == "online" for one in view.terminals.values()) if view else 0

    async def _tickets(self) -> None:
        self.say("取号 — citizens take tickets at two printers")
        for number, printer in (
            ("A001", "printer-1"),
            ("A002", "printer-1"),
            ("B001", "printer-2"),
            ("A003", "printer-1"),
        ):
            await self._print(number, printer)
        printed = [ticket for printer in self.devices.printers.values() for ticket in printer.tickets]
        _require(len(printed) == 4, f"4 tickets on paper, not {len(printed)}")
        for number in ("A001", "A002", "B001", "A003"):
            _require(any(number in line for one in printed for line in one.lines), f"{number} on paper")

    async def _print(self, number: str, printer: str) -> Reply:
        service = "不动产登记" if number.startswith("A") else "社保业务"
        fields = {"number": number, "service": service, "waiting": str(int(number[1:]) - 1), "window": "1"}
        reply = await self.centre.command("ticket.print", printer=printer, layout="queue", fields=fields)
        _require(reply.state is ReplyState.SUCCEEDED, f"ticket {number} is {reply.state.value}: {reply.message}")
        await self.centre.until(lambda: self._tickets_with("ticket.printed", number), f"ticket.printed {number}")
        return reply

    def _tickets_with(self, kind: str, number: str) -> list[object]:
        return [one for one in self.centre.events(kind) if one["data"]["fields"]["number"] == number]

    async def _calls_and_ratings(self) -> None:
        self.say("叫号 — a keypad's next key asks the queue system, which calls; the service ends, the citizen rates")
        queue = {"w1": ("A001", 3, 5), "w2": ("A002", 2, 4), "w3": ("B001", 0, 2)}
        for window, (ticket, key, score) in queue.items():
            await self._serve(window, ticket, key, score)
        reply = await self.centre.command("number.recall", window="w1")
        _require(reply.state is ReplyState.REJECTED, "a recall after the service has ended is refused")

    async def _serve(self, window: str, ticket: str, key: int, score: int) -> None:
        self.devices.keypads[window].press_key(KEYS["next"])
        await self.centre.until(
            lambda: self.centre.events("key.pressed", window=window, key="next"), f"next key of {window}"
        )
        await self._call(window, ticket)
        await self._command("number.recall", window=window)
        await self._command("window.set", window=window, state="serving")
        await self._command("window.set", window=window, state="welcome")
        pad = self.devices.pads[window]
        await self._device(lambda: pad.evaluating, f"the pad of {window} asks")
        pad.press(key)
        await self.centre.until(
            lambda: self.centre.events("rating.given", window=window, ticket=ticket, score=score),
            f"rating {score} of {ticket}",
        )
        await self._device(lambda: pad.thanked >= 1, f"the pad of {window} thanks")

    async def _tablet(self) -> None:
        self.say("平板 — window 4 calls with a number pad; its citizen rates on a tablet")
        window, tablet, bar = TABLET_WINDOW, self.devices.tablet, self.devices.tablet_bar
        self.devices.number_pad.press("KEY_KPENTER")
        await self.centre.until(lambda: self.centre.events("key.pressed", window=window, key="next"), "its next key")
        await self._command("number.call", window=window, ticket="A006")
        await self._device(lambda: "A006" in bar.shown.text, "A006 on the bar of window 4")
        await self._command("window.set", window=window, state="serving")
        await self._command("window.set", window=window, state="welcome")
        await self._device(lambda: tablet.showing == "asking", "the tablet asks")
        answer = tablet.press(5)
        await self._device(lambda: answer in tablet.thanked, "the tablet thanks")
        given = partial(self.centre.events, "rating.given", window=window, score=5, answer=answer)
        await self.centre.until(given, "the rating of window 4")

    async def _call(self, window: str, ticket: str) -> None:
        bar, boards = self.devices.bars[window], self.devices.boards.values()
        await self._command("number.call", window=window, ticket=ticket)
        await self.centre.until(
            lambda: self.centre.events("number.called", window=window, ticket=ticket), f"call of {ticket}"
        )
        await self._device(lambda: ticket in "".join(bar.shown.lines), f"{ticket} on the bar of {window}")
        await self._device(
            lambda: all(ticket in "".join(board.shown.lines) for board in boards), f"{ticket} on the main boards"
        )

    async def _keypad_pause(self) -> None:
        self.say("暂停 — the pause key closes window 2, and opens it again")
        bar = self.devices.bars["w2"]
        for state in ("paused", "welcome"):
            self.devices.keypads["w2"].press_key(KEYS["pause"])
            pressed = partial(self.centre.events, "window.changed", window="w2", state=state, by="keypad")
            await self.centre.until(pressed, f"window 2 {state}")
            await asyncio.sleep(1.0)  # a person's pace: a second press at once would be the keypad's repeat
        _require(bool(bar.shown.lines), "the bar of window 2 shows something")

    async def _paper(self) -> None:
        self.say("缺纸 — printer 1 runs out of paper: printer 2 takes over; then that one's cover is open, too")
        first, second = self.devices.printers["printer-1"], self.devices.printers["printer-2"]
        first.remove_paper()
        await self.centre.until(
            lambda: self.centre.events("fault.raised", terminal="printer-1", code="paper.end"), "paper.end is seen"
        )
        await self.centre.until(lambda: self.centre.alerts("terminal.fault", "raised"), "an alert about the paper")
        reply = await self._print("A004", "printer-1")
        _require(reply.data["printer"] == "printer-2", "printer 2 takes over for printer 1")
        second.open_cover()
        waiting = asyncio.ensure_future(self._print("A005", "printer-1"))
        await asyncio.sleep(2.0)
        _require(not waiting.done(), "a ticket that nobody can print waits")
        before = len(first.tickets)
        first.load_paper()
        second.close_cover()
        await self.centre.until(
            lambda: self.centre.events("fault.cleared", terminal="printer-1", code="paper.end"), "paper.end is cleared"
        )
        reply = await waiting
        _require(reply.data["printer"] in ("printer-1", "printer-2"), "the ticket is printed as soon as one can")
        on_paper = [one for printer in (first, second) for one in printer.tickets if "A005" in one.lines]
        _require(len(on_paper) == 1, f"A005 is on paper once, not {len(on_paper)} times")
        _require(len(first.tickets) <= before + 1, "nothing else is printed")
        await self.centre.until(lambda: self.centre.alerts("terminal.fault", "cleared"), "the alert is cleared")

    async def _self_test(self) -> None:
        self.say("自检 — both printers print their self-test and say what they can do")
        for name, printer in self.devices.printers.items():
            reply = await self.centre.command("printer.test", printer=name)
            _require(reply.state is ReplyState.SUCCEEDED, f"the self-test is {reply.state.value}: {reply.message}")
            _require(len(reply.data["abilities"]) > 8, "the table of abilities")
            _require(any(line.startswith("123456789") for line in printer.tickets[-1].lines), "a ruler on paper")

    async def _display_loses_power(self) -> None:
        self.say("断电 — main board 2 loses its power and comes back with what it has to show")
        await self.devices.unplug_board("board-2")
        await self.centre.until(lambda: self.centre.events("terminal.offline", terminal="board-2"), "board-2 is missed")
        reply = await self.centre.command("number.call", window="w3", ticket="B002")
        _require(reply.state is ReplyState.SUCCEEDED, "a call works without one of the boards")
        _require("board-2" in reply.data["failed"], "the reply names the board that did not show it")
        await self.devices.plug_board("board-2")
        board = self.devices.boards["board-2"]
        await self._device(lambda: "B002" in "".join(board.shown.lines), "board-2 shows the call that it missed", 30)

    async def _empty_post(self) -> None:
        camera = self.devices.camera
        if camera is None:
            raise Expected("there is no camera")
        self.say("离岗 — somebody leaves the post at window 1")
        camera.set_scene("empty")
        await self.centre.until(lambda: self.centre.alerts("post.empty", "raised"), "the alert about the post", 40)
        alert = self.centre.alerts("post.empty", "raised")[0]["data"]["id"]
        await self._command("alert.acknowledge", alert=alert, by="大厅主管")
        self.say("返岗 — and comes back")
        camera.set_scene("present")
        await self.centre.until(lambda: self.centre.alerts("post.empty", "cleared"), "the alert is cleared", 40)
        await self.centre.until(lambda: self._clips(alert), "the alert's clip", 40)
        for kind in ("snapshot", "clip"):
            self.evidence[kind] = await self.centre.fetch(alert, kind)
        last = [one["data"] for one in self.centre.envelopes if one["data"].get("id") == alert][-1]
        _require(last["state"] == "cleared", f"the last word about the alert is cleared, not {last['state']}")
        view = self.centre.view
        _require(view is not None and not view.alerts, "no alert is left open at the broker")

    def _clips(self, alert: str) -> bool:
        bodies = [
            one["data"]
            for state in ("raised", "acknowledged", "cleared")
            for one in self.centre.alerts("post.empty", state)
        ]
        return any(item["kind"] == "clip" for body in bodies if body["id"] == alert for item in body["evidence"])

    async def _rush(self) -> None:
        self.say(f"高峰 — {RUSH} calls in a row")
        board = self.devices.boards["board-1"]
        feed = board.feed
        arrivals: list[float] = []

        def timed(data: bytes) -> bytes:
            arrivals.append(time.perf_counter())
            return feed(data)

        board.feed = timed  # type: ignore[method-assign]
        try:
            for number in range(RUSH):
                arrivals.clear()
                began = time.perf_counter()
                await self._command("number.call", window=WINDOWS[number % 3], ticket=f"C{number + 1:03}")
                if arrivals:
                    self.latencies_ms.append((arrivals[0] - began) * 1000)
        finally:
            board.feed = feed  # type: ignore[method-assign]

    async def _command(self, name: str, **data: object) -> None:
        reply = await self.centre.command(name, **data)
        _require(reply.state is ReplyState.SUCCEEDED, f"{name} is {reply.state.value}: {reply.message}")

    async def _device(self, wanted: Callable[[], object], what: str, seconds: float = 15.0) -> None:
        deadline = time.monotonic() + seconds
        while not wanted():
            if time.monotonic() >= deadline:
                raise Expected(f"{what}: not within {seconds:g} s")
            await asyncio.sleep(0.02)


def _require(true: bool, what: str) -> None:
    if not true:
        raise Expected(what)
