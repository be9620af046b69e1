"""ESC/POS ticket printers: TCP 9100, serial, USB with or without the kernel's driver."""

from hallctl.driver import Attachment, Capability, DriverPlugin
from hallctl_drivers.escpos.config import EscposOptions
from hallctl_drivers.escpos.driver import EscposPrinter
from hallctl_drivers.escpos.explain import explain
from hallctl_drivers.escpos.faults import FAULTS
from hallctl_drivers.escpos.preview import preview_ticket
from hallctl_drivers.escpos.sim import EscposSimulator

PLUGIN = DriverPlugin(
    name="escpos",
    summary="ESC/POS ticket printers, 58 or 80 mm, with Chinese (TCP 9100, serial, USB)",
    attachment=Attachment.PORT,
    capabilities=frozenset({Capability.PRINTER}),
    options=EscposOptions,
    make=EscposPrinter,
    simulate=EscposSimulator,
    explain=explain,
    tcp_ports=(9100,),
    faults=FAULTS,
    preview=preview_ticket,
)
