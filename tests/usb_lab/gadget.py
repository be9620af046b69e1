"""The devices: USB gadgets made in configfs, plugged into the guest's own dummy ports, with hallctl's simulator inside.

The kernel's printer function gives the device's side as ``/dev/g_printerN``, its ACM function as ``/dev/ttyGSN``.
"""

import asyncio
import contextlib
import os
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, Self

from hallctl_drivers.escpos.sim import EscposSimulator


class Device(Protocol):
    """What is inside: any of hallctl's simulators, or several that share a line."""

    emit: Callable[[bytes], None]

    def connected(self) -> None: ...

    def feed(self, data: bytes) -> bytes: ...


CONFIGFS = Path("/sys/kernel/config/usb_gadget")
VENDOR, PRODUCT = "1d6b", "0104"
_READ_ALL = 131072  # Linux 6.1 frees a buffer twice when it is unplugged half read (usb_f_printer): never leave one so
_PAUSE_S = 0.005  # the device file is asked again after this; poll() on it is an error while nobody has configured it


class Gadget:
    """One device. ``appetite``: how many bytes it still takes (None: any); ``pace``: so many at most, then a rest."""

    kind = "printer"

    def __init__(self, serial: str = "HALL0001", sim: Device | None = None, *, queue: int = 10) -> None:
        self.serial = serial
        self.sim: Any = sim or EscposSimulator()
        self.sim.emit = self._say
        self.appetite: int | None = None
        self.pace: tuple[int, float] = (4096, 0.0)
        self._queue = queue  # buffers of 8 KiB that the kernel fills before the device itself has read anything
        self._folder = CONFIGFS / f"hall-{serial.lower()}"
        self._file = -1
        self._received = b""
        self._task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Its port."""
        return f"usb://{VENDOR}:{PRODUCT}?serial={self.serial}"

    async def __aenter__(self) -> Self:
        self._make()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.unplug()
        self._unmake()

    async def plug(self, socket: int = 0) -> None:
        """Plug it into one of the sockets 0 to 2, and switch it on."""
        before = self._nodes()
        await asyncio.to_thread((self._folder / "UDC").write_text, f"dummy_udc.{socket}\n")
        async with asyncio.timeout(10):
            while (descriptor := self._tried(self._node(before))) is None:
                await asyncio.sleep(_PAUSE_S)
        self._file = descriptor
        self.sim.connected()
        self._task = asyncio.create_task(self._serve())

    async def unplug(self) -> None:
        """Pull the plug. The device file is closed first: the kernel must not lose it while it is in use."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None
        self._received = b""
        os.close(self._file)
        await asyncio.to_thread((self._folder / "UDC").write_text, "\n")

    async def _serve(self) -> None:
        while True:
            data = self._take()
            if data:
                self._say(self.sim.feed(data))
            await asyncio.sleep(self.pace[1] if data else _PAUSE_S)

    def _take(self) -> bytes:
        """What the device works off next; the kernel is asked for more only when that is used up."""
        limit = self.pace[0] if self.appetite is None else min(self.appetite, self.pace[0])
        if limit and not self._received:
            with contextlib.suppress(OSError):  # nothing there, or nobody has configured it now
                self._received = os.read(self._file, _READ_ALL)
        data, self._received = self._received[:limit], self._received[limit:]
        if self.appetite is not None:
            self.appetite -= len(data)
        return data

    def _say(self, data: bytes) -> None:
        if data and self._task is not None:
            with contextlib.suppress(OSError):  # nobody listens: a printer drops it as well
                os.write(self._file, data)

    def _make(self) -> None:
        function = self._folder / "functions" / f"{self.kind}.{self.serial.lower()}"
        for folder in (self._folder, self._folder / "strings/0x409", self._folder / "configs/c.1", function):
            folder.mkdir()
        for name, value in (("idVendor", f"0x{VENDOR}"), ("idProduct", f"0x{PRODUCT}"), ("bcdUSB", "0x0200")):
            (self._folder / name).write_text(value)
        for name, value in (("serialnumber", self.serial), ("manufacturer", "hallctl"), ("product", "Lab Printer")):
            (self._folder / "strings/0x409" / name).write_text(value)
        self._set_up(function)
        (self._folder / "configs/c.1" / function.name).symlink_to(function)

    def _unmake(self) -> None:
        function = self._folder / "functions" / f"{self.kind}.{self.serial.lower()}"
        (self._folder / "configs/c.1" / function.name).unlink()
        for folder in (self._folder / "configs/c.1", function, self._folder / "strings/0x409", self._folder):
            folder.rmdir()

    def _set_up(self, function: Path) -> None:
        (function / "pnp_string").write_text("MFG:hallctl;MDL:Lab Printer;CLS:PRINTER;")
        (function / "q_len").write_text(str(self._queue))

    def _nodes(self) -> set[Path]:
        return set(Path("/dev").glob("g_printer*"))

    def _node(self, before: set[Path]) -> Path:
        """Which number the kernel has given it stands nowhere: it is the one that was not there before."""
        return (self._nodes() - before).pop()

    def _tried(self, node: Path) -> int | None:
        """The device file, ``None`` until the host's side has configured the device."""
        try:
            return self._open(node)
        except OSError:
            return None

    def _open(self, node: Path) -> int:
        return os.open(node, os.O_RDWR | os.O_NONBLOCK)


class SerialGadget(Gadget):
    """The same printer behind a USB serial adapter."""

    kind = "acm"

    def _set_up(self, function: Path) -> None:
        self._function = function

    def _node(self, before: set[Path]) -> Path:
        return Path(f"/dev/ttyGS{(self._function / 'port_num').read_text().strip()}")

    def _open(self, node: Path) -> int:
        descriptor = os.open(node, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY)
        tty.setraw(descriptor)
        return descriptor
