"""Onbon BX-5K/6K font cards: LED panels over TCP 5005 or a serial line of their own."""

from hallctl.driver import Attachment, Capability, DriverPlugin
from hallctl_drivers.onbon_bx.config import OnbonOptions
from hallctl_drivers.onbon_bx.driver import NAK, OnbonDisplay
from hallctl_drivers.onbon_bx.sim import OnbonSimulator

PLUGIN = DriverPlugin(
    name="onbon-bx",
    summary="LED panels with an Onbon BX-5K or BX-6K font card (TCP 5005, RS-232/485)",
    attachment=Attachment.PORT,
    capabilities=frozenset({Capability.DISPLAY}),
    options=OnbonOptions,
    make=OnbonDisplay,
    simulate=OnbonSimulator,
    tcp_ports=(5005,),
    faults={NAK: "the card refuses a command; the message names its error number and what to do about it"},
)
