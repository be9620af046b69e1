"""A USB keyboard as a gadget: reports go into the kernel's HID function, and come out of the host's input layer."""

import asyncio
import os
from pathlib import Path

from usb_lab.gadget import Gadget

# The boot keyboard of the HID specification (appendix B.1): eight modifiers, a reserved byte, six keys; five lamps.
_REPORT = bytes.fromhex(
    "05 01 09 06 a1 01 05 07 19 e0 29 e7 15 00 25 01 75 01 95 08 81 02 95 01 75 08 81 03 95 05 75 01 05 08 19 01 29 05"
    "91 02 95 01 75 03 91 03 95 06 75 08 15 00 25 65 05 07 19 00 29 65 81 00 c0"
)
USAGES = {"KEY_1": 0x1E, "KEY_5": 0x22, "KEY_KPENTER": 0x58, "KEY_KPPLUS": 0x57, "KEY_KP7": 0x5F}  # HID usage page 07
_RELEASED = bytes(8)


class KeyboardGadget(Gadget):
    """One keyboard; its name under /dev/input/by-id is udev's work."""

    kind = "hid"

    @property
    def url(self) -> str:
        """Its port."""
        return f"input:///dev/input/by-id/usb-hallctl_Lab_Printer_{self.serial}-event-kbd"

    async def press(self, *names: str) -> None:
        """Press and release each key, as fast as the host fetches reports."""
        for name in names:
            await self._report(bytes((0, 0, USAGES[name], 0, 0, 0, 0, 0)))
            await self._report(_RELEASED)

    async def _report(self, report: bytes) -> None:
        async with asyncio.timeout(10):
            while True:
                try:
                    os.write(self._file, report)
                except BlockingIOError:  # the host has not fetched the last one yet
                    await asyncio.sleep(0.005)
                else:
                    return

    async def _serve(self) -> None:
        """A keyboard speaks only when a key is pressed."""
        await asyncio.Event().wait()

    def _set_up(self, function: Path) -> None:
        self._function = function
        for name, value in (("protocol", "1"), ("subclass", "1"), ("report_length", "8")):
            (function / name).write_text(value)
        (function / "report_desc").write_bytes(_REPORT)

    def _nodes(self) -> set[Path]:
        return set()

    def _node(self, before: set[Path]) -> Path:  # the function says its number itself
        number = (self._function / "dev").read_text().strip().partition(":")[2]
        return Path(f"/dev/hidg{number}")
