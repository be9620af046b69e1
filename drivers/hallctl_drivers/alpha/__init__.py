"""Alpha signs (BetaBrite and others), for halls where ASCII is enough."""

from hallctl.driver import Attachment, Capability, DriverPlugin
from hallctl_drivers.alpha.codec import SOH, AlphaFraming
from hallctl_drivers.alpha.config import AlphaOptions
from hallctl_drivers.alpha.driver import NAK, AlphaSign
from hallctl_drivers.alpha.explain import explain
from hallctl_drivers.alpha.sim import AlphaSimulator

PLUGIN = DriverPlugin(
    name="alpha",
    summary="Alpha (BetaBrite) signs, ASCII only (RS-232, RS-485, 9600 7E1)",
    attachment=Attachment.BUS,
    capabilities=frozenset({Capability.DISPLAY}),
    options=AlphaOptions,
    make=AlphaSign,
    simulate=AlphaSimulator,
    explain=explain,
    faults={NAK: "the sign did not understand a text: check the line, its 7E1, and the option dimming"},
    framing=AlphaFraming(),
    bus_gap_s=0.02,  # no pause is demanded between packets; a sign needs a moment before it reads its register
    heads=(b"\0", bytes((SOH,))),
    line="7E1",
    addresses=range(1, 33),
)
