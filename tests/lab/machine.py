"""The box: a guest in qemu that is switched on, obeys, and loses its power when the host wants it to."""

import itertools
import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guest.qemu import qemu, spoken

ORDER_S = 1800.0  # software emulation on a busy machine is slow; a hang of the guest ends here
BOOT_S = 300.0
BROKER = "10.0.2.100:1883"  # as the guest sees the centre


class Lost(Exception):
    """The guest has gone, or does not answer."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command in the guest came to; ``out`` has both of its outputs."""

    code: int
    out: str

    def well(self) -> str:
        """Its output, when it went well."""
        assert self.code == 0, f"exit code {self.code}:\n{self.out}"
        return self.out.strip()


def overlay(disk: Path, base: Path, kind: str) -> None:
    """A disk on top of another one, which stays as it is."""
    disk.unlink(missing_ok=True)
    command = ("qemu-img", "create", "-q", "-f", "qcow2", "-b", str(base.resolve()), "-F", kind, str(disk))
    subprocess.run(command, check=True)


class Machine:
    """One run of the guest, from power on to power off. ``printed`` gets what the devices put out."""

    def __init__(self, lab: Path, disk: Path, broker_port: int, printed: Callable[[str, list[str]], None]) -> None:
        self.boot_id = ""
        self._printed = printed
        self._numbers = itertools.count(1)
        self._waiting: dict[int, queue.SimpleQueue[dict[str, Any]]] = {}
        self._hello: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._gone = False
        self._process = subprocess.Popen(
            _command(lab, disk, broker_port), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()

    def wait_for_agent(self) -> None:
        """Until it has booted so far that it obeys."""
        try:
            self.boot_id = self._hello.get(timeout=BOOT_S)
        except queue.Empty:
            self.boot_id = ""
        if not self.boot_id:
            raise Lost("the guest did not boot; its console is in build/lab/console.log")

    def order(self, what: str, **arguments: Any) -> Any:
        """Give an order and wait for what comes of it. Raises ``Lost``."""
        return self.begin(what, **arguments)()

    def begin(self, what: str, **arguments: Any) -> Callable[[], Any]:
        """Give an order; what comes of it is there when the result is called."""
        number = next(self._numbers)
        answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._waiting[number] = answers
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"id": number, "do": what, **arguments}).encode() + b"\n")
            self._process.stdin.flush()
        except OSError as exc:
            raise Lost(f"the guest has gone: {exc}") from exc
        return lambda: self._answer(answers, what)

    def run(self, *argv: str, stdin: str = "") -> Ran:
        """Run a command as root."""
        return self.begin_run(*argv, stdin=stdin)()

    def begin_run(self, *argv: str, stdin: str = "") -> Callable[[], Ran]:
        """Run a command while other things are done."""
        answer = self.begin("run", argv=argv, stdin=stdin)
        return lambda: Ran(**answer())

    def device(self, order: str, name: str = "", **arguments: Any) -> Any:
        """Do something to what is plugged into the box."""
        return self.order("device", order=order, name=name, **arguments)

    def cut(self) -> None:
        """The power fails: what was not on disk is lost."""
        self._process.kill()
        self._end()

    def off(self) -> None:
        """Shut down in order."""
        self.begin("run", argv=("systemctl", "poweroff"))
        try:
            self._process.wait(BOOT_S)
        except subprocess.TimeoutExpired:
            raise Lost("the guest does not shut down") from None
        finally:
            self._process.kill()
            self._end()

    def _end(self) -> None:
        self._process.wait()
        self._reader.join()

    def _answer(self, answers: "queue.SimpleQueue[dict[str, Any]]", what: str) -> Any:
        deadline = time.monotonic() + ORDER_S
        while time.monotonic() < deadline:
            try:
                answer = answers.get(timeout=0.2)
            except queue.Empty:
                if self._gone:
                    raise Lost(f"the guest has gone while it did {what}") from None
                continue
            if "error" in answer:
                raise AssertionError(f"{what}: {answer['error']}")
            return answer["answer"]
        raise Lost(f"the guest does not answer to {what}")

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for message in spoken(iter(self._process.stdout)):
            match message:
                case {"id": int(number)}:
                    self._waiting.pop(number).put(message)
                case {"hello": str(boot_id)}:
                    self._hello.put(boot_id)
                case {"printed": str(device), "lines": lines}:
                    self._printed(device, lines)
                case {"broken": str(why)}:
                    print(f"guest: {why}", file=sys.stderr)
                    self._hello.put("")
        self._gone = True
        self._hello.put("")


def _command(lab: Path, disk: Path, broker_port: int) -> list[str]:
    """No way out for the guest but to the centre; its disk is a qcow2, whose own cache is lost with the power."""
    kernel = "root=/dev/vda rw console=ttyS0 loglevel=4 oops=panic panic=-1 fsck.mode=skip systemd.show_status=0"
    disks = [
        f"file={disk},format=qcow2,cache=writeback",
        f"file={lab / 'code.ext4'},format=raw,readonly=on",
        f"file={lab / 'stick.ext4'},format=raw,readonly=on",
    ]
    relay = f"{sys.executable} {Path(__file__).with_name('relay.py').resolve()} {broker_port}"
    network = f"user,restrict=on,guestfwd=tcp:{BROKER}-cmd:{relay}"
    return qemu(lab, kernel, disks, memory_mib=1536, network=network)
