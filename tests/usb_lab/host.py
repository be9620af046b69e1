"""The host's side of scripts/usb-lab: boots the guest in qemu and believes it only when its list is complete.

The guest's first serial port is the kernel's console and goes into a file; the second carries one JSON line a test:
first the plan, then a result each, then the end. A guest that dies half way therefore never looks like success.
"""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from guest.qemu import qemu, spoken
from guest.report import show

TIMEOUT_S = 600.0
GUEST_STOPS_S = 60.0  # between its last word and power off
CONSOLE_LINES = 30


def command(lab: Path) -> list[str]:
    """How qemu is called. Both disks are only read."""
    kernel = "root=/dev/vda ro console=ttyS0 loglevel=6 oops=panic panic=-1 init=/sbin/lab-init"
    disks = [f"file={lab / name},format=raw,readonly=on" for name in ("base.ext2", "code.ext4")]
    return qemu(lab, kernel, disks, memory_mib=512)


def judge(messages: Iterator[dict[str, Any]]) -> list[str]:
    """Print a line a test; give everything that is wrong, with what is missing."""
    plan: list[str] = []
    results: dict[str, bool] = {}
    ended = False
    for message in messages:
        plan = message.get("plan", plan)
        ended = ended or "end" in message
        if "test" in message:
            results[message["test"]] = message["ok"]
            show(message["test"], message["seconds"], ok=message["ok"], detail=message["detail"])
    wrong = [f"failed: {name}" for name, ok in results.items() if not ok]
    wrong += [f"never told: {name}" for name in plan if name not in results]
    if not plan or not ended:
        wrong.append("the guest did not say that it has come to its end")
    return wrong


def run(lab: Path) -> list[str]:
    """Boot, listen, and leave no qemu behind."""
    (lab / "console.log").unlink(missing_ok=True)
    guest = subprocess.Popen(command(lab), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert guest.stdout is not None
    watchdog = threading.Timer(TIMEOUT_S, guest.kill)
    watchdog.start()
    try:
        wrong = judge(spoken(iter(guest.stdout)))
        guest.wait(GUEST_STOPS_S)
    finally:
        watchdog.cancel()
        guest.kill()
        guest.wait()
    return wrong


def main() -> int:
    """Exit 0 only when every test of the plan has told that it is well."""
    lab = Path(sys.argv[1])
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))  # so that qemu is stopped then as well
    started = time.monotonic()
    wrong = run(lab)
    print(f"{time.monotonic() - started:.0f} s in all; the guest's console is in {lab / 'console.log'}")
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)
    if "the guest did not say that it has come to its end" in wrong:
        console = (lab / "console.log").read_text(encoding="utf-8", errors="replace").splitlines()
        own = [line for line in console if not line.startswith("[")]  # the kernel's lines have a time in brackets
        print("\n".join(own[-CONSOLE_LINES:]), file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
