"""Upgrades that go bad, each in its own way, come back by themselves; one that is well stays."""

from collections.abc import Callable

from lab.bench import scenario, until
from lab.box import TERMINALS, Box
from lab.broken import BAD_VERSION
from lab.failing import whole
from lab.machine import Ran
from lab.mood import MOOD_FILE

WINDOW_S = 120  # longer than a start takes, also in emulation
SHORT_S = 45  # ends while systemd still waits for a start
CAME_BACK = 3
TRIAL = "/opt/hallctl/trial"


@scenario("upgrade: another version takes the place of one that does not run, and the first one takes it back")
def swaps(box: Box) -> None:
    box.run("systemctl", "stop", "hallctl").well()
    for version in (BAD_VERSION, box.good):
        box.machine.run("bash", "-c", _script(box, version)).well()
        assert box.run("hallctl", "--version").well() == f"hallctl {version}"
        assert box.run("systemctl", "is-enabled", "hallctl").well() == "enabled"
        assert box.run("systemctl", "is-active", "hallctl").code, "it was started, and nobody watched it"
    box.run("systemctl", "start", "hallctl").well()
    box.ready()


@scenario("upgrade: a version that can't use the configuration is refused before anything is touched")
def refused(box: Box) -> None:
    before, boot = dict(box.centre.entries), box.boot_number()
    _mood(box, "forgets a key")
    done = _begin(box)()
    assert done.code == 1, done
    assert "unknown key 'heartbeat_s'" in done.out and f"{box.good} goes on" in done.out, done
    _as_before(box, before)
    assert box.boot_number() == boot, "the daemon was started again"


@scenario("upgrade: a version that crashes at its start goes back by itself")
def falls(box: Box) -> None:
    _comes_back(box, "falls", "started again")


@scenario("upgrade: a version that is never ready goes back by itself")
def never_ready(box: Box) -> None:
    _comes_back(box, "never ready", "still starting", SHORT_S)


@scenario("upgrade: a version that crashes later goes back by itself, with everything that was recorded")
def crashes(box: Box) -> None:
    _comes_back(box, "crashes", "started again")


@scenario("upgrade: a version that hangs goes back by itself")
def hangs(box: Box) -> None:
    _comes_back(box, "hangs", "")


@scenario("upgrade: a version that loses terminals goes back by itself, also when the technician's session has ended")
def loses(box: Box) -> None:
    before = dict(box.centre.entries)
    _mood(box, "loses")
    session = box.sh(f"setsid {_script(box, BAD_VERSION)} > /root/said 2>&1 & echo $!")
    _until_it_runs(box, BAD_VERSION)
    box.sh(f"kill -KILL -- -{session}")
    until("the trial is over", lambda: box.run("test", "-e", TRIAL).code)
    _as_before(box, before)
    assert "terminals are online, before the upgrade there were" in box.sh("cat /var/log/hallctl-upgrade.log")


@scenario("upgrade: one that fails half way leaves the old version running")
def half_way(box: Box) -> None:
    before, unit = dict(box.centre.entries), "/usr/local/lib/systemd/system/hallctl.service"
    _mood(box, "")
    box.sh(f"echo '# mine' >> {unit}; chattr +i {unit}")
    try:
        done = _begin(box)()
    finally:
        box.sh(f"chattr -i {unit}; sed -i '/^# mine/d' {unit}; systemctl daemon-reload")
    assert done.code == CAME_BACK and f"going back to {box.good}" in done.out, done
    _as_before(box, before)


@scenario("upgrade: when the power fails in its window, the bad version is watched on after the boot, and goes back")
def cut_in_window(box: Box) -> None:
    before = dict(box.centre.entries)
    _mood(box, "loses")
    _begin(box)
    _until_it_runs(box, BAD_VERSION)
    box.cut()
    box.boot()
    until("the trial is over", lambda: box.run("test", "-e", TRIAL).code)
    _as_before(box, before)


@scenario("upgrade: a version that is well stays, and the older one can be put back, with everything that was recorded")
def there_and_back(box: Box) -> None:
    _mood(box, "")
    for number, version in enumerate((BAD_VERSION, box.good)):
        before = dict(box.centre.entries)
        done = box.machine.run("bash", "-c", _script(box, version))
        assert done.code == 0, done
        _runs(box, version, before)
        box.prints("printer-usb", f"V00{number}")


def _comes_back(box: Box, mood: str, word: str, window_s: int = WINDOW_S) -> None:
    before = dict(box.centre.entries)
    _mood(box, mood)
    done = _begin(box, window_s)()
    assert done.code == CAME_BACK, done
    assert f"going back to {box.good}" in done.out and word in done.out, done
    _as_before(box, before)


def _mood(box: Box, mood: str) -> None:
    box.machine.order("write", path=MOOD_FILE, text=mood, mode=0o644)


def _script(box: Box, version: str, window_s: int = WINDOW_S) -> str:
    return f"{box.unpack(version)}/install.sh --upgrade --window {window_s}"


def _begin(box: Box, window_s: int = WINDOW_S) -> Callable[[], Ran]:
    return box.machine.begin_run("bash", "-c", _script(box, BAD_VERSION, window_s))


def _until_it_runs(box: Box, version: str) -> None:
    until(f"{version} runs", lambda: f'"{version}"' in box.run("cat", "/run/hallctl/health.json").out)


def _as_before(box: Box, before: dict[int, dict[str, object]]) -> None:
    """The old version runs with all that hangs on it, and knows all that was recorded."""
    assert box.run("test", "-e", TRIAL).code
    _runs(box, box.good, before)


def _runs(box: Box, version: str, before: dict[int, dict[str, object]]) -> None:
    assert box.run("hallctl", "--version").well() == f"hallctl {version}"
    box.ready()
    until("the version says so itself", lambda: box.centre.state["version"] == version)
    assert box.centre.online() >= TERMINALS
    whole(box, before)
