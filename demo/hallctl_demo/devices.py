"""The device sides of the demo hall, on real transports: TCP, ptys, one shared RS-485 wire, an RTSP stream."""

import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from hallctl_drivers.camera.sim import CameraSimulator
from hallctl_drivers.escpos.sim import EscposSimulator
from hallctl_drivers.ff68.codec import KEY_CALL, KEY_EVALUATE, KEY_PAUSE, KEY_TRANSFER
from hallctl_drivers.ff68.sim import Ff68KeypadSimulator, Ff68PadSimulator
from hallctl_drivers.keyboard.sim import KeyboardSimulator
from hallctl_drivers.onbon_bx.sim import OnbonSimulator
from hallctl_drivers.pinganlihe.sim import PingAnLiHeSimulator
from hallctl_drivers.webpad.sim import WebPadSimulator
from hallctl_drivers.xinrui.sim import XinruiSimulator

from hallctl.driver import WireSimulator, on_pty, on_tcp
from hallctl_demo.document import BARS, KEYPADS, PADS, TABLET_BAR

KEYS = {"next": KEY_CALL, "evaluate": KEY_EVALUATE, "pause": KEY_PAUSE, "transfer": KEY_TRANSFER}


@dataclass
class Devices:
    """Every simulated device by terminal id, and where each listens."""

    printers: dict[str, EscposSimulator] = field(default_factory=dict)
    boards: dict[str, OnbonSimulator] = field(default_factory=dict)
    bars: dict[str, PingAnLiHeSimulator] = field(default_factory=dict)
    pads: dict[str, Ff68PadSimulator] = field(default_factory=dict)
    keypads: dict[str, Ff68KeypadSimulator] = field(default_factory=dict)
    tablet_bar: XinruiSimulator = field(default_factory=lambda: XinruiSimulator(address=TABLET_BAR))
    tablet: WebPadSimulator = field(default_factory=WebPadSimulator)
    number_pad: KeyboardSimulator = field(default_factory=KeyboardSimulator)
    camera: CameraSimulator | None = None
    addresses: dict[str, str] = field(default_factory=dict)
    board_plugs: dict[str, contextlib.AsyncExitStack] = field(default_factory=dict)

    async def unplug_board(self, name: str) -> None:
        """Take a display's power away."""
        await self.board_plugs.pop(name).aclose()

    async def plug_board(self, name: str) -> None:
        """Give it back, at the same address; what it showed is gone."""
        self.boards[name].power_cycle()
        port = int(self.addresses[name].rsplit(":", 1)[1])
        plug = contextlib.AsyncExitStack()
        await plug.enter_async_context(on_tcp(self.boards[name], port=port))
        self.board_plugs[name] = plug


@contextlib.asynccontextmanager
async def running_devices(folder: Path, person: Path) -> AsyncIterator[Devices]:
    """Put every device on its wire until the block is left."""
    devices = _make(person)
    async with contextlib.AsyncExitStack() as stack:
        tcp = await stack.enter_async_context(on_tcp(devices.printers["printer-1"]))
        pty = await stack.enter_async_context(on_pty([devices.printers["printer-2"]], str(folder / "printer-2.tty")))
        devices.addresses |= {"printer-1": tcp, "printer-2": pty}
        for name, board in devices.boards.items():
            plug = contextlib.AsyncExitStack()
            devices.addresses[name] = await plug.enter_async_context(on_tcp(board))
            devices.board_plugs[name] = plug
        shared: list[WireSimulator] = [*devices.pads.values(), *devices.keypads.values(), *devices.bars.values()]
        devices.addresses["bus-a"] = await stack.enter_async_context(on_pty(shared, str(folder / "bus-a.tty")))
        devices.addresses["bus-b"] = await stack.enter_async_context(
            on_pty([devices.tablet_bar], str(folder / "bus-b.tty"))
        )
        devices.addresses["keypad-w4"] = await stack.enter_async_context(on_tcp(devices.number_pad))
        devices.addresses["pad-w4"] = f"127.0.0.1:{_free_port()}"
        await stack.enter_async_context(devices.tablet.visit(f"http://{devices.addresses['pad-w4']}/pad/pad-w4"))
        if devices.camera is not None:
            devices.addresses["camera-1"] = await stack.enter_async_context(devices.camera.serve("127.0.0.1", 0))
        try:
            yield devices
        finally:
            for plug in devices.board_plugs.values():
                await plug.aclose()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _make(person: Path) -> Devices:
    return Devices(
        printers={"printer-1": EscposSimulator(), "printer-2": EscposSimulator(width=384)},
        boards={"board-1": OnbonSimulator(), "board-2": OnbonSimulator()},
        bars={window: PingAnLiHeSimulator(address=address) for window, address in BARS.items()},
        pads={window: Ff68PadSimulator(address=address) for window, address in PADS.items()},
        keypads={window: Ff68KeypadSimulator(address=address) for window, address in KEYPADS.items()},
        camera=CameraSimulator(person=person),
    )
