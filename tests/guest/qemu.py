"""How qemu is called, and what a guest says over its second serial port: one JSON object a line."""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any


def qemu(lab: Path, kernel: str, disks: Sequence[str], *, memory_mib: int, network: str = "") -> list[str]:
    """Software emulation, as KVM in a virtual machine may be there and hang. The first serial port goes into a file.

    ``kernel``: its command line; ``disks``: each as qemu's ``-drive`` wants it; ``network``: as ``-netdev`` does.
    """
    card = (
        ("-netdev", f"{network},id=net", "-device", "virtio-net-pci,netdev=net,romfile=")
        if network
        else ("-nic", "none")
    )
    return [
        *("qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", str(memory_mib), "-smp", "2"),
        *("-nodefaults", "-display", "none", "-no-reboot", *card),
        *("-serial", f"file:{lab / 'console.log'}", "-serial", "stdio"),
        *(word for disk in disks for word in ("-drive", f"{disk},if=virtio")),
        *("-kernel", str(lab / "vmlinuz"), "-initrd", str(lab / "initrd"), "-append", kernel),
    ]


def spoken(lines: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    """What the guest says; a line that is no JSON is shown and passed over."""
    for line in lines:
        try:
            yield json.loads(line)
        except ValueError:
            if line.strip():
                print(f"guest: {line.decode(errors='replace').rstrip()}", file=sys.stderr, flush=True)
