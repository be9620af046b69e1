"""Onbon BX-5K/6K font cards: LED panels over TCP 5005, a serial line of their own, or a shared RS-485 bus."""

from hallctl.driver import Attachment, Capability, DriverPlugin
from hallctl_drivers.onbon_bx.config import OnbonBusOptions, OnbonOptions
from hallctl_drivers.onbon_bx.driver import NAK, OnbonDisplay
from hallctl_drivers.onbon_bx.explain import explain
from hallctl_drivers.onbon_bx.frame import SYNC, OnbonFraming
from hallctl_drivers.onbon_bx.sim import OnbonBusSimulator, OnbonSimulator

FAULTS = {NAK: "the card refuses a command; the message names its error number and what to do about it"}

PLUGIN = DriverPlugin(
    name="onbon-bx",
    summary="LED panels with an Onbon BX-5K or BX-6K font card (TCP 5005, RS-232/485)",
    attachment=Attachment.PORT,
    capabilities=frozenset({Capability.DISPLAY}),
    options=OnbonOptions,
    make=OnbonDisplay,
    simulate=OnbonSimulator,
    explain=explain,
    tcp_ports=(5005,),
    faults=FAULTS,
)

BUS = DriverPlugin(
    name="onbon-bx-bus",
    summary="LED panels with an Onbon BX-5K or BX-6K font card that share an RS-485 line",
    attachment=Attachment.BUS,
    capabilities=frozenset({Capability.DISPLAY}),
    options=OnbonBusOptions,
    make=OnbonDisplay,
    simulate=OnbonBusSimulator,
    explain=explain,
    faults=FAULTS,
    framing=OnbonFraming(),
    bus_gap_s=0.01,  # the maker asks for none; ten byte times at 9600 tell frames apart on any adapter
    heads=(bytes((SYNC,)),),
    addresses=range(1, 33),
)
