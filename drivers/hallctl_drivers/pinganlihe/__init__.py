"""平安力合 (Ping'an Lihe) window bars and main boards, protocol V2.1, on a shared RS-485 bus."""

from hallctl.driver import Attachment, Capability, DriverPlugin
from hallctl_drivers.pinganlihe.board import PingAnLiHeBoard
from hallctl_drivers.pinganlihe.codec import COMMAND_START, TEXT_START, PingAnLiHeFraming
from hallctl_drivers.pinganlihe.config import BoardOptions, PingAnLiHeOptions
from hallctl_drivers.pinganlihe.driver import PingAnLiHeBar
from hallctl_drivers.pinganlihe.explain import explain
from hallctl_drivers.pinganlihe.sim import BoardSimulator, PingAnLiHeSimulator

FRAMING = PingAnLiHeFraming()
GAP_S = 0.1  # the maker's document asks for 100 ms between frames
HEADS = (bytes((COMMAND_START,)), bytes((TEXT_START,)))

PLUGIN = DriverPlugin(
    name="pinganlihe",
    summary="平安力合 window bars, protocol V2.1 (RS-485, 9600 8N1)",
    attachment=Attachment.BUS,
    capabilities=frozenset({Capability.DISPLAY}),
    options=PingAnLiHeOptions,
    make=PingAnLiHeBar,
    simulate=PingAnLiHeSimulator,
    explain=explain,
    faults={},
    framing=FRAMING,
    bus_gap_s=GAP_S,
    heads=HEADS,
    addresses=range(1, 100),
)

BOARD = DriverPlugin(
    name="pinganlihe-board",
    summary="平安力合 main boards, protocol V2.1 (RS-485, 9600 8N1)",
    attachment=Attachment.BUS,
    capabilities=frozenset({Capability.DISPLAY}),
    options=BoardOptions,
    make=PingAnLiHeBoard,
    simulate=BoardSimulator,
    explain=explain,
    faults={},
    framing=FRAMING,
    bus_gap_s=GAP_S,
    heads=HEADS,
)
