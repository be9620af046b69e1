"""The harness of scripts/usb-lab builds terminals as the controller does: told here in a second, not by CI last."""

from types import SimpleNamespace

from usb_lab.bench import supervised
from usb_lab.keyboard_cases import keypad

from hallctl.model import TerminalStatus


async def test_a_printer_that_is_not_there_is_supervised(tmp_path):
    async with supervised(f"file://{tmp_path}/lp0") as printer:
        await printer.supervisor.first_pass.wait()
        assert printer.history[-1].status is TerminalStatus.OFFLINE
        assert printer.history[-1].reason == "port.absent"


async def test_a_keyboard_that_is_not_there_is_supervised(tmp_path):
    async with keypad(SimpleNamespace(url=f"input://{tmp_path}/event0")) as (pad, _said):
        await pad.supervisor.first_pass.wait()
        assert pad.history[-1].reason == "port.absent"
