"""Every kind of device through the sandboxed daemon: works, is unplugged, works again."""

import re

from lab.bench import scenario, until
from lab.box import Box

# What hangs on which device of tests/lab/inside/devices.py, and the socket that it comes back in.
HANGING = {
    "printer-usb": ({"printer-usb"}, 0),
    "printer-lp": ({"printer-lp"}, 1),
    "line": ({"display-1", "pad-1"}, 2),
    "keyboard": ({"pad-2"}, 3),
    "camera": ({"camera-1"}, 0),
}


@scenario("printer: a ticket through libusb (usb://) is confirmed, and its paper is right")
def usb(box: Box) -> None:
    assert box.prints("printer-usb", "U001").data["confirmed_by"] == "gs_h"
    assert box.device("look")["refused"] == []


@scenario("printer: a ticket through the kernel's usblp (/dev/usb/lp) is confirmed, and its paper is right")
def usblp(box: Box) -> None:
    assert box.sh("ls /dev/usb/lp*").startswith("/dev/usb/lp")
    assert box.prints("printer-lp", "L001").data["confirmed_by"] == "gs_h"
    assert box.device("look")["refused"] == []


@scenario(
    "line: a call stands on the window's display, and a rating from its pad is on record before the citizen is thanked"
)
def line(box: Box) -> None:
    call(box, "A017")
    rate(box, "A017")


@scenario("keyboard: a key of a USB keyboard is a rating at the centre")
def keyboard(box: Box) -> None:
    before = box.centre.last_seq
    reply = box.centre.ask("evaluation.start", window="window-2", ticket="B001")
    assert str(reply.state) == "succeeded", reply
    box.device("press", keys=["KEY_5"])
    (rating,) = until("the rating is heard", lambda: box.centre.events("rating.given", before))
    assert (rating["window"], rating["score"], rating["pad"]) == ("window-2", 5, "pad-2"), rating


@scenario("camera: pictures of /dev/video0 arrive in the sandbox, and a post where nobody is gets its alert")
def camera(box: Box) -> None:
    alert = until("the empty post is told", lambda: open_alert(box))
    assert alert["window"] == "window-1" if "window" in alert else True, alert


def open_alert(box: Box) -> dict[str, object] | None:
    """The alert of the empty post."""
    entries = list(box.centre.entries.values())
    return next((entry["data"] for entry in entries if entry["type"] == "hallctl.alert.post.empty"), None)


def call(box: Box, ticket: str) -> None:
    """Call a number, and look at the display."""
    reply = box.centre.ask("number.call", window="window-1", ticket=ticket)
    assert str(reply.state) == "succeeded", reply
    until(f"{ticket} is shown", lambda: any(_number(ticket) in shown for shown in box.device("look")["display"]), 30)


def _number(ticket: str) -> str:
    return re.sub(r"^[A-Z]+", "", ticket)


def rate(box: Box, ticket: str) -> None:
    """Ask for a rating at the pad, press its first key, and see that it is on record when it thanks."""
    before, thanked = box.centre.last_seq, box.device("look")["thanked"]
    reply = box.centre.ask("evaluation.start", window="window-1", ticket=ticket)
    assert str(reply.state) == "succeeded", reply
    until("the pad's keys are lit", lambda: box.device("look")["pad_lit"], 30)
    assert box.device("rate", key=0)
    until("the citizen is thanked", lambda: box.device("look")["thanked"] > thanked, 30)
    rows = box.query("SELECT body FROM log WHERE type='rating.given' ORDER BY seq DESC LIMIT 1")
    assert f'"{ticket}"' in rows[0][0], rows
    until("the rating is heard", lambda: box.centre.events("rating.given", before))


def _replug(box: Box, device: str) -> None:
    terminals, socket = HANGING[device]
    box.device("unplug", device)
    until(f"{device} is missed", lambda: not terminals & box.centre.online())
    box.device("plug", device, socket=socket)
    until(f"{device} is back", lambda: terminals <= box.centre.online())


@scenario("replug: a printer on libusb is missed, and prints again")
def replug_usb(box: Box) -> None:
    _replug(box, "printer-usb")
    box.prints("printer-usb", "U002")


@scenario("replug: a printer on usblp is missed, and prints again")
def replug_usblp(box: Box) -> None:
    _replug(box, "printer-lp")
    box.prints("printer-lp", "L002")


@scenario("replug: a serial line is missed with all that hangs on it, and both work again")
def replug_line(box: Box) -> None:
    _replug(box, "line")
    call(box, "A018")
    rate(box, "A018")


@scenario("replug: a keyboard is missed, and its keys count again")
def replug_keyboard(box: Box) -> None:
    _replug(box, "keyboard")
    keyboard(box)


@scenario("replug: a camera is missed, and sees again")
def replug_camera(box: Box) -> None:
    _replug(box, "camera")


@scenario("replug: a device whose kernel driver is loaded long after the daemon has started works")
def late_driver(box: Box) -> None:
    box.device("unplug", "line")
    box.sh("modprobe -r cdc_acm; systemctl restart hallctl; ! grep -w ttyACM /proc/devices")
    until("the others are back", lambda: box.centre.online() >= {"printer-usb", "printer-lp", "pad-2"})
    box.device("plug", "line", socket=HANGING["line"][1])
    until("it is online", lambda: HANGING["line"][0] <= box.centre.online())
    call(box, "A019")
