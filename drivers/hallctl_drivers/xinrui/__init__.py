"""欣瑞 (Xinrui) window bars on a shared RS-485 bus."""

from hallctl.driver import Attachment, Capability, DriverPlugin
from hallctl_drivers.xinrui.codec import HEAD, XinruiFraming
from hallctl_drivers.xinrui.config import XinruiOptions
from hallctl_drivers.xinrui.driver import NAK, XinruiBar
from hallctl_drivers.xinrui.explain import explain
from hallctl_drivers.xinrui.sim import XinruiSimulator

PLUGIN = DriverPlugin(
    name="xinrui",
    summary="欣瑞 window bars (RS-485, 9600 8N1)",
    attachment=Attachment.BUS,
    capabilities=frozenset({Capability.DISPLAY}),
    options=XinruiOptions,
    make=XinruiBar,
    simulate=XinruiSimulator,
    explain=explain,
    faults={NAK: "the bar refuses a text: shorten it, or correct the option colours"},
    framing=XinruiFraming(),
    bus_gap_s=0.02,  # no pause is documented; its frames have no end mark, so that silence helps a bar to find the next
    heads=(HEAD,),
)
