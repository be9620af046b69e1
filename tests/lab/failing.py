"""The daemon dies, hangs, or is stopped: what then is true again, and what is never lost."""

import re

from lab.bench import scenario, until
from lab.box import Box


@scenario("crash: a daemon that dies of a segmentation fault is started again, and works")
def crash(box: Box) -> None:
    _struck(box, "SEGV", "core-dump|signal")
    box.prints("printer-usb", "C001")


@scenario("hang: a daemon that stands still is found by the watchdog, started again, and works")
def hang(box: Box) -> None:
    _struck(box, "STOP", "watchdog")
    box.prints("printer-usb", "C002")


def _struck(box: Box, signal: str, result: str) -> None:
    """Send a signal to the main process; systemd has to notice in its own way, and start another one."""
    pid, (restarts,) = box.pid, box.show("NRestarts")
    boot, before = box.boot_number(), dict(box.centre.entries)
    box.sh(f"kill -{signal} {pid}")
    until("it is started again", lambda: box.show("NRestarts") != [restarts])
    until("it begins a new boot", lambda: box.boot_number() > boot)
    box.ready()
    assert box.pid not in (0, pid)
    said = box.run("journalctl", "-q", "-b", "-u", "hallctl", "--no-pager", "-o", "cat").out
    assert re.search(f"Failed with result '({result})'", said), said[-2000:]
    whole(box, before)


def whole(box: Box, before: dict[int, dict[str, object]]) -> None:
    """The log has every number, and what the centre had heard stands in it as it was heard."""
    last = box.query("SELECT max(seq) FROM log")[0][0]
    told = box.centre.heard.copy()
    box.centre.send("replay", {"from": 1, "to": last})
    until("the whole log is told again", lambda: all(box.centre.heard[seq] > told[seq] for seq in range(1, last + 1)))
    rows = {row[0] for row in box.query("SELECT seq FROM log")}
    missing = sorted(set(before) - rows)
    assert missing == [], f"heard by the centre, and not in the log: {missing}"
    gaps = sorted(set(range(1, max(rows) + 1)) - rows)
    assert gaps == [], f"numbers are missing: {gaps}"
    assert not box.centre.contradictions, box.centre.contradictions


@scenario("stop: a ticket that is being printed is finished and answered before the daemon goes")
def graceful(box: Box) -> None:
    box.device("appetite", "printer-usb", size=40)
    command = box.print_ticket("printer-usb", "S001")
    until("the ticket has begun", lambda: box.device("look")["appetite"]["printer-usb"] == 0)
    stopped = box.machine.begin_run("systemctl", "stop", "hallctl")
    until("it is stopping", lambda: box.show("ActiveState") == ["deactivating"])
    assert box.centre.final(command) is None
    box.device("appetite", "printer-usb", size=None)
    assert stopped().code == 0
    reply = box.centre.answer(command)
    assert str(reply.state) == "succeeded", reply
    until("the ticket is out", lambda: box.on_paper("S001") == ["printer-usb"], 30)
    assert box.show("Result") == ["success"]
    until("the centre knows that it was stopped", lambda: box.centre.state.get("status") == "offline")
    box.run("systemctl", "start", "hallctl").well()
    box.ready()
