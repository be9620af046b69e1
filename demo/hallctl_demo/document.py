"""The demo hall's two documents: four windows, seventeen terminals on every kind of port."""

from pathlib import Path
from typing import Any

import yaml
from PIL import Image, ImageDraw

SITE, CONTROLLER = "demo-hall", "box-1"
WINDOWS = ("w1", "w2", "w3")
PADS = {"w1": 1, "w2": 2, "w3": 3}
KEYPADS = {"w1": 11, "w2": 12, "w3": 13}
BARS = {"w1": 21, "w2": 22, "w3": 23}
TABLET_WINDOW, TABLET_BAR = "w4", 41  # its devices are of other families: a 欣瑞 bar, a tablet, a number pad
NAMES = ("张三", "李四", "王五", "赵六")
GRACE_S = 3.0

TICKET = {
    "id": "queue",
    "lines": [
        {"logo": "logo.png"},
        {"text": "政务服务大厅", "align": "center", "size": [2, 2], "bold": True},
        {"rule": True},
        {"text": "{service}", "align": "center"},
        {"text": "{number}", "align": "center", "size": [3, 3], "bold": True},
        {"columns": ["您前面等候", "{waiting} 人"]},
        {"columns": ["办理窗口", "{window} 号"], "optional": True},
        {"columns": ["取号时间", "{date} {time}"]},
        {"rule": True},
        {"text": "请留意显示屏，过号请重新取号。", "align": "center"},
        {"qr": "https://example.org/q/{number}?t={job}", "module": 4},
    ],
}


def write(folder: Path, *, broker_port: int, addresses: dict[str, str], model: Path) -> Path:
    """Write controller.yaml and hall.yaml; gives the path of the first."""
    controller = {
        "site": SITE,
        "controller": CONTROLLER,
        "name": "演示大厅 1 号控制器",
        "broker": {"host": "127.0.0.1", "port": broker_port},
        "hall": "hall.yaml",
        "state_dir": "state",
        "model": str(model),
        "heartbeat_s": 2,
        "lease_s": 8,
        "trust_clock": True,
    }
    _dump(folder / "hall.yaml", hall(addresses))
    _draw_logo(folder / "logo.png")
    _dump(folder / "controller.yaml", controller)
    return folder / "controller.yaml"


def hall(addresses: dict[str, str]) -> dict[str, Any]:
    """The hall document; ``addresses`` says where each simulated device listens."""
    return {
        "version": 1,
        "buses": [{"id": bus, "port": f"serial://{addresses[bus]}?baud=9600"} for bus in ("bus-a", "bus-b")],
        "terminals": [
            *_printers(addresses),
            *_displays(addresses),
            *_bus_terminals(),
            *_of_tablet_window(addresses),
            _camera(addresses),
        ],
        "windows": [_window(name) for name in (*WINDOWS, TABLET_WINDOW)],
        "main_boards": {"displays": ["board-1", "board-2"], "lines": 3},
        "tickets": [TICKET],
        "printing": {"wait_s": 20},
        "evaluation": {"timeout_s": 20},
        "duty_hours": {
            "spans": [
                {"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "start": "00:00", "end": "23:59"},
            ],
        },
        "attendance": {
            "grace_s": GRACE_S,
            "return_after_s": 1.5,
            "blind_after_s": 10,
            "preroll_s": 4,
            "clip_max_s": 30,
        },
        "alerts": {"terminal_offline_after_s": 60},
    }


def _printers(addresses: dict[str, str]) -> list[dict[str, Any]]:
    options = {"poll_every_s": 1}
    return [
        {
            "id": "printer-1",
            "name": "取号机 1",
            "driver": "escpos",
            "port": addresses["printer-1"],
            "fallback": "printer-2",
            "options": options,
        },
        {
            "id": "printer-2",
            "name": "取号机 2",
            "driver": "escpos",
            "port": f"serial://{addresses['printer-2']}?baud=115200",
            "options": {**options, "profile": "pos-58", "confirm": "gs_h", "cut": "partial"},
        },
    ]


def _displays(addresses: dict[str, str]) -> list[dict[str, Any]]:
    options = {"width_px": 192, "height_px": 64, "lines": 3, "poll_every_s": 1}
    return [
        {"id": name, "driver": "onbon-bx", "port": addresses[name], "options": options}
        for name in ("board-1", "board-2")
    ]


def _bus_terminals() -> list[dict[str, Any]]:
    families = (("pad", "ff68-pad", PADS), ("keypad", "ff68-keypad", KEYPADS), ("bar", "pinganlihe", BARS))
    return [
        {"id": f"{kind}-{window}", "driver": driver, "bus": "bus-a", "address": address}
        for kind, driver, where in families
        for window, address in where.items()
    ]


def _of_tablet_window(addresses: dict[str, str]) -> list[dict[str, Any]]:
    options = {"listen": addresses["pad-w4"], "title": "演示政务服务大厅"}
    return [
        {"id": "bar-w4", "driver": "xinrui", "bus": "bus-b", "address": TABLET_BAR},
        {"id": "pad-w4", "driver": "web-pad", "options": options},
        {"id": "keypad-w4", "driver": "keyboard-keypad", "port": addresses["keypad-w4"]},
    ]


def _camera(addresses: dict[str, str]) -> dict[str, Any]:
    options = {"url": addresses["camera-1"], "check_every_s": 1}
    return {"id": "camera-1", "driver": "camera", "options": options}


def _draw_logo(path: Path) -> None:
    """A gate under a roof, 12 mm high."""
    picture = Image.new("L", (144, 96), 255)
    pen = ImageDraw.Draw(picture)
    pen.polygon(((8, 40), (72, 6), (136, 40)), fill=0)
    for left in (20, 52, 84, 116):
        pen.rectangle((left, 46, left + 8, 80), fill=0)
    pen.rectangle((10, 84, 134, 92), fill=128)
    picture.save(path)


def _window(name: str) -> dict[str, Any]:
    number = name.removeprefix("w")
    window: dict[str, Any] = {
        "id": name,
        "label": number,
        "display": f"bar-{name}",
        "pad": f"pad-{name}",
        "keypad": f"keypad-{name}",
        "staff": {
            "number": f"010{number}",
            "name": NAMES[int(number) - 1],
            "stars": 5,
        },
    }
    if name == "w1":
        window["post"] = {"camera": "camera-1", "zone": [[0.2, 0.05], [0.8, 0.05], [0.8, 1.0], [0.2, 1.0]]}
    return window


def _dump(path: Path, document: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), encoding="utf-8")
