"""The SDK that drivers import: capabilities, plug-ins, discovery by entry point, simulators, conformance."""

from hallctl.config.loading import read_document
from hallctl.config.secrets import read_secret
from hallctl.driver.capability import (
    Ability,
    AbilityState,
    Camera,
    Capability,
    CaptureSpec,
    EvaluationPad,
    Keypad,
    NumberDisplay,
    PrintJob,
    PrintOutcome,
    PrintState,
    StreamSpec,
    TicketPrinter,
)
from hallctl.driver.discovery import driver_names, load_driver
from hallctl.driver.explain import Explained, Explainer, FrameExplainer, by_framing
from hallctl.driver.line import BusLine, Framing
from hallctl.driver.plugin import Attachment, DriverOptions, DriverPlugin
from hallctl.driver.sim import Simulator, StreamSimulator, VisitingSimulator, WireSimulator, on_pty, on_tcp
from hallctl.driver.terminal import Connection, Health, TerminalContext, TerminalDriver
from hallctl.hall.message import Colour, DisplayKind, DisplayMessage, EvaluationRequest, StaffCard
from hallctl.hall.signal import Key, KeyPressed, RatingSubmitted, Signal
from hallctl.transport import Direction

__all__ = [
    "Ability",
    "AbilityState",
    "Attachment",
    "BusLine",
    "Camera",
    "Capability",
    "CaptureSpec",
    "Colour",
    "Connection",
    "Direction",
    "DisplayKind",
    "DisplayMessage",
    "DriverOptions",
    "DriverPlugin",
    "EvaluationPad",
    "EvaluationRequest",
    "Explained",
    "Explainer",
    "FrameExplainer",
    "Framing",
    "Health",
    "Key",
    "KeyPressed",
    "Keypad",
    "NumberDisplay",
    "PrintJob",
    "PrintOutcome",
    "PrintState",
    "RatingSubmitted",
    "Signal",
    "Simulator",
    "StaffCard",
    "StreamSimulator",
    "StreamSpec",
    "TerminalContext",
    "TerminalDriver",
    "TicketPrinter",
    "VisitingSimulator",
    "WireSimulator",
    "by_framing",
    "driver_names",
    "load_driver",
    "on_pty",
    "on_tcp",
    "read_document",
    "read_secret",
]
