"""What is plugged in: ports by stable name, USB devices, addresses that answer on a bus, devices on the network.

Every question is a driver's own ``start`` and ``poll``, which disturb no device: what discovery finds, the daemon
finds. ``Draft`` writes it down as a beginning of hall.yaml.
"""

from hallctl.controller.discover.bus import Answered, Heard, ask_bus, listen_on_bus
from hallctl.controller.discover.draft import Draft
from hallctl.controller.discover.local import LocalPort, local_ports
from hallctl.controller.discover.network import NetworkFind, ask_network, hosts_of

__all__ = [
    "Answered",
    "Draft",
    "Heard",
    "LocalPort",
    "NetworkFind",
    "ask_bus",
    "ask_network",
    "hosts_of",
    "listen_on_bus",
    "local_ports",
]
