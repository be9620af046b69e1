"""What a printer with these options makes of a ticket: encoded as for the wire, printed by the simulator, drawn."""

from hallctl.errors import LocalCodecError
from hallctl.ticket import Ticket
from hallctl_drivers.escpos.codec import INIT, encode_ticket
from hallctl_drivers.escpos.config import EscposOptions
from hallctl_drivers.escpos.sim import EscposSimulator
from hallctl_drivers.escpos.style import style_of


def preview_ticket(ticket: Ticket, options: EscposOptions) -> bytes:
    """PNG of the paper. Raises ``LocalCodecError`` for what can't be printed, ``ConfigError`` without Pillow."""
    style = style_of(options.resolved)
    printer = EscposSimulator(width=style.dots)
    printer.feed(INIT + encode_ticket(ticket, style))
    printer.tear_off()
    if printer.refused:
        raise LocalCodecError(f"a printer would refuse this: {'; '.join(printer.refused)}", hint="see the layout")
    picture = printer.draw()
    if picture is None:
        raise LocalCodecError("nothing of this ticket is printed", hint="give the layout a line of text")
    return picture
