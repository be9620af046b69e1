"""Pads and keypads that are keyboards (USB), through Linux's input devices."""

from hallctl.driver import Attachment, Capability, DriverPlugin
from hallctl_drivers.keyboard.config import KeyboardKeypadOptions, KeyboardPadOptions
from hallctl_drivers.keyboard.driver import KeyboardKeypad, KeyboardPad
from hallctl_drivers.keyboard.explain import explain
from hallctl_drivers.keyboard.sim import KeyboardSimulator

PAD = DriverPlugin(
    name="keyboard-pad",
    summary="evaluation pad that is a USB keyboard",
    attachment=Attachment.PORT,
    capabilities=frozenset({Capability.PAD}),
    options=KeyboardPadOptions,
    make=KeyboardPad,
    simulate=lambda fault, _address: KeyboardSimulator(fault),
    explain=explain,
    faults={},
)

KEYPAD = DriverPlugin(
    name="keyboard-keypad",
    summary="caller keypad that is a USB keyboard or numeric pad",
    attachment=Attachment.PORT,
    capabilities=frozenset({Capability.KEYPAD}),
    options=KeyboardKeypadOptions,
    make=KeyboardKeypad,
    simulate=lambda fault, _address: KeyboardSimulator(fault),
    explain=explain,
    faults={},
)
