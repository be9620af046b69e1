"""What discovery found as a beginning of hall.yaml: `hallctl check` takes it as it is; what is a guess is a comment."""

from collections import Counter
from dataclasses import dataclass, field

from hallctl.controller.discover.bus import Answered, Heard
from hallctl.controller.discover.local import LocalPort
from hallctl.controller.discover.network import NetworkFind
from hallctl.driver import Capability, DriverPlugin

_ROLES = (Capability.PRINTER, Capability.DISPLAY, Capability.PAD, Capability.KEYPAD, Capability.CAMERA)


@dataclass(slots=True)
class Draft:
    """Collects finds in the order in which they come; ``yaml`` writes the document."""

    plugins: dict[str, DriverPlugin]
    _buses: list[str] = field(default_factory=list)
    _terminals: list[str] = field(default_factory=list)
    _bus_ids: dict[str, str] = field(default_factory=dict)
    _count: Counter[str] = field(default_factory=Counter)

    def local(self, port: LocalPort) -> None:
        """A serial adapter may be a bus, a USB printer is a printer, a keyboard may be a pad or a keypad."""
        note = f"; {port.note}" if port.note else ""
        match port.kind:
            case "serial":
                self.bus(port.port, f"{port.description}{note}")
            case "printer":
                self._terminals.append(f"  # {port.description}{note}")
                self._terminals.append(f'  - {{id: {self._id("escpos")}, driver: escpos, port: "{port.port}"}}')
            case _:
                self._terminals.append(f"  # a keyboard, {port.description}; if it is a pad or a keypad, one of:")
                for driver in ("keyboard-pad", "keyboard-keypad"):
                    self._terminals.append(f'  # - {{id: {self._id(driver)}, driver: {driver}, port: "{port.port}"}}')

    def bus(self, port: str, description: str = "") -> str:
        """A shared port; gives its id."""
        if port not in self._bus_ids:
            self._bus_ids[port] = f"bus-{len(self._bus_ids) + 1}"
            if description:
                self._buses.append(f"  # {description}")
            self._buses.append(f'  - {{id: {self._bus_ids[port]}, port: "{port}"}}')
        return self._bus_ids[port]

    def answered(self, port: str, find: Answered) -> None:
        """A device on a bus that answers its driver."""
        where = f"bus: {self.bus(port)}, address: {find.address}"
        others = ", ".join(self._alike(find.driver))
        note = f"    # or: {others}" if others else ""
        self._terminals.append(f"  - {{id: {self._id(find.driver)}, driver: {find.driver}, {where}}}{note}")

    def _alike(self, driver: str) -> list[str]:
        """Drivers whose devices say the same to the same question: which one it is only a person sees."""
        known = self.plugins.get(driver)
        if known is None or known.framing is None:
            return []
        return [name for name, other in self.plugins.items() if name != driver and other.framing is known.framing]

    def heard(self, port: str, find: Heard) -> None:
        """A device that spoke; which of the family's drivers is meant only a person knows."""
        where = f"bus: {self.bus(port)}, address: {find.address}"
        if len(find.drivers) > 1:
            self._terminals.append(f"  # address {find.address} spoke; one of:")
        for driver in find.drivers:
            sign = "# - " if len(find.drivers) > 1 else "- "
            self._terminals.append(f"  {sign}{{id: {self._id(driver)}, driver: {driver}, {where}}}")

    def network(self, find: NetworkFind) -> None:
        """A device on the network; one that no driver understood is a comment that says why."""
        address = f"tcp://{find.host}:{find.port}"
        if find.proven:
            self._terminals.append(f'  - {{id: {self._id(find.driver)}, driver: {find.driver}, port: "{address}"}}')
        else:
            self._terminals.append(f"  # {address} is open, but driver {find.driver} can't tell: {find.why}")

    def yaml(self) -> str:
        """The document; empty sections are left out."""
        parts = ["version: 1"]
        parts += ["buses:", *self._buses] if self._bus_ids else []
        if any(not line.startswith("  #") for line in self._terminals):
            parts += ["terminals:", *self._terminals]
        elif self._terminals:
            parts += ["# terminals:", *self._terminals]
        return "\n".join(parts) + "\n"

    def _id(self, driver: str) -> str:
        plugin = self.plugins.get(driver)
        role = next((role for role in _ROLES if plugin and role in plugin.capabilities), None)
        name = role.value if role else "terminal"
        self._count[name] += 1
        return f"{name}-{self._count[name]}"
