"""平安力合 (Ping'an Lihe) window bars, protocol V2.1, on a shared RS-485 bus."""

from hallctl.driver import Attachment, Capability, DriverPlugin
from hallctl_drivers.pinganlihe.codec import COMMAND_START, TEXT_START, PingAnLiHeFraming
from hallctl_drivers.pinganlihe.config import PingAnLiHeOptions
from hallctl_drivers.pinganlihe.driver import PingAnLiHeBar
from hallctl_drivers.pinganlihe.sim import PingAnLiHeSimulator

PLUGIN = DriverPlugin(
    name="pinganlihe",
    summary="平安力合 window bars, protocol V2.1 (RS-485, 9600 8N1)",
    attachment=Attachment.BUS,
    capabilities=frozenset({Capability.DISPLAY}),
    options=PingAnLiHeOptions,
    make=PingAnLiHeBar,
    simulate=PingAnLiHeSimulator,
    faults={},
    framing=PingAnLiHeFraming(),
    bus_gap_s=0.1,  # the maker's document asks for 100 ms between frames
    heads=(bytes((COMMAND_START,)), bytes((TEXT_START,))),
    addresses=range(1, 100),
)
