"""FF 68 evaluation pads and caller keypads on RS-485."""

from hallctl.driver import Attachment, Capability, DriverPlugin
from hallctl_drivers.ff68.codec import FRAMING, HEAD
from hallctl_drivers.ff68.config import KeypadOptions, PadOptions
from hallctl_drivers.ff68.driver import Ff68Keypad, Ff68Pad
from hallctl_drivers.ff68.explain import explain_keypad, explain_pad
from hallctl_drivers.ff68.sim import Ff68KeypadSimulator, Ff68PadSimulator

__all__ = ["KEYPAD", "PAD"]

GAP_S = 0.004  # four byte times at 9600; the devices tell frames apart by their head, not by silence

PAD = DriverPlugin(
    name="ff68-pad",
    summary="evaluation pad with four or five keys, FF 68 family on RS-485",
    attachment=Attachment.BUS,
    capabilities=frozenset({Capability.PAD}),
    options=PadOptions,
    make=Ff68Pad,
    simulate=lambda fault, address: Ff68PadSimulator(fault, 1 if address is None else address),
    explain=explain_pad,
    faults={},
    framing=FRAMING,
    bus_gap_s=GAP_S,
    heads=(HEAD,),
)

KEYPAD = DriverPlugin(
    name="ff68-keypad",
    summary="caller keypad with 21 keys and six digits, FF 68 family on RS-485",
    attachment=Attachment.BUS,
    capabilities=frozenset({Capability.KEYPAD}),
    options=KeypadOptions,
    make=Ff68Keypad,
    simulate=lambda fault, address: Ff68KeypadSimulator(fault, 1 if address is None else address),
    explain=explain_keypad,
    faults={},
    framing=FRAMING,
    bus_gap_s=GAP_S,
    heads=(HEAD,),
)
