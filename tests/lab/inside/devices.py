"""All that is plugged into the box, with hallctl's simulators inside: two printers, a line, a keyboard, a camera."""

import asyncio
import contextlib
import fcntl
import random
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from hallctl_drivers.escpos.sim import EscposSimulator
from hallctl_drivers.ff68.sim import Ff68PadSimulator
from hallctl_drivers.pinganlihe.sim import PingAnLiHeSimulator
from usb_lab.gadget import Gadget, SerialGadget
from usb_lab.keyboard import KeyboardGadget

from hallctl.driver import WireSimulator

ADDRESS = 3
MODULES = "configfs libcomposite usb_f_printer usb_f_acm usb_f_hid usblp cdc_acm usbhid hid_generic evdev"
_TREMBLE_S = 0.2
_BRIGHTNESS = (112, 144)  # around the driver's own 128; wide enough that two pictures are rarely the same
_CID_BRIGHTNESS, _VIDIOC_S_CTRL = 0x00980900, 0xC008561C  # linux/v4l2-controls.h, linux/videodev2.h
_VIVID = Path("/sys/bus/platform/drivers/vivid")

Tell = Callable[..., None]


class Line:
    """Several devices on one line: each hears every byte, and speaks when it wants to."""

    def __init__(self, devices: list[WireSimulator]) -> None:
        self._devices = devices

    @property
    def emit(self) -> Callable[[bytes], None]:
        """Where what they say by themselves goes."""
        return self._devices[0].emit

    @emit.setter
    def emit(self, emit: Callable[[bytes], None]) -> None:
        for device in self._devices:
            device.emit = emit

    def connected(self) -> None:
        """A new master has come."""
        for device in self._devices:
            device.connected()

    def feed(self, data: bytes) -> bytes:
        """Each hears it; what they answer goes out one behind the other."""
        return b"".join(device.feed(data) for device in self._devices)


class TellingPrinter(EscposSimulator):
    """Tells the host of every ticket before it confirms it: after a power cut nobody else knows what is on paper."""

    def __init__(self, name: str, tell: Tell) -> None:
        super().__init__()
        self._name = name
        self._tell = tell
        self._count = 0

    def feed(self, data: bytes) -> bytes:
        """As the printer does; then tell."""
        answer = super().feed(data)
        for ticket in self.tickets[self._count :]:
            self._tell(printed=self._name, lines=ticket.lines)
        self._count = len(self.tickets)
        return answer


class Camera:
    """The kernel's own test camera at /dev/video0; its brightness trembles a little, as that of a live sensor does."""

    def __init__(self) -> None:
        self._trembling: asyncio.Task[None] | None = None

    async def plug(self, socket: int = 0) -> None:
        """Load it, or give it back to its driver."""
        if not _VIVID.exists():
            await command("modprobe", "vivid", "n_devs=1", "node_types=0x1")
        elif not (_VIVID / "vivid.0").exists():
            await asyncio.to_thread((_VIVID / "bind").write_text, "vivid.0")
        self._trembling = self._trembling or asyncio.create_task(self._tremble())

    async def unplug(self) -> None:
        """Take it away from its driver: who has it open loses it."""
        if self._trembling is not None:
            self._trembling.cancel()
            await asyncio.gather(self._trembling, return_exceptions=True)
            self._trembling = None
        await asyncio.to_thread((_VIVID / "unbind").write_text, "vivid.0")

    async def _tremble(self) -> None:
        while True:
            with contextlib.suppress(OSError):  # udev has not made the node yet
                _set_brightness(random.randint(*_BRIGHTNESS))
            await asyncio.sleep(_TREMBLE_S)


def _set_brightness(value: int) -> None:
    with Path("/dev/video0").open("rb", buffering=0) as camera:
        fcntl.ioctl(camera, _VIDIOC_S_CTRL, struct.pack("Ii", _CID_BRIGHTNESS, value))


class Devices:
    """All of them; each is obeyed by name."""

    def __init__(self, tell: Tell) -> None:
        self._printers = {
            name: Gadget(serial, TellingPrinter(name, tell))
            for name, serial in (("printer-usb", "LAB0001"), ("printer-lp", "LAB0002"))
        }
        self._display = PingAnLiHeSimulator(address=ADDRESS)
        self._pad = Ff68PadSimulator(address=ADDRESS, repeat_s=1.0)
        self._keyboard = KeyboardGadget("LAB0004")
        self._all: dict[str, Any] = {
            **self._printers,
            "line": SerialGadget("LAB0003", Line([self._display, self._pad])),
            "keyboard": self._keyboard,
            "camera": Camera(),
        }
        self._orders: dict[str, Callable[..., Awaitable[Any]]] = {
            "plug": self._plug,
            "unplug": self._unplug,
            "paper": self._paper,
            "no_paper": self._no_paper,
            "appetite": self._appetite,
            "press": self._press,
            "rate": self._rate,
            "look": self._look,
        }

    async def obey(self, order: str, name: str = "", **arguments: Any) -> Any:
        """Carry out one order for the device of that name."""
        return await self._orders[order](name, **arguments)

    async def make(self) -> None:
        """Make them all and plug them in, as they are when a box is switched on."""
        await command("modprobe", "dummy_hcd", f"num={len(self._all) - 1}")
        await command("modprobe", "-a", *MODULES.split())
        if not Path("/sys/kernel/config/usb_gadget").exists():
            await command("mount", "-t", "configfs", "config", "/sys/kernel/config")
        for socket, device in enumerate(self._all.values()):
            if isinstance(device, Gadget):
                await device.__aenter__()
            await device.plug(socket)

    async def _plug(self, name: str, socket: int = 0) -> None:
        await self._all[name].plug(socket)

    async def _unplug(self, name: str) -> None:
        await self._all[name].unplug()

    async def _paper(self, name: str) -> None:
        self._printer(name).load_paper()

    async def _no_paper(self, name: str) -> None:
        self._printer(name).remove_paper()

    async def _appetite(self, name: str, size: int | None) -> None:
        self._printers[name].appetite = size

    async def _press(self, name: str, keys: list[str]) -> None:
        await self._keyboard.press(*keys)

    async def _rate(self, name: str, key: int) -> bool:
        return self._pad.press(key)

    async def _look(self, name: str) -> dict[str, Any]:
        return {
            "display": list(self._display.shown.lines),
            "pad_lit": self._pad.evaluating,
            "thanked": self._pad.thanked,
            "appetite": {name: printer.appetite for name, printer in self._printers.items()},
            "refused": [*self._display.refused, *self._pad.refused, *self._refused_by_printers()],
        }

    def _refused_by_printers(self) -> list[str]:
        return [word for printer in self._printers.values() for word in printer.sim.refused]

    def _printer(self, name: str) -> EscposSimulator:
        sim = self._printers[name].sim
        assert isinstance(sim, EscposSimulator)
        return sim


async def command(*argv: str) -> None:
    """Run it; raises ``RuntimeError`` with what it said."""
    process = await asyncio.create_subprocess_exec(*argv, stderr=asyncio.subprocess.PIPE)
    _, said = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {said.decode(errors='replace').strip()}")
