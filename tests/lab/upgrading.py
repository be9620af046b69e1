"""Upgrades that go bad, each in its own way, come back by themselves; so does one in whose window the power fails."""

from collections.abc import Callable

from lab.bench import scenario, until
from lab.box import TERMINALS, Box
from lab.broken import BAD_VERSION, MOOD_FILE
from lab.failing import whole
from lab.machine import Ran

WINDOW_S = 45
CAME_BACK = 3


@scenario("upgrade: a version that crashes goes back by itself, with everything that was recorded")
def crashes(box: Box) -> None:
    _comes_back(box, "crashes", "started again")


@scenario("upgrade: a version that hangs goes back by itself")
def hangs(box: Box) -> None:
    _comes_back(box, "hangs", "")


@scenario("upgrade: a version that loses terminals goes back by itself")
def loses(box: Box) -> None:
    _comes_back(box, "loses", "terminals are online")


@scenario("upgrade: when the power fails in its window, the bad version is watched on after the boot, and goes back")
def cut_in_window(box: Box) -> None:
    before = dict(box.centre.entries)
    _mood(box, "loses")
    _begin(box)
    until("the bad version runs", lambda: f'"{BAD_VERSION}"' in box.run("cat", "/run/hallctl/health.json").out)
    box.cut()
    box.boot()
    until("the trial is over", lambda: box.run("test", "-e", "/opt/hallctl/trial").code)
    _as_before(box, before)


@scenario("upgrade: a version that is well stays, with configuration and everything that was recorded")
def stays(box: Box) -> None:
    before = dict(box.centre.entries)
    _mood(box, "")
    done = _begin(box)()
    assert done.code == 0, done
    assert BAD_VERSION in box.run("hallctl", "--version").well()
    box.ready()
    assert box.centre.state["version"] == BAD_VERSION
    whole(box, before)
    box.prints("printer-usb", "V001")


def _comes_back(box: Box, mood: str, word: str) -> None:
    before = dict(box.centre.entries)
    _mood(box, mood)
    done = _begin(box)()
    assert done.code == CAME_BACK, done
    assert f"going back to {box.good}" in done.out and word in done.out, done
    _as_before(box, before)


def _mood(box: Box, mood: str) -> None:
    box.machine.order("write", path=MOOD_FILE, text=mood, mode=0o644)


def _begin(box: Box) -> Callable[[], Ran]:
    script = f"{box.unpack(BAD_VERSION)}/install.sh"
    return box.machine.begin_run(script, "--upgrade", "--window", str(WINDOW_S))


def _as_before(box: Box, before: dict[int, dict[str, object]]) -> None:
    """The old version runs with all that hangs on it, and knows all that was recorded."""
    assert box.good in box.run("hallctl", "--version").well()
    box.ready()
    until("the old version says so itself", lambda: box.centre.state["version"] == box.good)
    assert box.centre.online() >= TERMINALS
    assert box.run("test", "-e", "/opt/hallctl/trial").code
    whole(box, before)
